"""A data set in the layout of FER-2013 with FER+ votes: drawn faces, made in a moment."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from recognizer.training.datasets.faces import Faces
from recognizer.training.datasets.fer2013 import read
from recognizer.training.datasets.preparation import TrainingSet, prepare
from recognizer.vision.classification import OnnxClassifier
from tests.training.drawing import write_drawn_set


class Asked(list[tuple[int, list[str]]]):
    """How many pictures networks were shown, and which heads were read, call by call."""

    @property
    def faces(self) -> int:
        """All pictures but the one that a model is tried out with when it is loaded."""
        return sum(count for count, _ in self if count > 1)


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Paths of fer2013.csv and fer2013new.csv: 96 Training and 64 PublicTest rows."""
    return write_drawn_set(tmp_path_factory.mktemp("dataset"))


@pytest.fixture(scope="session")
def faces(dataset: tuple[Path, Path]) -> Faces:
    return read(*dataset)


@pytest.fixture(scope="session")
def strange() -> Faces:
    """Faces that are new to the fitted model, held out: no test learns from them."""
    # Imports TensorFlow, which not every test here needs.
    from tests.training.fitted_model import negatives

    return negatives(seed=2, count=40)


@pytest.fixture(scope="session")
def reviewed(strange: Faces) -> TrainingSet:
    """More such faces, to learn from."""
    from tests.training.fitted_model import negatives

    return prepare(negatives(seed=1, count=48), strange.images)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """What networks are asked from here on."""
    ask = OnnxClassifier.logits
    asked = Asked()

    def count(self: OnnxClassifier, pictures: NDArray[np.float32], heads: Sequence[str]) -> Any:
        asked.append((len(pictures), list(heads)))
        return ask(self, pictures, heads)

    monkeypatch.setattr(OnnxClassifier, "logits", count)
    return asked
