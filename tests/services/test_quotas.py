from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone
from pytest_django import Settings

from recognizer.models import Photo, UploadTally
from recognizer.services import quotas
from recognizer.services.owners import Owner
from tests.factories import make_photo

NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    """What the time is: the last entry."""
    times = [NOON]
    monkeypatch.setattr(timezone, "now", lambda: times[-1])
    return times


@pytest.fixture(autouse=True)
def small_quotas(settings: Settings) -> None:
    settings.UPLOADS_PER_HOUR = 2
    settings.UPLOADS_PER_HOUR_PER_ADDRESS = 3


def test_an_owner_has_so_many_uploads_an_hour(
    alice_owner: Owner, bob_owner: Owner, guest_owner: Owner
) -> None:
    assert [quotas.seconds_to_wait(alice_owner, "a") for _ in range(2)] == [0, 0]
    assert quotas.seconds_to_wait(alice_owner, "another address") > 0
    assert quotas.seconds_to_wait(bob_owner, "b") == 0
    assert quotas.seconds_to_wait(guest_owner, "c") == 0


def test_an_address_has_so_many_uploads_an_hour(db: None) -> None:
    # A new guest each time, as someone who drops the cookie would be.
    guests = [Owner(guest=f"guest {number}") for number in range(4)]
    waits = [quotas.seconds_to_wait(guest, "one address") for guest in guests]
    assert waits[:3] == [0, 0, 0]
    assert waits[3] > 0
    assert quotas.seconds_to_wait(guests[3], "another address") == 0


@pytest.mark.parametrize(("minute", "seconds"), [(0, 3601), (30, 1801), (59, 61)])
def test_the_wait_ends_with_the_hour(
    alice_owner: Owner, clock: list[datetime], minute: int, seconds: int
) -> None:
    clock.append(NOON + timedelta(minutes=minute))
    waits = [quotas.seconds_to_wait(alice_owner, "a") for _ in range(3)]
    assert waits == [0, 0, seconds]
    clock.append(clock[-1] + timedelta(seconds=seconds))
    assert quotas.seconds_to_wait(alice_owner, "a") == 0


def test_tallies_hold_no_address_and_are_forgotten(
    alice_owner: Owner, clock: list[datetime]
) -> None:
    quotas.seconds_to_wait(alice_owner, "0123abcd")
    clock.append(NOON + timedelta(hours=1, minutes=30))
    quotas.seconds_to_wait(alice_owner, "0123abcd")
    assert UploadTally.objects.count() == 4
    clock.append(NOON + timedelta(hours=2, minutes=30))
    quotas.forget_old_tallies()
    assert set(UploadTally.objects.values_list("hour", flat=True)) == {NOON + timedelta(hours=1)}


def test_the_longest_keys_fit(settings: Settings, db: None) -> None:
    guest = Owner(guest="g" * 32)
    assert quotas.seconds_to_wait(guest, "a" * 40) == 0
    for tally in UploadTally.objects.all():
        tally.full_clean()


def test_the_disk_cap_counts_everybodys_photos(
    alice_owner: Owner, guest_owner: Owner, settings: Settings
) -> None:
    settings.DISK_LIMIT_MB = 3
    make_photo(alice_owner, stored_bytes=1_000_000)
    make_photo(guest_owner, stored_bytes=1_000_000)
    assert not quotas.disk_is_full(1_000_000)
    assert quotas.disk_is_full(1_000_001)


def test_deleted_photos_count_until_they_are_purged(alice_owner: Owner, settings: Settings) -> None:
    settings.DISK_LIMIT_MB = 1
    make_photo(alice_owner, stored_bytes=1_000_000, deleted_at=timezone.now())
    assert quotas.disk_is_full(1)
    Photo.objects.all().delete()
    assert not quotas.disk_is_full(1)
