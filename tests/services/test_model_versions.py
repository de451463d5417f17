import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.db.models import ProtectedError
from numpy.typing import NDArray
from pytest_django import Settings

from recognizer.models import Face, ModelVersion, Photo, Prediction
from recognizer.services import model_versions, promotions, recognition, uploads
from recognizer.vision import Recognition, Recognizer
from recognizer.vision.classification import DEFAULT_MODEL, OnnxClassifier
from tests.factories import GUEST, make_photo
from tests.services.models import damage, own_model

pytestmark = pytest.mark.django_db


def test_a_model_gets_its_row_when_it_is_first_used() -> None:
    version = model_versions.current()
    assert version == model_versions.current() == ModelVersion.objects.get()
    card = model_versions.classifier().card
    assert version.name == card.name
    assert version.card == card.as_dict()


def test_the_model_is_loaded_once() -> None:
    assert model_versions.in_use().classifier is model_versions.in_use().classifier
    assert model_versions.recognizer().classifier is model_versions.classifier()
    assert model_versions.recognizer().detector is model_versions.recognizer().detector


def test_the_same_weights_with_another_temperature_are_another_version() -> None:
    first = model_versions.current()
    card = model_versions.classifier().card
    head = replace(card.heads["ferplus"], temperature=9.0)
    recalibrated = replace(card, heads={**card.heads, "ferplus": head})
    assert model_versions.row_of(recalibrated) != first
    assert ModelVersion.objects.count() == 2


def test_a_version_in_use_cannot_be_deleted() -> None:
    make_photo(GUEST, faces=["happy"])
    with pytest.raises(ProtectedError):
        ModelVersion.objects.get().delete()


# --- A promoted model ----------------------------------------------------------------------------


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Forgets the models in memory: what a process that starts now would know."""

    def forget() -> None:
        monkeypatch.setattr(model_versions, "_loaded", model_versions.Loaded())

    forget()
    return forget


def promote(*names: str) -> None:
    for name in names:
        assert isinstance(promotions.promote(name, force=True), promotions.Promoted)


def in_use() -> str:
    return model_versions.in_use().classifier.card.name


def test_a_promotion_is_noticed_without_a_restart(fresh: Callable[[], None]) -> None:
    own_model("better")
    assert in_use() == DEFAULT_MODEL
    promote("better")
    assert in_use() == model_versions.current().name == "better"
    promotions.rollback()
    assert in_use() == DEFAULT_MODEL


def test_a_photo_costs_one_query_for_the_promoted_model(
    fresh: Callable[[], None], django_assert_num_queries: Any
) -> None:
    own_model("better")
    promote("better")
    in_use()
    with django_assert_num_queries(1):
        model = model_versions.in_use()
        assert model.version().name == "better"


def test_no_more_than_two_models_stay_in_memory(fresh: Callable[[], None]) -> None:
    for name in ("a", "b", "c"):
        own_model(name)
        promote(name)
        in_use()
    assert len(model_versions._loaded._models) == model_versions.KEPT == 2
    assert in_use() == "c"


def test_a_model_is_loaded_once_however_many_threads_ask(
    fresh: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[model_versions.Wanted] = []
    load = model_versions._load

    def count(wanted: model_versions.Wanted) -> OnnxClassifier:
        loads.append(wanted)
        return load(wanted)

    monkeypatch.setattr(model_versions, "_load", count)
    wanted = model_versions.Wanted()
    with ThreadPoolExecutor(8) as threads:
        models = list(threads.map(lambda _: model_versions._loaded.get(wanted, True), range(32)))
    assert len(loads) == 1
    assert len({id(model) for model in models}) == 1


@pytest.mark.parametrize("harm", [shutil.rmtree, damage])
def test_the_model_before_steps_in_for_one_that_is_damaged_here(
    fresh: Callable[[], None], harm: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    first, second = own_model("a"), own_model("b")
    promote("a", "b")
    harm(second)
    fresh()
    assert [in_use() for _ in range(3)] == ["a"] * 3
    assert caplog.text.count("can't be used here") == 1
    assert model_versions.current().name == "a"
    assert model_versions.promoted_is_here() is False
    harm(first)
    fresh()
    assert in_use() == DEFAULT_MODEL


def test_a_promoted_model_that_is_put_back_is_used_again(
    fresh: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = own_model("a")
    promote("a")
    folder.rename(folder.with_name(".away"))
    fresh()
    assert in_use() == DEFAULT_MODEL
    folder.with_name(".away").rename(folder)
    assert in_use() == DEFAULT_MODEL
    monkeypatch.setattr(model_versions, "RETRY_AFTER", 0.0)
    assert in_use() == "a"


def test_the_setting_is_the_default_until_something_is_promoted(
    fresh: Callable[[], None], settings: Settings
) -> None:
    own_model("mine")
    own_model("promoted")
    settings.EMOTION_MODEL = "mine"
    assert in_use() == "mine"
    promote("promoted")
    assert in_use() == "promoted"
    promotions.rollback()
    assert in_use() == "mine"


def test_a_wrong_setting_does_not_stop_photos_once_a_model_was_promoted(
    fresh: Callable[[], None], settings: Settings
) -> None:
    folder = own_model("a")
    promote("a")
    shutil.rmtree(folder)
    settings.EMOTION_MODEL = "nonesuch"
    fresh()
    assert in_use() == DEFAULT_MODEL


def test_predictions_name_the_model_that_made_them_not_the_one_promoted_meanwhile(
    fresh: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
    astronaut: NDArray[np.uint8],
    jpeg: Callable[..., bytes],
    recognize_queued: Callable[[], int],
) -> None:
    own_model("better")
    uploads.receive_bytes(GUEST, "astronaut.jpg", jpeg(astronaut))
    read = Recognizer.recognize

    def promote_while_reading(self: Recognizer, image: NDArray[np.uint8]) -> Recognition:
        found = read(self, image)
        promote("better")
        return found

    monkeypatch.setattr(Recognizer, "recognize", promote_while_reading)
    recognize_queued()
    assert Prediction.objects.get().model_version.name == DEFAULT_MODEL
    monkeypatch.setattr(Recognizer, "recognize", read)
    recognition.queue_again(Photo.objects.values_list("pk", flat=True))
    recognize_queued()
    face = Face.objects.get()
    assert face.current
    assert face.current.model_version.name == "better"
    assert face.predictions.count() == 2
