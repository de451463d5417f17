"""Numbers about predictions; NumPy only, so that serving can evaluate without TensorFlow."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

ECE_BINS = 15
LEAST = 1e-12
"""A probability below this counts as this, so that one row cannot cost without end."""
_Z95 = 1.959964  # Standard deviations to either side that hold 95% of a normal distribution.


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """Confidence and accuracy of the top class in equal-width bins; all arrays are (bins,).

    Attributes:
        count: int64, rows in the bin; bin b holds confidences from b/bins up to (b+1)/bins.
        confidence: their mean highest probability, nan where there is no row.
        accuracy: the share of them that is right, nan where there is no row.
    """

    count: Labels
    confidence: Floats
    accuracy: Floats

    @property
    def ece(self) -> float:
        """Expected calibration error: the bins' gaps, weighted by their rows."""
        gaps = np.nan_to_num(np.abs(self.confidence - self.accuracy))
        return float((self.count * gaps).sum() / self.count.sum())


class Chance(NamedTuple):
    """An ECE without any miscalibration: what to expect of it, and its 95% limit."""

    expected: float
    at_most: float


def summary(probabilities: Floats, labels: Labels, names: tuple[str, ...]) -> dict[str, Any]:
    """Accuracy and its relatives as JSON types.

    Args:
        probabilities: (N, K), rows sum to 1.
        labels: (N,) true classes, 0 to K-1.
        names: K class names.

    Returns:
        n, accuracy, top2_accuracy, macro_f1, mean_recall (each class counts the same; also
        called balanced accuracy, or UAR), ece, nll (negative log-likelihood, nats a row: unlike
        the ECE it judges all probabilities, not the highest alone), per_class and confusion
        (rows are true classes, columns predicted ones, both in the order of `names`). The mean
        recall leaves out classes without a row; macro_f1 only those that are not predicted
        either, as in scikit-learn.
    """
    if not len(labels):
        raise ValueError("There is no row to evaluate.")
    predicted = probabilities.argmax(axis=1)
    confusion = np.zeros((len(names), len(names)), np.int64)
    np.add.at(confusion, (labels, predicted), 1)
    per_class = {name: _class_scores(confusion, index) for index, name in enumerate(names)}
    present = [scores for scores in per_class.values() if scores["n"]]
    named = confusion.any(axis=0) | confusion.any(axis=1)
    second = np.argsort(-probabilities, axis=1, kind="stable")[:, :2]
    return {
        "n": len(labels),
        "accuracy": float((predicted == labels).mean()),
        "top2_accuracy": float((second == labels[:, None]).any(axis=1).mean()),
        "macro_f1": float(np.mean([per_class[names[one]]["f1"] for one in np.flatnonzero(named)])),
        "mean_recall": float(np.mean([scores["recall"] for scores in present])),
        "ece": ece(probabilities, labels),
        "nll": float(log_losses(probabilities, labels).mean()),
        "per_class": per_class,
        "confusion": confusion.tolist(),
    }


def _class_scores(confusion: NDArray[np.int64], index: int) -> dict[str, Any]:
    hits = int(confusion[index, index])
    actual, predicted = int(confusion[index].sum()), int(confusion[:, index].sum())
    return {
        "n": actual,
        "precision": hits / predicted if predicted else 0.0,
        "recall": hits / actual if actual else 0.0,
        "f1": 2 * hits / (actual + predicted) if actual + predicted else 0.0,
    }


def log_losses(probabilities: Floats, labels: Labels) -> Floats:
    """(N,) negative log-likelihood in nats of (N,) true classes under (N, K) probabilities."""
    right = probabilities[np.arange(len(labels)), labels]
    losses: Floats = -np.log(np.maximum(right, LEAST))
    return losses


def ece(probabilities: Floats, labels: Labels, bins: int = ECE_BINS) -> float:
    """Expected calibration error of the top class over equal-width bins (Guo et al., 2017)."""
    return reliability(probabilities, labels, bins).ece


def ece_by_chance(
    probabilities: Floats, bins: int = ECE_BINS, seed: int = 0, samples: int = 1000
) -> Chance:
    """The ECE that a perfectly calibrated model would show with these confidences.

    Few rows look miscalibrated by chance alone. So labels are drawn from the probabilities
    themselves, many times (consistency resampling, Bröcker and Smith, 2007): 95% of the draws
    lie below the limit, and an ECE below it is no sign of miscalibration.

    Args:
        probabilities: (N, K), rows sum to 1.
        bins: of the ECE.
        seed: of the draws.
        samples: how many.
    """
    rng = np.random.default_rng(seed)
    confidence = probabilities.max(axis=1)
    place = np.eye(bins)[bin_of(confidence, bins)]
    drawn = [
        np.abs((confidence - (rng.random(len(confidence)) < confidence)) @ place).sum()
        for _ in range(samples)
    ]
    shown = np.array(drawn) / len(confidence)
    return Chance(float(shown.mean()), float(np.quantile(shown, 0.95)))


def reliability(probabilities: Floats, labels: Labels, bins: int = ECE_BINS) -> Reliability:
    """The bins of the ECE: how sure the model was, and how often it was right.

    Args:
        probabilities: (N, K), rows sum to 1.
        labels: (N,) true classes, 0 to K-1.
        bins: how many, all equally wide.
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    place = bin_of(confidence, bins)
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        return Reliability(
            count=count,
            confidence=np.bincount(place, weights=confidence, minlength=bins) / count,
            accuracy=np.bincount(place, weights=right, minlength=bins) / count,
        )


def bin_of(confidence: Floats, bins: int = ECE_BINS) -> Labels:
    """(N,) which of the equal-width bins each confidence falls into; 1 falls into the last."""
    return np.minimum((confidence * bins).astype(np.int64), bins - 1)


def aurc(score: Floats, wrong: NDArray[np.bool_]) -> float:
    """Area under the risk-coverage curve (El-Yaniv and Wiener, 2010); lower is better.

    The mean of the error at every coverage, 1/N to 1; of ties what to expect of a random order.

    Args:
        score: (N,) higher is less sure.
        wrong: (N,) whether the answer is wrong.
    """
    return float(risk_coverage(score, wrong)[1].mean())


def risk_coverage(score: Floats, wrong: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Answer the surest rows first: how many are answered, and how many of those are wrong.

    Args:
        score: (N,) higher is less sure; ties are answered in a random order.
        wrong: (N,) whether the answer is wrong.

    Returns:
        coverage (N,), 1/N to 1, and the error to expect among the rows answered so far (N,).
    """
    order = np.argsort(score, kind="stable")
    answered = np.arange(1, len(wrong) + 1)
    ends = ends_of_ties(score[order])
    errors = np.cumsum(wrong[order])[ends]
    # Of so many ties at random, as large a share is wrong as of all of them.
    expected = np.interp(answered, [0, *(ends + 1)], [0, *errors])
    return answered / max(1, len(wrong)), expected / answered


def ends_of_ties(ordered: Floats) -> Labels:
    """Where a row is the last of those with its value: (K,) places in `ordered` (N,), ascending."""
    different = np.flatnonzero(ordered[1:] != ordered[:-1])
    return np.append(different, len(ordered) - 1) if len(ordered) else different


def auroc(score: Floats, positive: NDArray[np.bool_]) -> float | None:
    """Chance that a positive scores higher than a negative, ties counting half.

    None when there are only positives or only negatives.
    """
    positives, negatives = int(positive.sum()), int((~positive).sum())
    if not positives or not negatives:
        return None
    _, place, count = np.unique(score, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    ranks = (last - (count - 1) / 2)[place]
    above = ranks[positive].sum() - positives * (positives + 1) / 2
    return float(above / (positives * negatives))


def wilson_interval(
    hits: NDArray[np.int64] | int, trials: NDArray[np.int64] | int
) -> tuple[Floats, Floats]:
    """95% score interval of a share (Wilson, 1927): honest for a handful of rows, too.

    Args:
        hits: (K,) how often it happened, 0 to `trials`.
        trials: (K,) how often it could have; where 0, the interval is all of 0-1.

    Returns:
        The lower and the upper ends, (K,) each.
    """
    n = np.asarray(trials, np.float64)
    share = np.asarray(hits, np.float64) / np.maximum(n, 1)
    weight = n / (n + _Z95**2)
    centre = weight * share + (1 - weight) / 2
    half = np.sqrt(weight * (1 - weight) * share * (1 - share) + ((1 - weight) / 2) ** 2)
    return np.maximum(centre - half, 0), np.minimum(centre + half, 1)
