from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from celery import current_app
from django.contrib.sessions.models import Session
from django.utils import timezone
from pytest_django import Settings

from recognizer import tasks
from recognizer.models import Heartbeat, Photo, UploadTally
from recognizer.services import queue, uploads
from tests.factories import GUEST, make_photo, noise


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[Any]]]:
    """The messages that would go to the broker."""
    messages: list[tuple[str, list[Any]]] = []
    monkeypatch.setattr(current_app, "send_task", lambda name, args: messages.append((name, args)))
    return messages


def test_a_message_carries_a_primary_key_and_names_a_task(
    sent: list[tuple[str, list[Any]]],
) -> None:
    photo_id = uuid4()
    queue.send(photo_id)
    assert sent == [(queue.RECOGNIZE_PHOTO, [str(photo_id)])]
    assert tasks.recognize_photo.name == queue.RECOGNIZE_PHOTO


def test_the_message_is_understood(db: None, recognize_queued: Callable[[], int]) -> None:
    outcome = uploads.receive_bytes(GUEST, "a.jpg", noise(1))
    assert isinstance(outcome, uploads.Accepted)
    tasks.recognize_photo(str(outcome.photo.pk))
    assert Photo.objects.get().status == Photo.Status.DONE


def test_everything_on_the_timetable_exists(settings: Settings) -> None:
    current_app.loader.import_default_modules()
    planned = {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    assert planned == {tasks.sweep.name, tasks.clean_up.name}
    assert planned <= set(current_app.tasks)


def test_a_sweep_brings_back_what_was_lost_and_purges_what_is_over(
    sent: list[tuple[str, list[Any]]],
    settings: Settings,
    django_capture_on_commit_callbacks: Any,
    db: None,
) -> None:
    long_ago = timezone.now() - timedelta(seconds=settings.STALE_AFTER + 1)
    lost = make_photo(GUEST, status=Photo.Status.QUEUED, sent_at=long_ago)
    make_photo(GUEST, deleted_at=long_ago)
    tasks.sweep()
    assert sent == [(queue.RECOGNIZE_PHOTO, [str(lost.pk)])]
    assert Photo.objects.get() == lost


def test_cleaning_up_removes_what_is_past_its_time(settings: Settings, db: None) -> None:
    now = timezone.now()
    make_photo(GUEST, created=now - timedelta(days=settings.GUEST_RETENTION_DAYS, hours=1))
    fresh = make_photo(GUEST)
    UploadTally.objects.create(who="somebody", hour=now - timedelta(days=1))
    Session.objects.create(session_key="old", session_data="", expire_date=now - timedelta(days=1))
    Session.objects.create(session_key="new", session_data="", expire_date=now + timedelta(days=1))
    Heartbeat.objects.create(name="killed long ago", seen=now - timedelta(days=2))
    tasks.clean_up()
    assert Photo.objects.get() == fresh
    assert not Heartbeat.objects.exists()
    assert not UploadTally.objects.exists()
    assert Session.objects.get().session_key == "new"


def test_a_worker_may_not_hold_a_photo_longer_than_until_it_is_swept(settings: Settings) -> None:
    assert settings.CELERY_TASK_TIME_LIMIT <= settings.STALE_AFTER


def test_a_message_reaches_one_queue_and_sweeps_have_their_own() -> None:
    queues = current_app.amqp.queues
    bindings = {(one.exchange.name, one.routing_key) for one in queues.values()}
    assert len(bindings) == len(queues) == 2
    routes = current_app.amqp.router
    assert routes.route({}, queue.RECOGNIZE_PHOTO)["queue"].name == "celery"
    for task in (tasks.sweep, tasks.clean_up):
        assert routes.route({}, task.name)["queue"].name == "maintenance"
