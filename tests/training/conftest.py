"""A data set in the layout of FER-2013 with FER+ votes: drawn faces, made in a moment."""

from pathlib import Path

import numpy as np
import pytest

from recognizer.training.datasets.faces import Faces
from recognizer.training.datasets.fer2013 import read
from tests.training.drawing import draw_face, write_fer2013, write_ferplus


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Paths of fer2013.csv and fer2013new.csv: 96 Training and 64 PublicTest rows."""
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("dataset")
    shown = ("happy", "neutral", "sad", "surprise")
    rows = [
        (shown[number % 4], split, draw_face(shown[number % 4], rng))
        for split, count in (("Training", 96), ("PublicTest", 64))
        for number in range(count)
    ]
    write_fer2013(folder / "fer2013.csv", rows)
    write_ferplus(
        folder / "fer2013new.csv", [(split, {emotion: 8, "fear": 2}) for emotion, split, _ in rows]
    )
    return folder / "fer2013.csv", folder / "fer2013new.csv"


@pytest.fixture(scope="session")
def faces(dataset: tuple[Path, Path]) -> Faces:
    return read(*dataset)
