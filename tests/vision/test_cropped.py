from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from recognizer.vision import Recognizer
from recognizer.vision.classification import OnnxClassifier
from recognizer.vision.cropped import CroppedFaces
from recognizer.vision.detection import LANDMARKS


def test_a_recognizer_takes_the_picture_for_a_face(
    astronaut: NDArray[np.uint8], tiny_model: Path
) -> None:
    head = astronaut[60:175, 175:275]
    (face,) = Recognizer(CroppedFaces(), OnnxClassifier(tiny_model)).recognize(head).faces
    assert face.box == (0, 0, 100, 115)
    assert set(face.landmarks) == set(LANDMARKS)
    assert face.landmarks["left_eye"][0] < face.landmarks["right_eye"][0]
    assert all(0 < x < 100 and 0 < y < 115 for x, y in face.landmarks.values())


def test_what_is_too_small_is_no_face() -> None:
    detector = CroppedFaces(min_face=20)
    assert detector.detect(np.zeros((19, 50, 3), np.uint8)) == []
    assert len(detector.detect(np.zeros((20, 50, 3), np.uint8))) == 1


def test_wrong_input_is_refused() -> None:
    with pytest.raises(ValueError, match="uint8"):
        CroppedFaces().detect(np.zeros((40, 40), np.uint8))
    with pytest.raises(ValueError, match="min_face"):
        CroppedFaces(min_face=0)
