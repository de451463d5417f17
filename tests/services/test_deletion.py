from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.utils import timezone
from pytest_django import Settings

from recognizer.models import Face, Photo, Prediction, Review, User
from recognizer.services import deletion, queue, reviews
from recognizer.services.owners import Owner
from tests.factories import GUEST, lose, make_photo, owned_by
from tests.services.conftest import Disk


def ago(**units: float) -> Any:
    return timezone.now() - timedelta(**units)


def ids(photos: Iterable[Photo]) -> set[UUID]:
    return {photo.pk for photo in photos}


# --- Delete and undo ---------------------------------------------------------------------------


def test_deleting_hides_at_once_and_keeps_the_files(alice_owner: Owner, disk: Disk) -> None:
    photo, other = make_photo(alice_owner), make_photo(alice_owner)
    before = disk.names
    assert deletion.delete(alice_owner, [photo.pk]) == [photo.pk]
    assert ids(alice_owner.photos()) == {other.pk}
    assert disk.names == before


def test_only_ones_own_photos_can_be_deleted_or_brought_back(
    alice_owner: Owner, bob_owner: Owner, guest_owner: Owner
) -> None:
    photo = make_photo(alice_owner)
    for stranger in (bob_owner, guest_owner):
        assert deletion.delete(stranger, [photo.pk]) == []
    assert alice_owner.photos().exists()
    deletion.delete(alice_owner, [photo.pk])
    for stranger in (bob_owner, guest_owner):
        assert deletion.restore(stranger, [photo.pk]) == []
    assert not alice_owner.photos().exists()


def test_deleting_twice_does_not_lengthen_the_undo_time(alice_owner: Owner) -> None:
    photo = make_photo(alice_owner, deleted_at=ago(seconds=8))
    assert deletion.delete(alice_owner, [photo.pk, uuid4()]) == []
    stamp = photo.deleted_at
    photo.refresh_from_db()
    assert photo.deleted_at == stamp


def test_an_undo_brings_back_all_of_it(alice_owner: Owner) -> None:
    photos = [make_photo(alice_owner, faces=["happy"]) for _ in range(3)]
    deletion.delete(alice_owner, ids(photos))
    assert set(deletion.restore(alice_owner, ids(photos))) == ids(photos)
    assert ids(alice_owner.photos()) == ids(photos)
    assert Face.objects.count() == 3


def test_an_undo_of_what_is_not_deleted_does_nothing(alice_owner: Owner) -> None:
    photo = make_photo(alice_owner)
    assert deletion.restore(alice_owner, [photo.pk]) == []


def test_what_was_sent_again_meanwhile_stays_one_photo(alice_owner: Owner) -> None:
    old = make_photo(alice_owner, sha256="same")
    deletion.delete(alice_owner, [old.pk])
    new = make_photo(alice_owner, sha256="same")
    assert deletion.restore(alice_owner, [old.pk]) == []
    assert ids(alice_owner.photos()) == {new.pk}


def test_of_two_deleted_copies_one_comes_back(alice_owner: Owner) -> None:
    copies = []
    for _ in range(2):
        copies.append(make_photo(alice_owner, sha256="same").pk)
        deletion.delete(alice_owner, copies)
    assert len(deletion.restore(alice_owner, copies)) == 1
    assert alice_owner.photos().count() == 1


def test_a_queued_photo_that_comes_back_is_sent_to_the_workers_again(
    alice_owner: Owner,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Any,
) -> None:
    # Its first message found it deleted and was dropped.
    asked: list[UUID] = []
    monkeypatch.setattr(queue, "send", lambda photo_id, again=False: asked.append(photo_id))
    queued = make_photo(alice_owner, status=Photo.Status.QUEUED)
    done = make_photo(alice_owner)
    deletion.delete(alice_owner, [queued.pk, done.pk])
    with django_capture_on_commit_callbacks(execute=True):
        deletion.restore(alice_owner, [queued.pk, done.pk])
    assert asked == [queued.pk]


def test_an_undo_comes_in_time_or_not_at_all(alice_owner: Owner, settings: Settings) -> None:
    settings.UNDO_SECONDS = 10
    in_time = make_photo(alice_owner, deleted_at=ago(seconds=11))
    too_late = make_photo(alice_owner, deleted_at=ago(seconds=16))
    assert deletion.restore(alice_owner, [in_time.pk, too_late.pk]) == [in_time.pk]
    assert deletion.purge_deleted() == 0


# --- For good ----------------------------------------------------------------------------------


def test_after_the_undo_time_rows_and_files_are_gone(
    alice_owner: Owner, disk: Disk, settings: Settings, django_capture_on_commit_callbacks: Any
) -> None:
    settings.UNDO_SECONDS = 10
    late = make_photo(alice_owner, faces=["happy", "?sad"], deleted_at=ago(seconds=21))
    assert late.faces.count() == 2
    prediction = Prediction.objects.first()
    assert prediction
    reviews.record(prediction, Review.Role.OWNER, "accept")
    fresh = make_photo(alice_owner, deleted_at=ago(seconds=12))
    kept = make_photo(alice_owner)
    with django_capture_on_commit_callbacks(execute=True):
        assert deletion.purge_deleted() == 1
    assert ids(Photo.objects.all()) == {fresh.pk, kept.pk}
    assert not Face.objects.exists()
    assert not Review.objects.exists()
    assert disk.names == {file.name for photo in (fresh, kept) for file in photo.files}


def test_files_stay_until_the_rows_are_surely_gone(
    alice_owner: Owner, disk: Disk, django_capture_on_commit_callbacks: Any
) -> None:
    make_photo(alice_owner)
    before = disk.names
    with django_capture_on_commit_callbacks(execute=True):
        deletion.purge(Photo.objects.all())
        assert disk.names == before
    assert not disk.names


def test_a_file_that_is_gone_already_does_not_stop_the_rest(
    alice_owner: Owner, disk: Disk, django_capture_on_commit_callbacks: Any
) -> None:
    photos = [make_photo(alice_owner) for _ in range(2)]
    lose(photos[0].display)
    with django_capture_on_commit_callbacks(execute=True):
        assert deletion.purge(alice_owner.all_photos()) == 2
    assert not disk.names


def test_a_photo_that_was_brought_back_meanwhile_is_not_purged(
    alice_owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = make_photo(alice_owner, deleted_at=ago(minutes=1))
    purge_one = deletion._purge

    def after_an_undo(one: Any) -> int:
        Photo.objects.update(deleted_at=None)
        return purge_one(one)

    monkeypatch.setattr(deletion, "_purge", after_an_undo)
    assert deletion.purge_deleted() == 0
    assert ids(alice_owner.photos()) == {photo.pk}


def test_a_result_that_was_saved_at_the_last_moment_goes_too(
    alice_owner: Owner,
    disk: Disk,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Any,
) -> None:
    photo = make_photo(alice_owner)
    purge_one = deletion._purge

    def after_a_worker_finished(one: Any) -> int:
        fresh = Photo.objects.get(pk=photo.pk)
        fresh.annotated.save("annotated.jpg", fresh.display.file)
        return purge_one(one)

    monkeypatch.setattr(deletion, "_purge", after_a_worker_finished)
    photo.annotated.delete()
    with django_capture_on_commit_callbacks(execute=True):
        deletion.purge(alice_owner.all_photos())
    assert not disk.names


def test_only_guests_photos_expire(
    alice_owner: Owner, guest_owner: Owner, settings: Settings
) -> None:
    settings.GUEST_RETENTION_DAYS = 14
    over = make_photo(guest_owner, created=ago(days=14, seconds=1))
    last_day = make_photo(guest_owner, created=ago(days=13, hours=23))
    users = make_photo(alice_owner, created=ago(days=400))
    assert over.expires
    assert over.expires < timezone.now()
    assert last_day.expires == last_day.created + timedelta(days=14)
    assert users.expires is None
    assert deletion.purge_expired_guests() == 1
    assert ids(Photo.objects.all()) == {last_day.pk, users.pk}


def test_closing_an_account_removes_its_files(
    alice: User, bob_owner: Owner, disk: Disk, django_capture_on_commit_callbacks: Any
) -> None:
    make_photo(owned_by(alice), faces=["happy"])
    other = make_photo(bob_owner)
    with django_capture_on_commit_callbacks(execute=True):
        alice.delete()
    assert disk.names == {file.name for file in other.files}


def test_closing_a_reviewers_account_keeps_the_reviews(reviewer: User) -> None:
    photo = make_photo(GUEST, faces=["happy"])
    prediction = photo.faces.get().current
    assert prediction
    review = reviews.record(prediction, Review.Role.REVIEWER, "accept", user=reviewer)
    reviewer.delete()
    review.refresh_from_db()
    assert (review.reviewer, review.role) == (None, Review.Role.REVIEWER)
