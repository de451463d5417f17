from pathlib import Path

import pytest
from pytest_django import Settings

from recognizer.services import model_store
from recognizer.vision.classification import (
    DEFAULT_MODEL,
    MODELS_FOLDER,
    ModelError,
    available_models,
)
from tests.services.models import damage, own_model
from tests.vision.tiny_model import tiny_network


def test_the_sites_own_models_lie_beside_the_shipped_ones() -> None:
    folder = own_model("mine")
    assert model_store.names() == sorted({*available_models(), "mine"})
    assert model_store.find("mine") == folder
    assert model_store.find("") == model_store.find(DEFAULT_MODEL) == MODELS_FOLDER / DEFAULT_MODEL


def test_without_a_folder_there_are_only_the_shipped_ones() -> None:
    assert model_store.names() == available_models()


@pytest.mark.parametrize("name", ["nothing", "../own-models/mine", "/etc", "mine/", ".", ".hidden"])
def test_what_is_no_models_name_is_not_found(name: str) -> None:
    own_model("mine")
    own_model(".hidden")
    choice = ", ".join(sorted([*available_models(), "mine"]))
    with pytest.raises(ModelError, match=f"Available: {choice}"):
        model_store.find(name)


def test_an_own_model_called_as_a_shipped_one_is_refused_and_the_default_stays() -> None:
    own_model(DEFAULT_MODEL)
    with pytest.raises(ModelError, match="Rename the folder"):
        model_store.find(DEFAULT_MODEL)
    assert model_store.load().card.architecture == "resnet9"
    shipped, own = (one for one in model_store.entries() if one.name == DEFAULT_MODEL)
    assert (shipped.own, shipped.problem) == (False, "")
    assert own.own
    assert "There are two models" in own.problem


def test_a_broken_model_is_listed_with_what_is_wrong(settings: Settings) -> None:
    own_model("good")
    damage(own_model("altered"))
    own_model("swapped", heads={"ferplus": {"labels": ["sad", "happy"], "temperature": 1}})
    own_model("narrow", network=tiny_network(classes=(7, 7)))
    own_model("nan", network=tiny_network(scale=float("nan")))
    own_model("outside", weights={"file": "../good/model.onnx", "sha256": "0" * 64})
    own_model("nan-in-card", metrics={"auroc": float("nan")})
    (Path(settings.MODELS_ROOT) / "empty").mkdir()
    problems = {entry.name: entry.problem for entry in model_store.entries()}
    assert {problems.pop(name) for name in ["good", *available_models()]} == {""}
    for name, expected in {
        "altered": "SHA-256",
        "swapped": '"heads.ferplus.labels"',
        "narrow": 'expected an output "ferplus"',
        "nan": "not a finite number",
        "outside": '"weights.file"',
        "nan-in-card": "Replace them by null",
        "empty": "cannot be read",
    }.items():
        assert expected in problems.pop(name)
    assert not problems


def test_a_good_model_reads_the_example_photo() -> None:
    assert model_store.verify(own_model("mine")).card.name == "mine"


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "..", "a b", "x" * 101, DEFAULT_MODEL])
def test_a_new_model_needs_a_free_and_plain_name(name: str) -> None:
    with pytest.raises(ModelError):
        model_store.new_folder(name)


def test_no_model_may_have_the_name_of_a_new_one() -> None:
    own_model("mine")
    for name in ("mine", DEFAULT_MODEL):
        with pytest.raises(ModelError, match="already"):
            model_store.new_folder(name)


def test_a_new_model_goes_to_the_sites_own() -> None:
    assert model_store.new_folder("mine-2.1") == model_store.own_root() / "mine-2.1"
