"""Staff of three kinds: a reviewer by the permission alone, one without it, a superuser."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from recognizer.models import Photo, Prediction, User
from tests.factories import GUEST, let_review, make_photo, owned_by


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def ruth(db: None) -> User:
    """Staff with the permission `review` and nothing else, for everybody's photos."""
    user = User.objects.create_user("ruth", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="review"))
    return let_review(user)


@pytest.fixture
def ruth_client(ruth: User) -> Client:
    return client_of(ruth)


@pytest.fixture
def staff_client(db: None) -> Client:
    """Staff without `review`, though with every other permission on these rows."""
    user = User.objects.create_user("sam", is_staff=True)
    rows = Permission.objects.filter(content_type__app_label="recognizer")
    user.user_permissions.set(rows.exclude(codename="review"))
    return client_of(user)


@pytest.fixture
def root_client(db: None) -> Client:
    return client_of(User.objects.create_superuser("root"))


@pytest.fixture
def photo(alice: User) -> Photo:
    return make_photo(owned_by(alice), "beach.jpg", ["happy", "?sad"])


@pytest.fixture
def guests_photo(db: None) -> Photo:
    return make_photo(GUEST, "of a guest.jpg", ["fear"])


@pytest.fixture
def prediction(photo: Photo) -> Prediction:
    current = photo.faces.get(number=1).current
    assert current
    return current


def names(answer: Any) -> set[str]:
    """The photos, or the predictions' photos, that a list shows."""
    assert answer.status_code == 200
    rows = answer.context["cl"].result_list
    return {row.name if isinstance(row, Photo) else row.face.photo.name for row in rows}
