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


def test_it_opens_without_a_model(guest_client: Client, settings: Settings) -> None:
    settings.EMOTION_MODEL = "no-such-model"
    answer = guest_client.get("/about/")
    assert answer.status_code == 200
    assert answer.context["card"] is None
