import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery, current_app
from celery.signals import worker_shutdown
from django.contrib.sessions.models import Session
from django.core.management import load_command_class
from django.utils import timezone
from pytest_django import Settings

from recognizer import tasks
from recognizer.models import Heartbeat, LearningRun, Photo, UploadTally
from recognizer.services import queue, uploads
from tests.factories import GUEST, make_photo, make_version, noise


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
    names = {"celery", "maintenance", "again", "training"}
    assert {"celery", "maintenance", "again"} <= set(queues) <= names
    assert len(bindings) == len(queues)
    routes = current_app.amqp.router
    assert routes.route({}, queue.RECOGNIZE_PHOTO)["queue"].name == "celery"
    for task in (tasks.sweep, tasks.clean_up):
        assert routes.route({}, task.name)["queue"].name == "maintenance"


def test_learning_is_no_work_of_a_worker_that_recognises(settings: Settings) -> None:
    routes = current_app.amqp.Router(queues=current_app.amqp.Queues([], create_missing=True))
    assert routes.route({}, queue.LEARN)["queue"].name == "training"
    assert "training" not in {one.name for one in settings.CELERY_TASK_QUEUES}
    assert tasks.learn.name == queue.LEARN


def test_a_sweep_asks_again_for_a_run_whose_message_was_lost(
    sent: list[tuple[str, list[Any]]], settings: Settings, db: None
) -> None:
    long_ago = timezone.now() - timedelta(seconds=settings.STALE_AFTER + 1)
    run = LearningRun.objects.create(base=make_version(), sent_at=long_ago)
    tasks.sweep()
    assert sent == [(queue.LEARN, [run.pk])]


@pytest.mark.parametrize("returncode", [0, 1])
def test_learning_is_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch, returncode: int) -> None:
    ran: list[list[str]] = []

    def run(command: list[str], check: bool) -> subprocess.CompletedProcess[str]:
        ran.append(command)
        done = subprocess.CompletedProcess[str](command, returncode)
        if check:
            done.check_returncode()
        return done

    monkeypatch.setattr(subprocess, "run", run)
    tasks.learn(7)  # What went wrong is the run's to say: the task itself does not fail.
    ((python, script, name, *arguments),) = ran
    assert python == sys.executable
    assert Path(script).is_file()
    assert Path(script).name == "manage.py"
    parser = load_command_class("recognizer", name).create_parser("manage.py", name)
    assert parser.parse_args(arguments).run == 7


# --- Workers that begin ------------------------------------------------------------------------


@pytest.fixture
def shut_down(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], object]]:
    """Ends the workers that began."""
    monkeypatch.setattr(worker_shutdown, "receivers", [])

    def end() -> object:
        return worker_shutdown.send(sender=None)

    yield end
    end()


def begins(*queues: str) -> None:
    """A worker that takes from these queues only is ready; from all of them, if none is named."""
    app = Celery("test", set_as_current=False)
    app.config_from_object("django.conf:settings", namespace="CELERY")
    if queues:
        app.amqp.queues.select([*queues])
    tasks.begin(SimpleNamespace(app=app, hostname="trainer@here"))


def pulses() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "pulse"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("queues", [(), ("celery",), ("training", "celery")])
def test_a_worker_that_recognises_shows_itself_and_sweeps_at_once(
    queues: tuple[str, ...],
    shut_down: Callable[[], object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    swept: list[str] = []
    monkeypatch.setattr(tasks.sweep, "apply_async", lambda *_, **__: swept.append("now"))
    begins(*queues)
    assert swept == ["now"]
    (pulse,) = pulses()
    shut_down()
    assert not pulse.is_alive()
    assert not Heartbeat.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_only_learns_is_no_sign_of_life(
    shut_down: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    swept: list[str] = []
    monkeypatch.setattr(tasks.sweep, "apply_async", lambda *_, **__: swept.append("now"))
    begins("training")
    assert pulses() == []
    assert swept == []
    assert not Heartbeat.objects.exists()
