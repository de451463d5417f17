import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from recognizer.vision import EMOTIONS, Recognition, RecognizedFace, Recognizer
from recognizer.vision.cards import ModelCard
from recognizer.vision.classification import (
    Classification,
    OnnxClassifier,
)
from recognizer.vision.detection import Detection, Image
from tests.vision.conftest import MakeFace

EYES = {"left_eye": (1.0, 1.0), "right_eye": (5.0, 1.0)}


class Fixed:
    """A detector and a classifier whose answers are known."""

    def __init__(self, card: ModelCard, boxes: Sequence[tuple[int, int, int, int]]) -> None:
        self.name = "fixed"
        self.card = card
        self.boxes = boxes
        self.probabilities = np.eye(8)[4]
        self.sharpness = 1.0

    def detect(self, image: Image) -> list[Detection]:
        return [Detection(box, EYES, 0.9) for box in self.boxes]

    def classify(self, image: Image, detections: Sequence[Detection]) -> list[Classification]:
        return [Classification(self.probabilities, self.sharpness) for _ in detections]


@pytest.fixture
def fixed(tiny_model: Path) -> Fixed:
    card = ModelCard.load(tiny_model / "card.json")
    return Fixed(card, [(0, 0, 30, 30), (50, 0, 40, 50), (10, 60, 20, 23)])


BLACK = np.zeros((100, 120, 3), np.uint8)


def test_a_photo_becomes_faces_with_emotions(
    tiny_model: Path, astronaut: NDArray[np.uint8]
) -> None:
    recognition = Recognizer(classifier=OnnxClassifier(tiny_model)).recognize(astronaut)
    assert (recognition.width, recognition.height) == (512, 512)
    (face,) = recognition.faces
    assert face.emotion in EMOTIONS
    assert face.runner_up in EMOTIONS
    assert face.emotion != face.runner_up
    assert face.confidence == max(face.probabilities)
    assert sum(face.probabilities) == pytest.approx(1)


def test_a_photo_without_faces_is_no_error(tiny_model: Path) -> None:
    recognizer = Recognizer(classifier=OnnxClassifier(tiny_model))
    for shape in [(1, 1, 3), (200, 10, 3), (100, 120, 3)]:
        image = np.zeros(shape, np.uint8)
        assert recognizer.recognize(image) == Recognition(shape[1], shape[0], ())


def test_detector_and_classifier_can_be_replaced(fixed: Fixed) -> None:
    recognition = Recognizer(detector=fixed, classifier=fixed).recognize(BLACK)
    assert [face.emotion for face in recognition.faces] == ["happy"] * 3


def test_the_largest_face_comes_first(fixed: Fixed) -> None:
    faces = Recognizer(fixed, fixed).recognize(BLACK).faces
    assert [face.box[2] for face in faces] == [40, 30, 20]


def test_sure_faces_are_certain_and_small_ones_are_not(fixed: Fixed) -> None:
    faces = Recognizer(fixed, fixed).recognize(BLACK).faces
    assert [face.reasons for face in faces] == [(), (), ("small_face",)]
    assert [face.uncertain for face in faces] == [False, False, True]


def test_blurred_and_undecided_faces_are_uncertain(fixed: Fixed) -> None:
    fixed.sharpness = 0.001
    fixed.probabilities = np.full(8, 1 / 8)
    face, *_ = Recognizer(fixed, fixed).recognize(BLACK).faces
    assert face.reasons == ("close_call", "blurred")
    assert face.emotion in EMOTIONS


def test_views_of_larger_arrays_are_accepted(
    tiny_model: Path, astronaut: NDArray[np.uint8]
) -> None:
    recognizer = Recognizer(classifier=OnnxClassifier(tiny_model))
    mirrored = recognizer.recognize(astronaut[:, ::-1])
    x, _, width, _ = mirrored.faces[0].box
    assert abs((512 - x - width / 2) - 223) < 6


@pytest.mark.parametrize(
    ("image", "complaint"),
    [
        ("photo.jpg", "NumPy array"),
        (np.zeros((4, 4), np.uint8), "shape"),
        (np.zeros((4, 4, 4), np.uint8), "shape"),
        (np.zeros((4, 4, 3)), "uint8"),
        (np.zeros((0, 4, 3), np.uint8), "empty"),
    ],
)
def test_wrong_arrays_are_refused_with_a_sentence(
    fixed: Fixed, image: NDArray[np.uint8], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        Recognizer(fixed, fixed).recognize(image)


def test_a_face_as_json_has_the_documented_fields(make_face: MakeFace) -> None:
    face = make_face((10, 20, 30, 40), ("close_call",), 0.6)
    row = json.loads(json.dumps(face.as_dict()))
    assert list(row) == [
        "box",
        "landmarks",
        "detection_score",
        "emotion",
        "confidence",
        "uncertain",
        "reasons",
        "probabilities",
        "valence",
        "arousal",
    ]
    assert row["box"] == [10, 20, 30, 40]
    assert row["landmarks"]["left_eye"] == [19.0, 36.0]
    assert set(row["landmarks"]) == {
        "left_eye", "right_eye", "nose", "mouth_left", "mouth_right",
    }  # fmt: skip
    assert (row["emotion"], row["confidence"]) == ("happy", 0.6)
    assert (row["uncertain"], row["reasons"]) == (True, ["close_call"])
    assert list(row["probabilities"]) == list(EMOTIONS)
    assert row["valence"] is None
    assert row["arousal"] is None


def test_a_face_needs_eight_probabilities() -> None:
    with pytest.raises(ValueError, match="8 probabilities"):
        RecognizedFace((0, 0, 1, 1), EYES, 0.9, (0.5, 0.5))


def test_the_shipped_model_sees_the_astronaut_smile(astronaut: NDArray[np.uint8]) -> None:
    (face,) = Recognizer().recognize(astronaut).faces
    assert face.emotion == "happy"
    assert not face.uncertain


def test_of_equal_emotions_the_first_wins_as_in_argmax() -> None:
    equal = RecognizedFace((0, 0, 9, 9), {}, 1.0, (0.125,) * 8)
    assert (equal.emotion, equal.runner_up) == EMOTIONS[:2]
