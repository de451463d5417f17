"""A data set in the layout of FER-2013 with FER+ votes: drawn faces, made in a moment."""

from pathlib import Path

import pytest

from recognizer.training.datasets.faces import Faces
from recognizer.training.datasets.fer2013 import read
from tests.training.drawing import write_drawn_set


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Paths of fer2013.csv and fer2013new.csv: 96 Training and 64 PublicTest rows."""
    return write_drawn_set(tmp_path_factory.mktemp("dataset"))


@pytest.fixture(scope="session")
def faces(dataset: tuple[Path, Path]) -> Faces:
    return read(*dataset)
