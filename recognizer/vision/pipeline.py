"""A photo in; every face's box, landmarks and emotion out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recognizer.vision.boxes import Box, Point
from recognizer.vision.classification import Classification, Classifier, load_model
from recognizer.vision.detection import MTCNN, Detection, Detector, Image
from recognizer.vision.emotions import EMOTIONS
from recognizer.vision.uncertainty import judge


@dataclass(frozen=True, slots=True)
class RecognizedFace:
    """One face and what its expression looks like.

    Attributes:
        box: x, y, width, height in whole pixels of the upright photo, inside it.
        landmarks: left_eye, right_eye, nose, mouth_left, mouth_right, in pixels of the photo.
        detection_score: the detector's own, 0-1.
        probabilities: eight, calibrated, in the order of EMOTIONS.
        reasons: why the model declines to commit; empty when it does not.
        valence, arousal: -1 to 1, or None if the model does not give them.
    """

    box: Box
    landmarks: Mapping[str, Point]
    detection_score: float
    probabilities: tuple[float, ...]
    reasons: tuple[str, ...] = ()
    valence: float | None = None
    arousal: float | None = None

    def __post_init__(self) -> None:
        if len(self.probabilities) != len(EMOTIONS):
            raise ValueError(
                f"Expected {len(EMOTIONS)} probabilities, got {len(self.probabilities)}."
            )

    @property
    def ranking(self) -> tuple[str, ...]:
        """All emotions, the most probable first."""
        order = np.argsort(-np.array(self.probabilities), kind="stable")
        return tuple(EMOTIONS[index] for index in order)

    @property
    def emotion(self) -> str:
        """The most probable of the eight, even when uncertain."""
        return self.ranking[0]

    @property
    def confidence(self) -> float:
        """Probability of `emotion`, 0-1."""
        return max(self.probabilities)

    @property
    def runner_up(self) -> str:
        """The second most probable: when the first guess is wrong, right most often."""
        return self.ranking[1]

    @property
    def uncertain(self) -> bool:
        """Does the model decline to commit?"""
        return bool(self.reasons)

    def as_dict(self) -> dict[str, Any]:
        """The face as JSON types, as the commands and the API give it."""
        return {
            "box": list(self.box),
            "landmarks": {
                name: [round(x, 2), round(y, 2)] for name, (x, y) in self.landmarks.items()
            },
            "detection_score": round(self.detection_score, 6),
            "emotion": self.emotion,
            "confidence": round(self.confidence, 6),
            "uncertain": self.uncertain,
            "reasons": list(self.reasons),
            "probabilities": {
                emotion: round(share, 6)
                for emotion, share in zip(EMOTIONS, self.probabilities, strict=True)
            },
            "valence": _rounded(self.valence),
            "arousal": _rounded(self.arousal),
        }


@dataclass(frozen=True, slots=True)
class Recognition:
    """What was found in one photo of width x height pixels; faces by area, the largest first."""

    width: int
    height: int
    faces: tuple[RecognizedFace, ...] = ()


class Recognizer:
    """A detector and a classifier, put together; safe to share between threads."""

    def __init__(
        self, detector: Detector | None = None, classifier: Classifier | None = None
    ) -> None:
        """Put together a recognizer; nothing heavy is loaded before the first photo.

        Args:
            detector: MTCNN, if not given.
            classifier: the shipped default model, if not given.

        Raises:
            ModelError, CardError: the default model is wanted, but missing or wrong.
        """
        self.detector: Detector = MTCNN() if detector is None else detector
        self.classifier: Classifier = load_model() if classifier is None else classifier

    def recognize(self, image: Image) -> Recognition:
        """Find every face of a photo and read its expression.

        Args:
            image: (H, W, 3) RGB uint8, upright; any size from 1x1 up.

        Raises:
            ValueError: not such an image.
        """
        image = _checked(image)
        detections = sorted(self.detector.detect(image), key=_area, reverse=True)
        answers = self.classifier.classify(image, detections)
        faces = tuple(map(self._face, detections, answers))
        return Recognition(width=image.shape[1], height=image.shape[0], faces=faces)

    def _face(self, detection: Detection, answer: Classification) -> RecognizedFace:
        rule = self.classifier.card.uncertainty
        face_side = max(detection.box[2:])
        reasons = judge(
            answer.probabilities,
            rule,
            face_side,
            answer.sharpness,
            answer.ambiguity,
            answer.not_a_face,
        )
        return RecognizedFace(
            box=detection.box,
            landmarks=detection.landmarks,
            detection_score=detection.score,
            probabilities=tuple(float(share) for share in answer.probabilities),
            reasons=tuple(reasons),
            valence=answer.valence,
            arousal=answer.arousal,
        )


def _rounded(value: float | None) -> float | None:
    # People's ratings of one face differ by tenths; more digits would pretend.
    return None if value is None else round(value, 3)


def _area(detection: Detection) -> int:
    return detection.box[2] * detection.box[3]


def _checked(image: object) -> NDArray[np.uint8]:
    """The image, contiguous, or a ValueError that says what is wrong with it."""
    if not isinstance(image, np.ndarray):
        raise ValueError(f"Expected a NumPy array of RGB pixels, got {type(image).__name__}.")
    if image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"Expected an image of shape (height, width, 3), got {image.shape}.")
    if image.dtype != np.uint8:
        raise ValueError(f"Expected pixels of type uint8 in 0-255, got {image.dtype}.")
    if image.size == 0:
        raise ValueError(f"The image is empty: its shape is {image.shape}.")
    return np.ascontiguousarray(image)
