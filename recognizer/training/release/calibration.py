"""Make a fitted network honest: temperatures, and the thresholds of the uncertain rule.

Everything here is fitted on the rows it is given (the even ones of PublicTest) and reported on
others by whoever calls it.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from recognizer.training.augmentation import coarsen
from recognizer.training.evaluation import metrics
from recognizer.vision import uncertainty
from recognizer.vision.cards import ScoreKind, UncertaintyRule
from recognizer.vision.classification import Answers, softmax
from recognizer.vision.preprocessing import normalize

Floats = NDArray[np.float64]
Classify = Callable[[NDArray[np.uint8]], Floats]
"""(N, size, size) uint8 grey faces to (N, 8) calibrated probabilities."""

# Answered faces may be wrong this often; the threshold answers as many as that allows.
TARGET_ERROR = 0.06
# Shares of the ambiguity head's answer in the doubt that are tried.
AMBIGUITY_WEIGHTS = (0.0, 0.15, 0.3, 0.45, 0.6)
# Strengths of the logit adjustment that are tried, and how much accuracy it may cost. Those below
# 0 are never taken, but may be where the accuracy is highest.
LIFTS = tuple(round(0.01 * step, 2) for step in range(-50, 101))
TOLERATED_ADJUSTMENT_LOSS = 0.004
# The range of temperatures; the lowest is taken for none.
TEMPERATURES = (0.05, 20.0)
# Nats that another parameter must gain: the likelihood-ratio test at 5% (Wilks, 1938).
BEYOND_DOUBT = 1.92
# Below this lead of the first emotion over the second, a face is called a close call.
CLOSE_CALL_MARGIN = 0.25
# A face is too small, or too blurred, where that alone costs this much accuracy.
TOLERATED_LOSS = 0.04


def fit_temperature(logits: Floats, labels: NDArray[np.int64]) -> float:
    """The temperature that minimises the negative log-likelihood (Guo et al., 2017).

    It is 1 where there is nothing to fit: where all rows are of one class, or all answers are
    right, certainty would grow without end.

    Args:
        logits: (N, K).
        labels: (N,) true classes.
    """
    if len(np.unique(labels)) < 2:
        return 1.0
    # Convex in 1/T.
    low, high = np.log(TEMPERATURES)
    lowest = _minimum(lambda log: _loss(logits / np.exp(log), labels), low, high)
    return float(np.exp(lowest)) if lowest > low + 1e-3 else 1.0


def adjust_for_rare(
    logits: Floats, labels: NDArray[np.int64], frequency: Floats
) -> tuple[float, ...]:
    """A bias that lifts rare emotions, as strong as accuracy allows.

    Post-hoc logit adjustment (Menon et al., 2021): each logit loses tau times the logarithm of
    its emotion's frequency in training. Of the tried strengths the one with the highest mean
    recall wins, among those that cost at most TOLERATED_ADJUSTMENT_LOSS of accuracy. Recall and
    accuracy are what the calibrated probabilities promise: the answers that turn from right to
    wrong are a handful, and how many of them are among the rows is luck.

    Args:
        logits: (N, K).
        labels: (N,) true classes.
        frequency: (K,) share of each class in training; a class of share 0 is
            treated as the commonest.

    Returns:
        K numbers to add to the logits.
    """
    shown = frequency > 0
    # What was never shown is lifted no more than the commonest: no data would tell how far.
    rare = -np.log(np.where(shown, frequency, frequency.max()))
    rare -= rare[shown].mean()
    moved = logits + _expected_lift(logits, labels, rare) * rare
    probabilities = softmax(moved / fit_temperature(moved, labels))
    tried = [_promised(probabilities, (logits + lift * rare).argmax(axis=1)) for lift in LIFTS]
    least = max(accuracy for accuracy, _ in tried) - TOLERATED_ADJUSTMENT_LOSS
    # Where none gains anything, the weakest one.
    strength, highest = 0.0, -1.0
    for lift, (accuracy, recall) in zip(LIFTS, tried, strict=True):
        if lift >= 0 and accuracy >= least and recall > highest:
            strength, highest = lift, recall
    return tuple(round(float(lift), 4) for lift in strength * rare)


def _expected_lift(logits: Floats, labels: NDArray[np.int64], rare: Floats) -> float:
    """How far the probabilities must be lifted to be true; 0 unless that is beyond doubt.

    A network that was shown rare emotions more often than they occur expects them too often.
    """
    lift = _minimum(
        lambda lift: _calibrated_loss(logits + lift * rare, labels), -1.0, 1.0, precision=3e-3
    )
    gained = _calibrated_loss(logits, labels) - _calibrated_loss(logits + lift * rare, labels)
    return lift if len(labels) * gained > BEYOND_DOUBT else 0.0


def _promised(probabilities: Floats, answers: NDArray[np.int64]) -> tuple[float, float]:
    """The accuracy and the mean recall that answers have if the probabilities are true."""
    right = np.zeros(probabilities.shape[1])
    np.add.at(right, answers, probabilities[np.arange(len(answers)), answers])
    shown = probabilities.sum(axis=0)
    # In ten digits, so that sums in another order are no gain.
    recall = round(float((right / shown).mean()), 10)
    return float(right.sum() / max(1, len(answers))), recall


def _loss(logits: Floats, labels: NDArray[np.int64]) -> float:
    """Mean negative log-likelihood."""
    return float(metrics.log_losses(softmax(logits), labels).mean())


def _calibrated_loss(logits: Floats, labels: NDArray[np.int64]) -> float:
    """The loss at the best temperature; three digits of it tell the loss to six."""
    lowest = _minimum(lambda log: _loss(logits / np.exp(log), labels), -3, 3, precision=1e-3)
    return _loss(logits / np.exp(lowest), labels)


def _minimum(
    loss: Callable[[float], float], low: float, high: float, precision: float = 1e-6
) -> float:
    """Where a function with a single minimum has it, by ternary search."""
    while high - low > precision:
        a, b = low + (high - low) / 3, high - (high - low) / 3
        low, high = (low, b) if loss(a) < loss(b) else (a, high)
    return (low + high) / 2


@dataclass(frozen=True, slots=True)
class Choice:
    """One candidate for the scalar that is thresholded, as it did on the fitting rows."""

    kind: ScoreKind
    ambiguity_weight: float
    threshold: float
    coverage: float
    error: float
    aurc: float
    disagreement_auroc: float | None

    @property
    def cost(self) -> float:
        """What is to be small: the risk when answering, and disagreement that goes unseen."""
        seen = 0.5 if self.disagreement_auroc is None else self.disagreement_auroc
        return self.aurc + 0.1 * (1 - seen)


def choose_score(
    answers: Answers,
    labels: NDArray[np.int64],
    disputed: NDArray[np.bool_],
    lift: tuple[float, ...] = (),
) -> list[Choice]:
    """Every kind of doubt with its best threshold, the one that costs least first.

    Args:
        answers: of N rows.
        labels: (N,) true classes; not looked at where `disputed`.
        disputed: (N,) rows whose annotators disagree.
        lift: see `UncertaintyRule`.
    """
    agreed = ~disputed
    wrong = (answers.probabilities.argmax(axis=1) != labels)[agreed]
    weights = AMBIGUITY_WEIGHTS if answers.ambiguity is not None else (0.0,)
    kinds: tuple[ScoreKind, ...] = ("confidence", "margin", "entropy")
    choices = []
    for kind, weight in itertools.product(kinds, weights):
        rule = UncertaintyRule(kind, 1.0, CLOSE_CALL_MARGIN, ambiguity_weight=weight, lift=lift)
        doubts = uncertainty.doubt(answers.probabilities, rule, answers.ambiguity)
        score = doubts[agreed]
        threshold = largest_threshold(score, wrong, TARGET_ERROR)
        answered = score <= threshold
        choices.append(
            Choice(
                kind=kind,
                ambiguity_weight=weight,
                threshold=threshold,
                coverage=float(answered.mean()),
                error=float(wrong[answered].mean()) if answered.any() else 0.0,
                aurc=metrics.aurc(score, wrong),
                disagreement_auroc=metrics.auroc(doubts, disputed),
            )
        )
    return sorted(choices, key=lambda choice: choice.cost)


def largest_threshold(score: Floats, wrong: NDArray[np.bool_], target: float) -> float:
    """The threshold that answers the most rows with at most `target` of them wrong.

    Rows of one score are answered all or not at all. 0 where there is no such threshold.

    Args:
        score: (N,) in 0-1; rows above the threshold are not answered.
        wrong: (N,) whether the answer is wrong.
        target: share of the answered rows, 0-1.
    """
    order = np.argsort(score, kind="stable")
    ordered = score[order]
    ends = metrics.ends_of_ties(ordered)
    allowed = ends[np.cumsum(wrong[order])[ends] / (ends + 1) <= target]
    if not len(allowed):
        return 0.0
    last = int(allowed[-1])
    following = ordered[last + 1] if last + 1 < len(ordered) else np.inf
    return _short_between(float(ordered[last]), float(following))


def _short_between(low: float, high: float) -> float:
    """A number of few digits from `low` on and below `high`; near the middle, if that is finite."""
    middle = (low + high) / 2 if high < np.inf else low
    tried = (float(f"{middle:.{digits}g}") for digits in range(4, 17))
    return next((short for short in tried if low <= short < high), low)


def fit_rule(
    choice: Choice,
    classify: Classify,
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    margin: float,
    lift: tuple[float, ...] = (),
) -> UncertaintyRule:
    """The whole uncertain rule: the score's threshold, and how small and blurred is too much."""
    return UncertaintyRule(
        score=choice.kind,
        threshold=choice.threshold,
        close_call_margin=CLOSE_CALL_MARGIN,
        ambiguity_weight=choice.ambiguity_weight,
        lift=lift,
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
        shrunk = np.stack([coarsen(image, small) for image in images])
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
