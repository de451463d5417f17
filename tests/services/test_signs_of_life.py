from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import DatabaseError, connection
from django.utils import timezone
from kombu.exceptions import OperationalError
from pytest_django import Settings

from recognizer.models import Heartbeat
from recognizer.services import model_versions, queue, signs_of_life

pytestmark = pytest.mark.django_db
READY = {"database": True, "broker": True, "worker": True, "model": True}


def test_all_is_well_while_a_worker_is_there() -> None:
    signs_of_life.worker_seen()
    assert signs_of_life.checks() == READY


def test_without_a_worker() -> None:
    assert signs_of_life.checks() == READY | {"worker": False}


def test_a_worker_that_was_not_seen_for_three_sweeps_is_gone(settings: Settings) -> None:
    settings.SWEEP_EVERY = 60
    seen = timezone.now()
    for seconds, there in ((170, True), (190, False)):
        Heartbeat.objects.update_or_create(
            name=signs_of_life.WORKER, defaults={"seen": seen - timedelta(seconds=seconds)}
        )
        assert signs_of_life.checks()["worker"] is there


def test_seeing_a_worker_again_keeps_one_row() -> None:
    for _ in range(3):
        signs_of_life.worker_seen()
    assert Heartbeat.objects.count() == 1


def test_without_a_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    def down(*_: Any, **__: Any) -> None:
        raise OperationalError("down")

    monkeypatch.setattr("kombu.Connection.ensure_connection", down)
    signs_of_life.worker_seen()
    assert signs_of_life.checks() == READY | {"broker": False}


def test_without_a_database(monkeypatch: pytest.MonkeyPatch) -> None:
    def down() -> None:
        raise DatabaseError("down")

    monkeypatch.setattr(connection, "cursor", down)
    assert signs_of_life.checks() == {"database": False}


def test_without_a_model(settings: Settings) -> None:
    settings.EMOTION_MODEL = "no-such-model"
    model_versions.classifier.cache_clear()
    signs_of_life.worker_seen()
    try:
        assert signs_of_life.checks() == READY | {"model": False}
    finally:
        model_versions.classifier.cache_clear()


def test_a_send_to_a_dead_broker_is_forgiven(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def down(*_: Any, **__: Any) -> None:
        raise OperationalError("down")

    monkeypatch.setattr("celery.current_app.send_task", down)
    queue.send(uuid4())
    assert "waits for the sweeper" in caplog.text
