from dataclasses import replace
from typing import Any

import pytest
from django.db.models import ProtectedError

from recognizer.models import ModelVersion
from recognizer.services import model_versions
from tests.factories import GUEST, make_photo

pytestmark = pytest.mark.django_db


class WithCard:
    def __init__(self, card: Any) -> None:
        self.card = card


def test_a_model_gets_its_row_when_it_is_first_used() -> None:
    version = model_versions.current()
    assert version == model_versions.current() == ModelVersion.objects.get()
    card = model_versions.classifier().card
    assert version.name == card.name
    assert version.card == card.as_dict()


def test_the_recogniser_is_loaded_once() -> None:
    # Other tests put damaged models in the classifier's place and leave an older recogniser.
    model_versions.recognizer.cache_clear()
    assert model_versions.recognizer() is model_versions.recognizer()
    assert model_versions.recognizer().classifier is model_versions.classifier()


def test_the_same_weights_with_another_temperature_are_another_version(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = model_versions.current()
    card = model_versions.classifier().card
    head = replace(card.heads["ferplus"], temperature=9.0)
    recalibrated = replace(card, heads={**card.heads, "ferplus": head})
    monkeypatch.setattr(model_versions, "classifier", lambda: WithCard(recalibrated))
    assert model_versions.current() != first
    assert ModelVersion.objects.count() == 2


def test_a_version_in_use_cannot_be_deleted() -> None:
    make_photo(GUEST, faces=["happy"])
    with pytest.raises(ProtectedError):
        ModelVersion.objects.get().delete()
