from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from recognizer.training.datasets.faces import Faces
from recognizer.training.evaluation.caching import AT_ONCE, CachedClassifier, cached
from recognizer.vision.classification import OnnxClassifier
from recognizer.vision.preprocessing import normalize
from tests.training.conftest import Asked
from tests.vision.tiny_model import write_tiny_model

HEADS = ["ferplus", "fer2013"]


@pytest.fixture
def model(tmp_path: Path) -> OnnxClassifier:
    return OnnxClassifier(write_tiny_model(tmp_path / "model"))


@pytest.fixture
def seen(faces: Faces) -> np.ndarray:
    """More than are kept together, the last ones of them fewer."""
    return normalize(np.concatenate([faces.images, 255 - faces.images])[: AT_ONCE + 9])


def test_it_answers_as_the_model_does_and_once(
    model: OnnxClassifier, asked: Asked, seen: np.ndarray, tmp_path: Path
) -> None:
    plain = model.logits(seen, HEADS)
    asked.clear()
    for _ in range(2):
        kept = cached(model, tmp_path / "kept").logits(seen, HEADS)
        assert {head: part.dtype for head, part in kept.items()} == dict.fromkeys(HEADS, np.float64)
        for head in HEADS:
            np.testing.assert_allclose(kept[head], plain[head], atol=1e-5)
    assert asked == [(AT_ONCE, HEADS), (9, HEADS)]
    assert cached(model, None) is model


def test_a_head_that_was_not_read_is_read_then(
    model: OnnxClassifier, asked: Asked, seen: np.ndarray, tmp_path: Path
) -> None:
    kept = CachedClassifier(model.folder, tmp_path)
    kept.logits(seen[:5], HEADS[:1])
    kept.logits(seen[:5], HEADS)
    kept.logits(seen[:5], HEADS)
    assert asked == [(5, HEADS[:1]), (5, HEADS[1:])]


def test_no_pictures_have_answers_of_the_right_width(model: OnnxClassifier, tmp_path: Path) -> None:
    none = np.empty((0, 48, 48, 1), np.float32)
    answers = CachedClassifier(model.folder, tmp_path).logits(none, HEADS)
    assert [answers[head].shape for head in HEADS] == [(0, 8), (0, 7)]


def _changed(images: np.ndarray) -> Iterator[np.ndarray]:
    yield images[::-1]
    yield images[:-1]
    yield np.nextafter(images, 9)


def test_other_weights_and_other_pictures_are_asked_about(
    model: OnnxClassifier, asked: Asked, seen: np.ndarray, tmp_path: Path
) -> None:
    few = seen[:6]
    CachedClassifier(model.folder, tmp_path / "kept").logits(few, HEADS)
    for pictures in _changed(few):
        plain = model.logits(pictures, HEADS)
        asked.clear()
        kept = CachedClassifier(model.folder, tmp_path / "kept").logits(pictures, HEADS)
        assert asked == [(len(pictures), HEADS)]
        np.testing.assert_array_equal(kept["ferplus"], plain["ferplus"])
    other = OnnxClassifier(write_tiny_model(tmp_path / "other", seed=1))
    kept = CachedClassifier(other.folder, tmp_path / "kept").logits(few, HEADS)
    np.testing.assert_array_equal(kept["ferplus"], other.logits(few, HEADS)["ferplus"])


@pytest.mark.parametrize("rest", [0, 100])
def test_half_a_file_is_asked_about_again(
    model: OnnxClassifier, asked: Asked, seen: np.ndarray, tmp_path: Path, rest: int
) -> None:
    kept = CachedClassifier(model.folder, tmp_path / "kept")
    whole = kept.logits(seen[:5], HEADS)
    (file,) = (tmp_path / "kept").rglob("*.npz")
    file.write_bytes(file.read_bytes()[:rest])
    for _ in range(2):
        again = kept.logits(seen[:5], HEADS)
        np.testing.assert_array_equal(again["ferplus"], whole["ferplus"])
    assert asked == [(5, HEADS)] * 2
