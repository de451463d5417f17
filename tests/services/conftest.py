"""Owners, and a look at the disk."""

from pathlib import Path

import pytest
from pytest_django import Settings

from recognizer.models import User
from recognizer.services.owners import Owner
from tests.factories import GUEST


@pytest.fixture
def alice_owner(alice: User) -> Owner:
    return Owner(user_id=alice.pk)


@pytest.fixture
def bob_owner(bob: User) -> Owner:
    return Owner(user_id=bob.pk)


@pytest.fixture
def guest_owner(db: None) -> Owner:
    return GUEST


class Disk:
    """What lies in the media folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def names(self) -> set[str]:
        files = (path for path in self.folder.rglob("*") if path.is_file())
        return {str(path.relative_to(self.folder)) for path in files}

    @property
    def bytes(self) -> int:
        return sum((self.folder / name).stat().st_size for name in self.names)


@pytest.fixture
def disk(settings: Settings) -> Disk:
    return Disk(Path(settings.MEDIA_ROOT))
