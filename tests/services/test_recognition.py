import logging
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest
from celery import current_app
from django.db import connection
from django.utils import timezone
from numpy.typing import NDArray
from pytest_django import Settings

from recognizer.models import ModelVersion, Photo, Review
from recognizer.services import deletion, queue, recognition, reviews, uploads
from recognizer.services.owners import Owner
from recognizer.vision import Recognition
from tests.factories import GUEST, lose, make_photo, make_photos, make_version, noise
from tests.services.conftest import Disk

Status = Photo.Status


class Worker:
    """Stands for the model in use: finds no faces, and does first what a test wants to happen."""

    def __init__(self) -> None:
        self.meanwhile: Callable[[], object] = lambda: None
        self.seen = 0

    @property
    def recognizer(self) -> "Worker":
        return self

    def version(self) -> ModelVersion:
        return make_version()

    def recognize(self, image: NDArray[np.uint8]) -> Recognition:
        self.seen += 1
        self.meanwhile()
        return Recognition(width=image.shape[1], height=image.shape[0], faces=())


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Worker:
    stand_in = Worker()
    monkeypatch.setattr("recognizer.services.model_versions.in_use", lambda: stand_in)
    return stand_in


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[UUID]:
    """The photos that workers were asked to recognise."""
    ids: list[UUID] = []
    monkeypatch.setattr(queue, "send", lambda photo_id, again=False: ids.append(photo_id))
    return ids


@pytest.fixture
def routed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """The photos in the messages that would go to the broker, and the queues they would go to."""
    messages: list[tuple[str, str]] = []

    def send_task(name: str, args: list[str], queue: str = "celery") -> None:
        messages.append((args[0], queue))

    monkeypatch.setattr(current_app, "send_task", send_task)
    return messages


@pytest.fixture
def photo(db: None) -> Photo:
    outcome = uploads.receive_bytes(GUEST, "face.jpg", noise(1))
    assert isinstance(outcome, uploads.Accepted)
    return outcome.photo


def status_of(photo: Photo) -> tuple[str, int]:
    photo.refresh_from_db()
    return photo.status, photo.attempts


# --- Claims ------------------------------------------------------------------------------------


def test_a_photo_is_recognised(
    photo: Photo, recognize_queued: Callable[[], int], disk: Disk
) -> None:
    before = timezone.now()
    assert recognize_queued() == 1
    assert status_of(photo) == (Status.DONE, 1)
    assert photo.claimed_at
    assert photo.finished_at
    assert before <= photo.claimed_at <= photo.finished_at
    assert photo.error == ""
    assert photo.annotated
    assert disk.names == {file.name for file in photo.files}
    assert photo.stored_bytes == disk.bytes


def test_no_faces_is_done_and_not_failed(photo: Photo, worker: Worker) -> None:
    recognition.recognize(photo.pk)
    assert status_of(photo) == (Status.DONE, 1)
    assert photo.faces_found == 0


def test_a_second_message_does_nothing(photo: Photo, worker: Worker) -> None:
    recognition.recognize(photo.pk)
    recognition.recognize(photo.pk)
    assert worker.seen == 1
    assert status_of(photo) == (Status.DONE, 1)


def test_a_photo_in_work_is_not_taken_by_a_second_worker(photo: Photo, worker: Worker) -> None:
    worker.meanwhile = lambda: recognition.recognize(photo.pk)
    recognition.recognize(photo.pk)
    assert worker.seen == 1
    assert status_of(photo) == (Status.DONE, 1)


@pytest.mark.parametrize("status", [Status.PROCESSING, Status.DONE, Status.FAILED])
def test_only_queued_photos_are_taken(status: str, worker: Worker, db: None) -> None:
    photo = make_photo(GUEST, status=status)
    recognition.recognize(photo.pk)
    assert worker.seen == 0
    assert status_of(photo) == (status, 0)


def test_a_message_about_a_photo_that_is_gone_does_nothing(worker: Worker, db: None) -> None:
    recognition.recognize(uuid4())
    assert worker.seen == 0


def test_a_deleted_photo_is_not_recognised(photo: Photo, worker: Worker) -> None:
    deletion.delete(GUEST, [photo.pk])
    recognition.recognize(photo.pk)
    assert worker.seen == 0


@pytest.mark.django_db(transaction=True)
def test_of_many_workers_at_once_one_takes_the_photo(photo: Photo, worker: Worker) -> None:
    start = threading.Barrier(4, timeout=20)

    def work() -> None:
        try:
            start.wait()
            recognition.recognize(photo.pk)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert worker.seen == 1
    assert status_of(photo) == (Status.DONE, 1)


# --- What happens meanwhile --------------------------------------------------------------------


def test_a_photo_erased_while_it_is_processed_leaves_nothing(
    photo: Photo, worker: Worker, disk: Disk, django_capture_on_commit_callbacks: Any
) -> None:
    def erase() -> None:
        with django_capture_on_commit_callbacks(execute=True):
            deletion.purge(GUEST.all_photos())

    worker.meanwhile = erase
    recognition.recognize(photo.pk)
    assert worker.seen == 1
    assert not Photo.objects.exists()
    assert not disk.names


def test_a_photo_deleted_while_it_is_processed_is_done_after_an_undo(
    photo: Photo, worker: Worker
) -> None:
    worker.meanwhile = lambda: deletion.delete(GUEST, [photo.pk])
    recognition.recognize(photo.pk)
    assert not GUEST.photos().exists()
    deletion.restore(GUEST, [photo.pk])
    assert GUEST.photos().get().status == Status.DONE


def test_a_slow_worker_does_not_overwrite_the_one_that_took_over(
    photo: Photo, worker: Worker, disk: Disk, settings: Settings, asked: list[UUID]
) -> None:
    def slept_too_long() -> None:
        worker.meanwhile = lambda: None
        later = timezone.now() - timedelta(seconds=settings.STALE_AFTER + 1)
        Photo.objects.update(claimed_at=later)
        recognition.sweep()
        recognition.recognize(photo.pk)

    worker.meanwhile = slept_too_long
    recognition.recognize(photo.pk)
    assert worker.seen == 2
    assert asked == [photo.pk]
    assert status_of(photo) == (Status.DONE, 2)
    assert disk.names == {file.name for file in photo.files}


def test_a_slow_worker_does_not_meddle_with_a_later_round(
    photo: Photo, worker: Worker, settings: Settings, asked: list[UUID]
) -> None:
    # The count of attempts starts anew with each round, so it alone can't tell two claims apart.
    rounds: list[Photo | None] = []

    def another_round_has_begun() -> None:
        Photo.objects.update(status=Status.DONE)
        recognition.queue_again([photo.pk])
        rounds.append(recognition._claim(photo.pk))
        raise MemoryError

    worker.meanwhile = another_round_has_begun
    recognition.recognize(photo.pk)
    assert status_of(photo) == (Status.PROCESSING, 1)
    assert rounds[0] is not None
    assert photo.claimed_at == rounds[0].claimed_at


# --- Attempts ----------------------------------------------------------------------------------


def test_a_photo_that_breaks_the_model_is_tried_again_and_then_fails(
    photo: Photo,
    worker: Worker,
    settings: Settings,
    asked: list[UUID],
    caplog: pytest.LogCaptureFixture,
) -> None:
    def poison() -> None:
        raise RuntimeError("poison")

    worker.meanwhile = poison
    states = []
    with caplog.at_level(logging.CRITICAL):
        for _ in range(5):
            recognition.recognize(photo.pk)
            states.append(status_of(photo))
    assert states == [("queued", 1), ("queued", 2), ("failed", 3), ("failed", 3), ("failed", 3)]
    assert worker.seen == settings.MAX_ATTEMPTS == 3
    assert asked == [photo.pk, photo.pk]
    assert photo.error.startswith("Recognition gave up after 3 attempts.")
    assert photo.finished_at


def test_a_missing_original_fails_and_hangs_nobody(
    photo: Photo, worker: Worker, asked: list[UUID], caplog: pytest.LogCaptureFixture
) -> None:
    lose(photo.original)
    with caplog.at_level(logging.CRITICAL):
        for _ in range(3):
            recognition.recognize(photo.pk)
    assert status_of(photo) == (Status.FAILED, 3)
    assert worker.seen == 0


# --- The sweeper -------------------------------------------------------------------------------


def long_ago(settings: Settings, seconds: int = 1) -> Any:
    return timezone.now() - timedelta(seconds=settings.STALE_AFTER + seconds)


def test_what_a_dead_worker_held_is_queued_again(
    settings: Settings, asked: list[UUID], db: None
) -> None:
    held = make_photo(GUEST, status=Status.PROCESSING, attempts=1, claimed_at=long_ago(settings))
    busy = make_photo(GUEST, status=Status.PROCESSING, attempts=1, claimed_at=timezone.now())
    assert recognition.sweep() == 1
    assert status_of(held) == (Status.QUEUED, 1)
    assert held.claimed_at is None
    assert status_of(busy) == (Status.PROCESSING, 1)
    assert asked == [held.pk]


def test_what_killed_its_worker_three_times_fails(
    settings: Settings, asked: list[UUID], db: None
) -> None:
    poison = make_photo(GUEST, status=Status.PROCESSING, attempts=3, claimed_at=long_ago(settings))
    recognition.sweep()
    assert status_of(poison) == (Status.FAILED, 3)
    assert poison.error
    assert asked == []


def test_a_lost_message_is_sent_again_once_in_a_while(
    settings: Settings, asked: list[UUID], db: None
) -> None:
    lost = make_photo(GUEST, status=Status.QUEUED, sent_at=long_ago(settings))
    make_photo(GUEST, status=Status.QUEUED)
    assert recognition.sweep() == 1
    assert recognition.sweep() == 0
    assert asked == [lost.pk]


def test_asking_again_keeps_the_place_in_the_queue(
    settings: Settings, asked: list[UUID], db: None
) -> None:
    old = long_ago(settings)
    first = make_photo(GUEST, status=Status.QUEUED, queued_at=old, sent_at=old)
    second = make_photo(GUEST, status=Status.QUEUED)
    recognition.sweep()
    assert asked == [first.pk]
    places = [Photo.objects.get(pk=photo.pk).queue_place for photo in (first, second)]
    assert places == [1, 2]


def test_finished_and_deleted_photos_are_not_swept(
    settings: Settings, asked: list[UUID], db: None
) -> None:
    old = long_ago(settings)
    for status in (Status.DONE, Status.FAILED):
        make_photo(GUEST, status=status, sent_at=old, claimed_at=old)
    for status in (Status.QUEUED, Status.PROCESSING):
        make_photo(GUEST, status=status, sent_at=old, claimed_at=old, deleted_at=timezone.now())
    assert recognition.sweep() == 0
    assert asked == []


def test_the_time_after_which_a_photo_is_lost_is_a_setting(
    settings: Settings, asked: list[UUID], db: None
) -> None:
    make_photo(GUEST, status=Status.QUEUED, sent_at=timezone.now() - timedelta(seconds=30))
    settings.STALE_AFTER = 60
    assert recognition.sweep() == 0
    settings.STALE_AFTER = 20
    assert recognition.sweep() == 1


def test_a_sweep_takes_no_more_than_it_can_chew(
    settings: Settings, asked: list[UUID], db: None
) -> None:
    make_photos(GUEST, 1200, status=Status.QUEUED, sent_at=long_ago(settings))
    assert recognition.sweep() == 1000
    assert recognition.sweep() == 200
    assert len(set(asked)) == 1200


# --- Again -------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [Status.DONE, Status.FAILED])
def test_a_finished_photo_is_queued_again_with_fresh_attempts(
    status: str, asked: list[UUID], django_capture_on_commit_callbacks: Any, db: None
) -> None:
    photo = make_photo(GUEST, status=status, attempts=3, error="why")
    with django_capture_on_commit_callbacks(execute=True):
        assert recognition.queue_again([photo.pk]) == 1
        assert asked == []
    assert asked == [photo.pk]
    assert status_of(photo) == (Status.QUEUED, 0)
    assert photo.error == ""


def test_what_moves_already_is_left_alone(asked: list[UUID], db: None) -> None:
    moving = [make_photo(GUEST, status=s, attempts=1) for s in (Status.QUEUED, Status.PROCESSING)]
    gone = make_photo(GUEST, deleted_at=timezone.now())
    assert recognition.queue_again([*(photo.pk for photo in moving), gone.pk, uuid4()]) == 0
    assert [status_of(photo)[1] for photo in moving] == [1, 1]


def test_recognising_again_replaces_the_annotated_image_and_leaves_no_litter(
    photo: Photo, recognize_queued: Callable[[], int], disk: Disk
) -> None:
    recognize_queued()
    photo.refresh_from_db()
    first = photo.annotated.name
    recognition.queue_again([photo.pk])
    recognize_queued()
    photo.refresh_from_db()
    assert photo.annotated.name != first
    assert disk.names == {file.name for file in photo.files}
    assert photo.stored_bytes == disk.bytes


def test_recognising_the_astronaut_again_keeps_what_people_said(
    astronaut: NDArray[np.uint8], jpeg: Callable[..., bytes], recognize_queued: Callable[[], int]
) -> None:
    outcome = uploads.receive_bytes(GUEST, "astronaut.jpg", jpeg(astronaut))
    assert isinstance(outcome, uploads.Accepted)
    photo = outcome.photo
    recognize_queued()
    face = photo.faces.get()
    assert face.current
    assert face.current.emotion == "happy"
    prediction = face.current_id
    reviews.record(face.current, Review.Role.OWNER, "correct", "surprise")
    recognition.queue_again([photo.pk])
    recognize_queued()
    again = photo.faces.get()
    assert (again.pk, again.current_id) == (face.pk, prediction)
    assert Review.objects.get().prediction_id == prediction
    photo.refresh_from_db()
    assert photo.status == Status.DONE


def test_what_is_recognised_again_has_a_queue_of_its_own(
    photo: Photo, routed: list[tuple[str, str]], django_capture_on_commit_callbacks: Any
) -> None:
    again = make_photo(GUEST)
    with django_capture_on_commit_callbacks(execute=True):
        recognition.queue_again([again.pk])
        uploads.receive_bytes(GUEST, "new.jpg", noise(2))
    new = Photo.objects.get(name="new.jpg")
    assert routed == [(str(again.pk), "again"), (str(new.pk), "celery")]


def test_a_failed_attempt_and_a_lost_message_keep_their_queue(
    worker: Worker, settings: Settings, routed: list[tuple[str, str]], db: None
) -> None:
    old = long_ago(settings)
    lost = {"status": Status.QUEUED, "sent_at": old, "queued_at": old}
    first, again = make_photo(GUEST, **lost), make_photo(GUEST, finished_at=old, **lost)

    def poison() -> None:
        raise RuntimeError("poison")

    queues = {str(first.pk): "celery", str(again.pk): "again"}
    recognition.sweep()
    assert dict(routed) == queues
    routed.clear()
    worker.meanwhile = poison
    for photo in (first, again):
        recognition.recognize(photo.pk)
    assert dict(routed) == queues


def finish(photos: Any) -> int:
    """What workers do with photos that wait, as far as the sweeper sees it."""
    changed: int = photos.update(status=Status.DONE, finished_at=timezone.now())
    return changed


def test_a_whole_history_is_sent_in_parts_as_room_comes_free(
    routed: list[tuple[str, str]], db: None
) -> None:
    at_once = recognition.AGAIN_AT_ONCE
    history = make_photos(GUEST, 2 * at_once + 50, finished_at=timezone.now())
    assert recognition.queue_all_again(Photo.objects.live()) == len(history)
    assert routed == []
    waiting = Photo.objects.filter(status=Status.QUEUED)
    assert waiting.count() == len(history)
    assert recognition.sweep() == at_once
    assert {queue for _, queue in routed} == {"again"}
    # They are on their way: no more until some have come back.
    assert recognition.sweep() == 0
    on_their_way = [photo_id for photo_id, _ in routed]
    assert finish(waiting.filter(pk__in=on_their_way[:70])) == 70
    assert recognition.sweep() == 70
    finish(waiting.filter(pk__in=[photo_id for photo_id, _ in routed]))
    assert recognition.sweep() == len(history) - at_once - 70
    assert len({photo_id for photo_id, _ in routed}) == len(routed) == len(history)


def test_a_whole_history_holds_up_no_new_photo(
    settings: Settings, routed: list[tuple[str, str]], db: None
) -> None:
    make_photos(GUEST, recognition.AGAIN_AT_ONCE + 5, finished_at=timezone.now())
    recognition.queue_all_again(Photo.objects.live())
    recognition.sweep()
    routed.clear()
    new = make_photo(GUEST, status=Status.QUEUED, sent_at=long_ago(settings))
    assert recognition.sweep() == 1
    assert routed == [(str(new.pk), "celery")]


def test_lost_messages_of_a_history_make_room_for_themselves(
    settings: Settings, routed: list[tuple[str, str]], db: None
) -> None:
    make_photos(GUEST, 10, finished_at=timezone.now())
    recognition.queue_all_again(Photo.objects.live())
    recognition.sweep()
    Photo.objects.update(sent_at=long_ago(settings))
    assert recognition.sweep() == 10
    assert len(routed) == 20


def test_a_whole_history_is_queued_with_fresh_attempts_and_without_what_moves(db: None) -> None:
    failed = make_photo(GUEST, status=Status.FAILED, attempts=3, error="why")
    done = make_photo(GUEST, attempts=1, claimed_at=timezone.now())
    busy = make_photo(GUEST, status=Status.PROCESSING, attempts=1)
    make_photo(GUEST, deleted_at=timezone.now())
    assert recognition.queue_all_again(Photo.objects.live()) == 2
    assert [status_of(photo) for photo in (failed, done)] == [(Status.QUEUED, 0)] * 2
    assert (failed.error, done.claimed_at) == ("", None)
    assert status_of(busy) == (Status.PROCESSING, 1)


# --- The place in the queue --------------------------------------------------------------------


def test_places_count_everybodys_queued_photos(alice_owner: Owner, guest_owner: Owner) -> None:
    now = timezone.now()
    first = make_photo(alice_owner, status=Status.QUEUED, queued_at=now - timedelta(seconds=9))
    second = make_photo(guest_owner, status=Status.QUEUED, queued_at=now)
    make_photo(alice_owner, status=Status.QUEUED, queued_at=first.queued_at, deleted_at=now)
    make_photo(alice_owner, status=Status.PROCESSING, queued_at=first.queued_at)
    assert (first.queue_place, second.queue_place) == (1, 2)
    assert make_photo(alice_owner).queue_place is None
