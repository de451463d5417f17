"""Faces as bad photos and loose detectors give them, to see where a model stops being right.

The idea is ImageNet-C's (Hendrycks and Dietterich, 2019): the same pictures, spoilt in one known
way at a time, most of them further than the augmentation of the training goes. Theirs are photos
of 224 pixels; these are for faces of some 48, as they are given to the model: found already, cut
out and turned.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from recognizer.training.augmentation import as_grey, coarsen, compress
from recognizer.training.datasets.faces import Faces
from recognizer.training.evaluation import metrics
from recognizer.training.evaluation.bootstrap import Interval
from recognizer.training.evaluation.scoring import SplitAnswers, answer
from recognizer.vision.classification import OnnxClassifier
from recognizer.vision.emotions import EMOTIONS

Grey = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Corruption:
    """One way to spoil a face.

    Attributes:
        key: for programs.
        name: for people, what the picture then is.
        spoil: gives a spoilt copy of a square grey face, (side, side) uint8 0-255, and may draw
            from the generator.
        pixels: share of the picture's pixels, along a side, that it is made of afterwards.
    """

    key: str
    name: str
    spoil: Callable[[Grey, np.random.Generator], Grey]
    pixels: float = 1.0


def corrupt(faces: Faces, how: Corruption, seed: int = 0) -> Faces:
    """The same faces, every picture spoilt; the same ones again for the same seed."""
    rng = np.random.default_rng(seed)
    return replace(faces, images=np.stack([how.spoil(image, rng) for image in faces.images]))


def _shrunk(key: str, name: str, pixels: float) -> Corruption:
    return Corruption(
        key, name, lambda image, _rng: coarsen(image, round(pixels * image.shape[0])), pixels
    )


def _moved(
    key: str, name: str, degrees: float = 0, zoom: float = 1, shift: float = 0
) -> Corruption:
    """Turned, zoomed, or shifted to the lower right by a share of the side."""
    return Corruption(key, name, lambda image, _rng: _move(image, degrees, zoom, shift))


def _move(image: Grey, degrees: float, zoom: float, shift: float) -> Grey:
    side = image.shape[0]
    matrix = cv2.getRotationMatrix2D(((side - 1) / 2, (side - 1) / 2), degrees, zoom)
    matrix[:, 2] += shift * side
    # What lies beyond the picture is not known: its last pixels go on.
    moved = cv2.warpAffine(image, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE)
    return as_grey(moved)


def _blur(image: Grey, _rng: np.random.Generator) -> Grey:
    return as_grey(cv2.GaussianBlur(image, (0, 0), image.shape[0] / 32))


def _add_noise(image: Grey, rng: np.random.Generator) -> Grey:
    return as_grey(image + rng.normal(0, 12, image.shape))


def _light(image: Grey, _rng: np.random.Generator) -> Grey:
    """From the right: a ramp from two fifths of the light to more than all of it."""
    return as_grey(image * np.linspace(0.4, 1.3, image.shape[1]))


def _darken(image: Grey, _rng: np.random.Generator) -> Grey:
    return as_grey(255 * (image / 255) ** 2.2)


def _covered(key: str, name: str, top: float, bottom: float) -> Corruption:
    """A band across the face, in shares of its side, is grey."""

    def cover(image: Grey, _rng: np.random.Generator) -> Grey:
        copy, side = image.copy(), image.shape[0]
        copy[round(top * side) : round(bottom * side)] = 128
        return copy

    return Corruption(key, name, cover)


CORRUPTIONS: Final = (
    Corruption("none", "as they are", lambda image, _rng: image),
    _shrunk("half_size", "shrunk to a half", 1 / 2),
    _shrunk("third_size", "shrunk to a third", 1 / 3),
    Corruption("blur", "blurred, σ 1/32 of the side", _blur),
    Corruption("noise", "noise, σ 12 of 255", _add_noise),
    Corruption("jpeg_15", "JPEG, quality 15", lambda image, _rng: compress(image, 15)),
    Corruption("side_light", "lit from one side", _light),
    Corruption("dark", "dark, gamma 2.2", _darken),
    _moved("turned_15", "turned 15°", degrees=15),
    _moved("turned_30", "turned 30°", degrees=30),
    _moved("loose_cut", "cut 1.25 times as wide", zoom=0.8),
    _moved("tight_cut", "cut 0.8 times as wide", zoom=1.25),
    _moved("shifted", "shifted by 10%", shift=0.1),
    _covered("mouth_covered", "mouth covered", 0.62, 1.0),
    _covered("eyes_covered", "eyes covered", 0.25, 0.5),
)
"""The first is none at all, for comparison."""


@dataclass(frozen=True, slots=True)
class Corrupted:
    """How a model does on faces that one corruption spoilt: shares of the FER+ majority's rows.

    Attributes:
        key, name: of the corruption.
        accuracy_interval: Wilson's, 95%, as is the other.
        selective_error: None where the model answers none, as is its interval.
    """

    key: str
    name: str
    accuracy: float
    accuracy_interval: Interval
    mean_recall: float
    coverage: float
    selective_error: float | None
    selective_error_interval: Interval | None


def corrupted(
    classifier: OnnxClassifier,
    faces: Faces,
    untouched: SplitAnswers,
    sides: NDArray[np.float64] | None = None,
) -> tuple[Corrupted, ...]:
    """How a model does on the same faces with each of `CORRUPTIONS`.

    Args:
        classifier, faces, sides: as for `scoring.answer`.
        untouched: what that gave.
    """
    as_they_are, *ways = CORRUPTIONS
    margin = classifier.card.preprocessing.margin
    found = [_corrupted(as_they_are, untouched)]
    for how in ways:
        # A photo of so few pixels has a smaller face, and the site would not answer a small one.
        own = how.pixels * faces.images.shape[1] / margin
        fewer = sides if sides is None or how.pixels == 1 else np.minimum(sides, own)
        found.append(_corrupted(how, answer(classifier, corrupt(faces, how), fewer)))
    return tuple(found)


def _corrupted(how: Corruption, answers: SplitAnswers) -> Corrupted:
    agreed, wrong = answers.agreed, answers.wrong
    found = metrics.summary(answers.probabilities[agreed], answers.labels[agreed], EMOTIONS)
    answered = agreed & answers.answered
    return Corrupted(
        key=how.key,
        name=how.name,
        accuracy=found["accuracy"],
        accuracy_interval=_wilson(~wrong[agreed]),
        mean_recall=found["mean_recall"],
        coverage=answers.coverage,
        selective_error=answers.selective_error,
        selective_error_interval=_wilson(wrong[answered]) if answered.any() else None,
    )


def _wilson(hits: NDArray[np.bool_]) -> Interval:
    (low,), (high,) = metrics.wilson_interval(np.array([hits.sum()]), np.array([len(hits)]))
    return float(low), float(high)
