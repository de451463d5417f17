"""Small models among the site's own, for the tests of promoting and of moving them."""

from pathlib import Path
from typing import Any

from recognizer.services import model_store
from tests.vision.tiny_model import write_tiny_model


def own_model(name: str, accuracy: float | None = 0.9, **changes: Any) -> Path:
    """A model of the site's own, told apart by the name in its card; `changes` are of the card."""
    measured = {"ferplus": {"accuracy": accuracy}} if accuracy is not None else {}
    card = {"metrics": {"PublicTest": measured}, **changes}
    return write_tiny_model(model_store.own_root() / name, **card)


def damage(folder: Path) -> None:
    """Alter one byte of the weights."""
    weights = bytearray((folder / "model.onnx").read_bytes())
    weights[len(weights) // 2] ^= 1
    (folder / "model.onnx").write_bytes(weights)
