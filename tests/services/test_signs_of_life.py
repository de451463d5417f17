import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import DatabaseError, connection
from django.utils import timezone
from kombu.exceptions import OperationalError
from pytest_django import Settings

from recognizer.models import Heartbeat
from recognizer.services import queue, signs_of_life

pytestmark = pytest.mark.django_db
READY = {"database": True, "broker": True, "worker": True, "model": True}


def test_all_is_well_while_a_worker_is_there() -> None:
    signs_of_life.worker_seen("worker")
    assert signs_of_life.checks() == READY


def test_without_a_worker() -> None:
    assert signs_of_life.checks() == READY | {"worker": False}


def test_a_worker_that_misses_its_beats_is_gone() -> None:
    seen = timezone.now()
    for seconds, there in ((15, True), (25, False)):
        Heartbeat.objects.update_or_create(
            name="worker", defaults={"seen": seen - timedelta(seconds=seconds)}
        )
        assert signs_of_life.checks()["worker"] is there


def test_a_worker_that_ends_leaves_the_others_alone() -> None:
    signs_of_life.worker_seen("first")
    signs_of_life.worker_seen("second")
    signs_of_life.worker_gone("first")
    assert signs_of_life.checks()["worker"]
    signs_of_life.worker_gone("second")
    assert not signs_of_life.checks()["worker"]


@pytest.mark.django_db(transaction=True)
def test_a_pulse_beats_until_it_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signs_of_life, "BEAT_EVERY", 0.02)
    pulse = signs_of_life.worker_pulse("worker")
    pulse.start()
    first = wait_for_beat_after(None)
    assert wait_for_beat_after(first) > first
    pulse.stop()
    assert not pulse.is_alive()
    assert not Heartbeat.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_pulse_outlives_a_database_that_is_away(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failures = iter([DatabaseError("away"), DatabaseError("away")])
    seen = signs_of_life.worker_seen

    def sometimes(name: str) -> None:
        if error := next(failures, None):
            raise error
        seen(name)

    monkeypatch.setattr(signs_of_life, "BEAT_EVERY", 0.02)
    monkeypatch.setattr(signs_of_life, "worker_seen", sometimes)
    pulse = signs_of_life.worker_pulse("worker")
    pulse.start()
    wait_for_beat_after(None)
    pulse.stop()
    assert "heartbeat could not be written" in caplog.text


def wait_for_beat_after(last: datetime | None) -> datetime:
    def later() -> datetime | None:
        return (
            Heartbeat.objects.filter(seen__gt=last or datetime.min.replace(tzinfo=UTC))
            .values_list("seen", flat=True)
            .first()
        )

    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if beat := later():
            return beat
        time.sleep(0.01)
    raise AssertionError("No beat within 20 seconds.")


def test_seeing_a_worker_again_keeps_one_row() -> None:
    for _ in range(3):
        signs_of_life.worker_seen("worker")
    assert Heartbeat.objects.count() == 1


def test_without_a_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    def down(*_: Any, **__: Any) -> None:
        raise OperationalError("down")

    monkeypatch.setattr("kombu.Connection.ensure_connection", down)
    signs_of_life.worker_seen("worker")
    assert signs_of_life.checks() == READY | {"broker": False}


def test_without_a_database(monkeypatch: pytest.MonkeyPatch) -> None:
    def down() -> None:
        raise DatabaseError("down")

    monkeypatch.setattr(connection, "cursor", down)
    assert signs_of_life.checks() == {"database": False}


def test_without_a_model(settings: Settings) -> None:
    settings.EMOTION_MODEL = "no-such-model"
    signs_of_life.worker_seen("worker")
    assert signs_of_life.checks() == READY | {"model": False}


def test_a_send_to_a_dead_broker_is_forgiven(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def down(*_: Any, **__: Any) -> None:
        raise OperationalError("down")

    monkeypatch.setattr("celery.current_app.send_task", down)
    queue.send(uuid4())
    assert "waits for the sweeper" in caplog.text
