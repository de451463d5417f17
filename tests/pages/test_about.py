from dataclasses import replace
from types import SimpleNamespace

import pytest
from django.test import Client
from pytest_django import Settings

from recognizer.services import model_versions

pytestmark = pytest.mark.django_db


def test_it_says_what_this_is_and_is_not(guest_client: Client, settings: Settings) -> None:
    page = guest_client.get("/about/").content.decode()
    assert "It is not what the person feels" in page
    assert "not for judging employees or pupils" in page
    assert "Who sees a photo" in page
    assert "How to delete" in page
    assert f"after {settings.GUEST_RETENTION_DAYS} days" in page
    assert "MIT" in page


def test_it_names_the_model_with_its_numbers(guest_client: Client) -> None:
    answer = guest_client.get("/about/")
    assert model_versions.classifier().card.name in answer.content.decode()
    measured = answer.context["measured"]
    assert 0.5 < measured["accuracy"] <= measured["top2_accuracy"] <= 1
    assert 0 < measured["coverage"] <= 1


def test_it_names_what_an_own_model_was_measured_on(
    guest_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "PublicTest" in guest_client.get("/about/").content.decode()
    shipped = model_versions.classifier().card
    odd = shipped.metrics["PublicTest odd rows"]
    # It answers nothing, so it is wrong about nothing.
    silent = odd["ferplus"] | {"coverage": 0.0, "selective_error": None}
    own = replace(
        shipped,
        data={"source": "portraits (class folders)"},
        metrics={**shipped.metrics, "PublicTest odd rows": {**odd, "ferplus": silent}},
    )
    monkeypatch.setattr(model_versions, "classifier", lambda: SimpleNamespace(card=own))
    page = guest_client.get("/about/").content.decode()
    assert "faces of portraits" in page
    assert "PublicTest" not in page
    assert "Wrong among those" not in page


def test_it_opens_without_a_model(guest_client: Client, settings: Settings) -> None:
    settings.EMOTION_MODEL = "no-such-model"
    answer = guest_client.get("/about/")
    assert answer.status_code == 200
    assert answer.context["card"] is None
