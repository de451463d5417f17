"""Small models among the site's own, for the tests of promoting and of moving them."""

from pathlib import Path
from typing import Any

from recognizer.services import model_store
from recognizer.vision.cards import ModelCard
from recognizer.vision.classification import DEFAULT_MODEL, MODELS_FOLDER
from tests.vision.tiny_model import write_tiny_model


def own_model(name: str, accuracy: float | None = 0.9, **changes: Any) -> Path:
    """A model of the site's own, told apart by the name in its card; `changes` are of the card.

    It was measured on the pictures that the shipped models were measured on.
    """
    measured = {}
    if accuracy is not None:
        measured = {"ferplus": {"accuracy": accuracy, "per_class": faces_per_class()}}
    card = {"metrics": {"PublicTest": measured}, **changes}
    return write_tiny_model(model_store.own_root() / name, **card)


def faces_per_class() -> dict[str, dict[str, int]]:
    """How many faces of PublicTest show each emotion, as the shipped model's card names it."""
    card = ModelCard.load(MODELS_FOLDER / DEFAULT_MODEL / "card.json")
    shipped = card.metrics["PublicTest"]["ferplus"]["per_class"]
    return {emotion: {"n": scores["n"]} for emotion, scores in shipped.items()}


def damage(folder: Path) -> None:
    """Alter one byte of the weights."""
    weights = bytearray((folder / "model.onnx").read_bytes())
    weights[len(weights) // 2] ^= 1
    (folder / "model.onnx").write_bytes(weights)
