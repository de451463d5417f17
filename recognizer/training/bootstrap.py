"""95% bootstrap intervals of every headline number: the rows are drawn anew, many times.

Efron and Tibshirani, "An Introduction to the Bootstrap" (1993); percentile intervals. The ECE is
the exception: it takes noise for miscalibration, so resamples lie above the estimate; its
interval is moved back by their bias, and begins at 0 where the estimate is no more than a
calibrated model could show by chance, as it is then no sign of any miscalibration.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recognizer.training.metrics import ECE_BINS, Floats, Labels, bin_of, ece_by_chance

Interval = tuple[float, float]

SAMPLES: Final = 2000
# Resamples held at once, in cells of rows times resamples: some 100 MB.
_CELLS: Final = 4_000_000


def summary_intervals(
    probabilities: Floats, labels: Labels, seed: int = 0, samples: int = SAMPLES
) -> dict[str, Interval]:
    """Intervals of the numbers that `metrics.summary` gives of all rows together.

    Args:
        probabilities: (N, K), rows sum to 1, N at least 1.
        labels: (N,) true classes, 0 to K-1.
        seed: of the resampling.
        samples: how often the rows are drawn anew.
    """
    classes = probabilities.shape[1]
    confidence, predicted = probabilities.max(axis=1), probabilities.argmax(axis=1)
    right = predicted == labels
    second = np.argsort(-probabilities, axis=1, kind="stable")[:, :2]
    shares = np.stack([right, (second == labels[:, None]).any(axis=1)], axis=1).astype(float)
    cells = np.eye(classes * classes)[labels * classes + predicted]
    gaps = np.eye(ECE_BINS)[bin_of(confidence)] * (confidence - right)[:, None]
    drawn: dict[str, list[Floats]] = {name: [] for name in ("shares", "means", "ece")}
    for counts in _resamples(len(labels), seed, samples):
        drawn["shares"].append(counts @ shares / len(labels))
        drawn["means"].append(_class_means((counts @ cells).reshape(-1, classes, classes)))
        drawn["ece"].append(np.abs(counts @ gaps).sum(axis=1) / len(labels))
    values = {name: np.concatenate(parts) for name, parts in drawn.items()}
    estimate = float(np.abs(gaps.sum(axis=0)).sum() / len(labels))
    low, high = _interval(values["ece"] - values["ece"].mean() + estimate)
    by_chance = estimate <= ece_by_chance(probabilities).at_most
    return {
        "accuracy": _interval(values["shares"][:, 0]),
        "top2_accuracy": _interval(values["shares"][:, 1]),
        "macro_f1": _interval(values["means"][:, 0]),
        "mean_recall": _interval(values["means"][:, 1]),
        "ece": (0.0 if by_chance else max(0.0, low), high),
    }


def selective_intervals(
    score: Floats,
    wrong: NDArray[np.bool_],
    answered: NDArray[np.bool_],
    seed: int = 0,
    samples: int = SAMPLES,
) -> dict[str, Interval | None]:
    """Intervals of coverage, selective_error and aurc; None where no row is answered.

    Ties of the score count as in `metrics.aurc`.

    Args:
        score: (N,) higher is less sure, N at least 1.
        wrong: (N,) whether the answer is wrong.
        answered: (N,) whether the model commits.
        seed, samples: as above.
    """
    rows = len(score)
    order = np.argsort(score, kind="stable")
    answered, wrong = answered[order], wrong[order]
    starts = np.flatnonzero(np.diff(score[order], prepend=-np.inf))
    tallies = np.stack([answered, answered & wrong], axis=1).astype(float)
    coverage, error, area = [], [], []
    for counts in _resamples(rows, seed, samples):
        kept, failed = (counts @ tallies).T
        coverage.append(kept / rows)
        error.append(failed[kept > 0] / kept[kept > 0])
        # The rows are in order of their score, so each resample is, too. Of ties each counts as
        # wrong by the share of them that is.
        tied = np.add.reduceat(counts, starts, axis=1)
        shares = np.add.reduceat(counts * wrong, starts, axis=1) / np.maximum(tied, 1)
        drawn = np.repeat(shares.ravel(), tied.astype(np.int64).ravel())
        risks = np.cumsum(drawn.reshape(len(counts), rows), axis=1) / np.arange(1, rows + 1)
        area.append(risks.mean(axis=1))
    errors = np.concatenate(error)
    return {
        "coverage": _interval(np.concatenate(coverage)),
        "selective_error": _interval(errors) if len(errors) else None,
        "aurc": _interval(np.concatenate(area)),
    }


def auroc_interval(
    score: Floats, positive: NDArray[np.bool_], seed: int = 0, samples: int = SAMPLES
) -> Interval | None:
    """Interval of `metrics.auroc`; None when there are only positives or only negatives."""
    if positive.all() or not positive.any():
        return None
    order = np.argsort(score, kind="stable")
    positive = positive[order]
    starts = np.flatnonzero(np.diff(score[order], prepend=-np.inf))
    values = []
    for counts in _resamples(len(score), seed, samples):
        above = np.add.reduceat(counts * positive, starts, axis=1)
        below = np.add.reduceat(counts * ~positive, starts, axis=1)
        lower = np.cumsum(below, axis=1) - below / 2
        pairs = above.sum(axis=1) * below.sum(axis=1)
        values.append(((above * lower).sum(axis=1)[pairs > 0]) / pairs[pairs > 0])
    return _interval(np.concatenate(values))


def _resamples(rows: int, seed: int, samples: int) -> Iterator[Floats]:
    """How often each row was drawn: (some resamples, rows), each summing to `rows`."""
    rng = np.random.default_rng(seed)
    block = max(1, _CELLS // rows)
    for start in range(0, samples, block):
        size = min(block, samples - start)
        drawn = rng.integers(0, rows, (size, rows)) + np.arange(size)[:, None] * rows
        yield np.bincount(drawn.ravel(), minlength=size * rows).reshape(size, rows).astype(float)


def _class_means(confusion: Floats) -> Floats:
    """(S, 2) macro-F1 and mean recall of (S, K, K), as in `metrics.summary`."""
    hits = np.diagonal(confusion, axis1=1, axis2=2)
    actual, predicted = confusion.sum(axis=2), confusion.sum(axis=1)
    f1 = 2 * hits / np.maximum(actual + predicted, 1)
    recall = hits / np.maximum(actual, 1)
    # What no row is of has no hits, so both are 0 there.
    sums = np.stack([f1.sum(axis=1), recall.sum(axis=1)], axis=1)
    means: Floats = sums / (actual > 0).sum(axis=1, keepdims=True)
    return means


def _interval(values: Floats) -> Interval:
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)
