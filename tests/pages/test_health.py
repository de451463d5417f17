from typing import Any

import pytest
from django.test import Client

from recognizer.services import promotions, signs_of_life
from tests.services.models import damage, own_model


def test_alive_without_a_database(client: Client) -> None:
    # No `db` fixture: touching the database would fail this test.
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "alive"})
    assert "no-store" in answer.headers["Cache-Control"]
    assert not answer.cookies


@pytest.mark.django_db
def test_ready_while_a_worker_is_there(client: Client) -> None:
    signs_of_life.worker_seen("worker")
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ready",
        "database": True,
        "broker": True,
        "worker": True,
        "model": True,
    }


@pytest.mark.django_db
def test_a_damaged_promoted_model_is_said_and_stops_nothing(client: Client) -> None:
    signs_of_life.worker_seen("worker")
    folder = own_model("better")
    promotions.promote("better")
    assert client.get("/readyz").json()["promoted_model"] is True
    damage(folder)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (200, "ready")
    assert (answer.json()["model"], answer.json()["promoted_model"]) == (True, False)


@pytest.mark.django_db
def test_not_ready_without_a_worker(client: Client) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert (answer.json()["status"], answer.json()["worker"]) == ("not ready", False)
    assert "no-store" in answer.headers["Cache-Control"]


def test_not_ready_without_a_database(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signs_of_life, "_database_answers", lambda: False)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {"status": "not ready", "database": False}


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_only_reading(client: Client, path: str) -> None:
    answers: list[Any] = [client.post(path), client.delete(path)]
    assert [answer.status_code for answer in answers] == [405, 405]
