"""Numbers about predictions; NumPy only, so that serving can evaluate without TensorFlow."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

ECE_BINS = 15


def summary(probabilities: Floats, labels: Labels, names: tuple[str, ...]) -> dict[str, Any]:
    """Accuracy and its relatives as JSON types.

    Args:
        probabilities: (N, K), rows sum to 1.
        labels: (N,) true classes, 0 to K-1.
        names: K class names.

    Returns:
        n, accuracy, top2_accuracy, macro_f1, ece, per_class and confusion (rows are true
        classes, columns predicted ones, both in the order of `names`).
    """
    if not len(labels):
        raise ValueError("There is no row to evaluate.")
    predicted = probabilities.argmax(axis=1)
    confusion = np.zeros((len(names), len(names)), np.int64)
    np.add.at(confusion, (labels, predicted), 1)
    per_class = {name: _class_scores(confusion, index) for index, name in enumerate(names)}
    present = [scores["f1"] for scores in per_class.values() if scores["n"]]
    second = np.argsort(-probabilities, axis=1, kind="stable")[:, :2]
    return {
        "n": len(labels),
        "accuracy": float((predicted == labels).mean()),
        "top2_accuracy": float((second == labels[:, None]).any(axis=1).mean()),
        "macro_f1": float(np.mean(present)),
        "ece": ece(probabilities, labels),
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


def ece(probabilities: Floats, labels: Labels, bins: int = ECE_BINS) -> float:
    """Expected calibration error of the top class over equal-width bins (Guo et al., 2017)."""
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    place = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    count = np.bincount(place, minlength=bins)
    gap = np.abs(
        np.bincount(place, weights=confidence, minlength=bins)
        - np.bincount(place, weights=correct, minlength=bins)
    )
    return float(gap.sum() / count.sum())


def aurc(score: Floats, wrong: NDArray[np.bool_]) -> float:
    """Area under the risk-coverage curve (El-Yaniv and Wiener, 2010); lower is better.

    Args:
        score: (N,) higher is less sure.
        wrong: (N,) whether the answer is wrong.
    """
    order = np.argsort(score, kind="stable")
    risks = np.cumsum(wrong[order]) / np.arange(1, len(wrong) + 1)
    return float(risks.mean())


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


def bootstrap_interval(
    values: NDArray[np.bool_] | Floats, seed: int = 0, samples: int = 2000
) -> tuple[float, float]:
    """95% percentile bootstrap interval of the mean of `values` (N,)."""
    rng = np.random.default_rng(seed)
    means = [
        float(values[rng.integers(0, len(values), len(values))].mean()) for _ in range(samples)
    ]
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)
