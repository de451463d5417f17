"""Make a fitted network honest: temperatures, and the thresholds of the uncertain rule.

Everything here is fitted on the rows it is given (the even ones of PublicTest) and reported on
others by whoever calls it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from recognizer.training import metrics
from recognizer.vision import uncertainty
from recognizer.vision.cards import ScoreKind, UncertaintyRule
from recognizer.vision.classification import softmax
from recognizer.vision.preprocessing import normalize

Floats = NDArray[np.float64]
Classify = Callable[[NDArray[np.uint8]], Floats]
"""(N, size, size) uint8 grey faces to (N, 8) calibrated probabilities."""

# Answered faces may be wrong this often; the threshold answers as many as that allows.
TARGET_ERROR = 0.06
# Below this lead of the first emotion over the second, a face is called a close call.
CLOSE_CALL_MARGIN = 0.25
# A face is too small, or too blurred, where that alone costs this much accuracy.
TOLERATED_LOSS = 0.04


def fit_temperature(logits: Floats, labels: NDArray[np.int64]) -> float:
    """The temperature that minimises the negative log-likelihood (Guo et al., 2017).

    Args:
        logits: (N, K).
        labels: (N,) true classes.
    """
    rows = np.arange(len(labels))

    def loss(log_temperature: float) -> float:
        probabilities = softmax(logits / np.exp(log_temperature))
        return float(-np.log(np.maximum(probabilities[rows, labels], 1e-12)).mean())

    # The loss has a single minimum in 1/T, so a ternary search finds it.
    low, high = np.log(0.05), np.log(20.0)
    for _ in range(60):
        a, b = low + (high - low) / 3, high - (high - low) / 3
        low, high = (low, b) if loss(a) < loss(b) else (a, high)
    return float(np.exp((low + high) / 2))


@dataclass(frozen=True, slots=True)
class Choice:
    """One candidate for the scalar that is thresholded, as it did on the fitting rows."""

    kind: ScoreKind
    threshold: float
    coverage: float
    error: float
    aurc: float


def choose_score(probabilities: Floats, labels: NDArray[np.int64]) -> list[Choice]:
    """Every kind of score with its best threshold, the one with the lowest AURC first."""
    wrong = probabilities.argmax(axis=1) != labels
    choices = []
    for kind in ("confidence", "margin", "entropy"):
        score = uncertainty.score(probabilities, kind)
        threshold = largest_threshold(score, wrong, TARGET_ERROR)
        answered = score <= threshold
        choices.append(
            Choice(
                kind=kind,
                threshold=threshold,
                coverage=float(answered.mean()),
                error=float(wrong[answered].mean()) if answered.any() else 0.0,
                aurc=metrics.aurc(score, wrong),
            )
        )
    return sorted(choices, key=lambda choice: choice.aurc)


def largest_threshold(score: Floats, wrong: NDArray[np.bool_], target: float) -> float:
    """The threshold that answers the most rows with at most `target` of them wrong."""
    order = np.argsort(score, kind="stable")
    errors = np.cumsum(wrong[order]) / np.arange(1, len(wrong) + 1)
    allowed = np.flatnonzero(errors <= target)
    if not len(allowed):
        return 0.0
    last = int(allowed[-1])
    following = score[order[min(last + 1, len(order) - 1)]]
    return float((score[order[last]] + following) / 2)


def fit_rule(
    choice: Choice,
    classify: Classify,
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    margin: float,
) -> UncertaintyRule:
    """The whole uncertain rule: the score's threshold, and how small and blurred is too much."""
    return UncertaintyRule(
        score=choice.kind,
        threshold=round(choice.threshold, 4),
        close_call_margin=CLOSE_CALL_MARGIN,
        min_face=smallest_face(classify, images, labels, margin),
        min_sharpness=least_sharpness(classify, images, labels),
    )


def smallest_face(
    classify: Classify, images: NDArray[np.uint8], labels: NDArray[np.int64], margin: float
) -> float:
    """Side of the detector's box, in pixels, below which too much accuracy is lost."""
    side = images.shape[1]
    full = _accuracy(classify, images, labels)
    for small in range(side, 7, -2):
        shrunk = np.stack([_shrink(image, small) for image in images])
        if full - _accuracy(classify, shrunk, labels) > TOLERATED_LOSS:
            return float(round((small + 2) / margin))
    return float(round(8 / margin))


def least_sharpness(
    classify: Classify, images: NDArray[np.uint8], labels: NDArray[np.int64]
) -> float:
    """The sharpness of a typical face blurred so far that too much accuracy is lost.

    Never above the first percentile of the given faces: they were chosen to be usable, so a
    rule that rejects more of them than that is wrong.
    """
    natural = float(np.quantile(uncertainty.sharpness(normalize(images)), 0.01))
    full = _accuracy(classify, images, labels)
    for sigma in np.arange(0.5, 6.0, 0.25):
        blurred = np.stack([cv2.GaussianBlur(image, (0, 0), float(sigma)) for image in images])
        if full - _accuracy(classify, blurred.astype(np.uint8), labels) > TOLERATED_LOSS:
            typical = float(np.median(uncertainty.sharpness(normalize(blurred.astype(np.uint8)))))
            return round(min(natural, typical), 4)
    return 0.0


def _accuracy(classify: Classify, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> float:
    return float((classify(images).argmax(axis=1) == labels).mean())


def _shrink(image: NDArray[np.uint8], small: int) -> NDArray[np.uint8]:
    shrunk = cv2.resize(image, (small, small), interpolation=cv2.INTER_AREA)
    return cv2.resize(shrunk, image.shape[::-1], interpolation=cv2.INTER_LINEAR).astype(np.uint8)
