from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from recognizer.vision import Recognizer
from recognizer.vision.affect import expectation, heads_of, read_affect
from recognizer.vision.cards import Axis, Head, ModelCard
from recognizer.vision.classification import OnnxClassifier
from tests.vision.tiny_model import TINY_AFFECT, write_tiny_model


@pytest.fixture
def card(tmp_path: Path) -> ModelCard:
    return ModelCard.load(write_tiny_model(tmp_path / "tiny", affect=TINY_AFFECT) / "card.json")


def test_an_axis_is_the_mean_place_under_the_probabilities() -> None:
    # The card's order of the coordinates may differ from the head's order of labels.
    axis = Axis("two", {"down": -1.0, "up": 0.5})
    values = expectation(axis, Head(("up", "down"), 1.0), np.array([[1, 0], [0, 1], [0.5, 0.5]]))
    np.testing.assert_allclose(values, [0.5, -1, -0.25])


def test_an_axis_never_leaves_its_range() -> None:
    axis = Axis("one", {"up": 1.0, "too": 1.0})
    assert expectation(axis, Head(("up", "too"), 1.0), np.array([[0.7, 0.3 + 1e-9]])) == [1.0]


def test_both_axes_are_read_off_their_own_heads(card: ModelCard) -> None:
    assert heads_of(card) == ["fer2013", "ferplus"]
    probabilities = {"fer2013": np.eye(7)[[3, 0]], "ferplus": np.eye(8)[[0, 4]]}
    assert read_affect(card, probabilities, 2) == [(1.0, 0.25), (-0.5, 0.25)]


def test_a_model_with_the_entry_gives_numbers(tmp_path: Path, astronaut: NDArray[np.uint8]) -> None:
    folder = write_tiny_model(tmp_path / "tiny", affect=TINY_AFFECT)
    (face,) = Recognizer(classifier=OnnxClassifier(folder)).recognize(astronaut).faces
    assert face.valence is not None
    assert -0.5 < face.valence < 1
    assert face.arousal == pytest.approx(0.25)
    row = face.as_dict()
    assert row["valence"] == round(face.valence, 3)
    assert row["arousal"] == 0.25


def test_a_model_without_the_entry_gives_none(
    tiny_model: Path, astronaut: NDArray[np.uint8]
) -> None:
    (face,) = Recognizer(classifier=OnnxClassifier(tiny_model)).recognize(astronaut).faces
    assert face.valence is face.arousal is None


def test_the_shipped_model_reads_the_smile_as_pleasant(astronaut: NDArray[np.uint8]) -> None:
    (face,) = Recognizer().recognize(astronaut).faces
    assert face.valence is not None
    assert face.arousal is not None
    assert 0.5 < face.valence <= 1
    assert -1 <= face.arousal <= 1
