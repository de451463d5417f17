"""Small models and pictures for the tests of the vision room."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from recognizer.vision import RecognizedFace
from recognizer.vision.emotions import EMOTIONS
from tests.vision.tiny_model import write_tiny_model

MakeFace = Callable[..., RecognizedFace]


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model with both heads; not to be written to."""
    return write_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def quadrants() -> NDArray[np.uint8]:
    """48x64 RGB: red and green above blue and white, so every turn of it looks different."""
    image = np.empty((48, 64, 3), np.uint8)
    image[:24, :32], image[:24, 32:] = (200, 0, 0), (0, 200, 0)
    image[24:, :32], image[24:, 32:] = (0, 0, 200), (255, 255, 255)
    image.setflags(write=False)
    return image


@pytest.fixture(scope="session")
def make_face() -> MakeFace:
    """`make_face(box, happy=0.9, reasons=())`: a face whose rest of probability is surprise."""

    def make(
        box: tuple[int, int, int, int], reasons: tuple[str, ...] = (), happy: float = 0.9
    ) -> RecognizedFace:
        shares = dict.fromkeys(EMOTIONS, 0.0) | {"happy": happy, "surprise": 1 - happy}
        x, y, width, height = box
        landmarks = {
            "left_eye": (x + 0.3 * width, y + 0.4 * height),
            "right_eye": (x + 0.7 * width, y + 0.4 * height),
            "nose": (x + 0.5 * width, y + 0.6 * height),
            "mouth_left": (x + 0.35 * width, y + 0.8 * height),
            "mouth_right": (x + 0.65 * width, y + 0.8 * height),
        }
        return RecognizedFace(box, landmarks, 0.99, tuple(shares.values()), reasons)

    return make
