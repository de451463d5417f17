"""95% bootstrap intervals of every headline number: the rows are drawn anew, many times.

Efron and Tibshirani, "An Introduction to the Bootstrap" (1993); percentile intervals. The ECE is
the exception: it takes noise for miscalibration, so resamples lie above the estimate, and the
estimate above the truth by about as much. Its interval ends at the resamples' quantile less that
bias and begins at theirs less twice the bias; it begins at 0 where the estimate is no more than
a calibrated model could show by chance, as it is then no sign of any miscalibration.

Where rows belong together, all of a group are drawn at once (the cluster bootstrap of Davison and
Hinkley, "Bootstrap methods and their application", 1997, 3.8): twenty faces of one person tell
less than twenty people. Few groups may look alike by chance, and one always does, so an interval
is at least as wide as that of rows drawn one by one.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from recognizer.training.evaluation.metrics import (
    ECE_BINS,
    Floats,
    Labels,
    bin_of,
    ece_by_chance,
    log_losses,
)

Interval = tuple[float, float]

SAMPLES: Final = 2000
SAMPLES_OF_GAIN: Final = 10_000
# Resamples held at once, in cells of rows times resamples: some 100 MB.
_CELLS: Final = 4_000_000


def summary_intervals(
    probabilities: Floats,
    labels: Labels,
    joined: Labels | None = None,
    seed: int = 0,
    samples: int = SAMPLES,
) -> dict[str, Interval]:
    """Intervals of the numbers that `metrics.summary` gives of all rows together.

    Args:
        probabilities: (N, K), rows sum to 1, N at least 1.
        labels: (N,) true classes, 0 to K-1.
        joined: (N,) numbers, the same for rows that belong together; each on its own, if not
            given.
        seed: of the resampling.
        samples: how often the rows are drawn anew.
    """
    classes = probabilities.shape[1]
    confidence, predicted = probabilities.max(axis=1), probabilities.argmax(axis=1)
    right = predicted == labels
    second = np.argsort(-probabilities, axis=1, kind="stable")[:, :2]
    among_two = (second == labels[:, None]).any(axis=1)
    shares = np.stack([right, among_two, log_losses(probabilities, labels)], axis=1).astype(float)
    cells = np.eye(classes * classes)[labels * classes + predicted]
    gaps = np.eye(ECE_BINS)[bin_of(confidence)] * (confidence - right)[:, None]
    estimate = float(np.abs(gaps.sum(axis=0)).sum() / len(labels))
    by_chance = estimate <= ece_by_chance(probabilities).at_most

    def drawn(joined: Labels | None) -> dict[str, Interval]:
        parts: dict[str, list[Floats]] = {name: [] for name in ("shares", "means", "ece")}
        for counts in _resamples(len(labels), joined, seed, samples):
            rows = counts.sum(axis=1)
            parts["shares"].append(counts @ shares / rows[:, None])
            parts["means"].append(_class_means((counts @ cells).reshape(-1, classes, classes)))
            parts["ece"].append(np.abs(counts @ gaps).sum(axis=1) / rows)
        values = {name: np.concatenate(found) for name, found in parts.items()}
        bias = float(values["ece"].mean()) - estimate
        low, high = _interval(values["ece"])
        return {
            "accuracy": _interval(values["shares"][:, 0]),
            "top2_accuracy": _interval(values["shares"][:, 1]),
            "nll": _interval(values["shares"][:, 2]),
            "macro_f1": _interval(values["means"][:, 0]),
            "mean_recall": _interval(values["means"][:, 1]),
            "ece": (0.0 if by_chance else max(0.0, low - 2 * bias), high - bias),
        }

    return _widest(drawn, joined)


def selective_intervals(
    score: Floats,
    wrong: NDArray[np.bool_],
    answered: NDArray[np.bool_],
    joined: Labels | None = None,
    seed: int = 0,
    samples: int = SAMPLES,
) -> dict[str, Interval | None]:
    """Intervals of coverage, selective_error and aurc; None where no row is answered.

    Ties of the score count as in `metrics.aurc`.

    Args:
        score: (N,) higher is less sure, N at least 1.
        wrong: (N,) whether the answer is wrong.
        answered: (N,) whether the model commits.
        joined, seed, samples: as above.
    """
    order = np.argsort(score, kind="stable")
    answered, wrong = answered[order], wrong[order]
    starts = np.flatnonzero(np.diff(score[order], prepend=-np.inf))
    tallies = np.stack([answered, answered & wrong], axis=1).astype(float)

    def drawn(joined: Labels | None) -> dict[str, Interval | None]:
        coverage, error, area = [], [], []
        for counts in _resamples(len(order), joined, seed, samples):
            kept, failed = (counts @ tallies).T
            coverage.append(kept / counts.sum(axis=1))
            error.append(failed[kept > 0] / kept[kept > 0])
            # The rows are in order of their score, so each resample is, too. Of ties each counts
            # as wrong by the share of them that is.
            tied = np.add.reduceat(counts, starts, axis=1)
            shares = np.add.reduceat(counts * wrong, starts, axis=1) / np.maximum(tied, 1)
            for share, count in zip(shares, tied.astype(np.int64), strict=True):
                risks = np.cumsum(np.repeat(share, count)) / np.arange(1, count.sum() + 1)
                area.append(risks.mean())
        errors = np.concatenate(error)
        return {
            "coverage": _interval(np.concatenate(coverage)),
            "selective_error": _interval(errors) if len(errors) else None,
            "aurc": _interval(np.array(area)),
        }

    return _widest(drawn, joined if joined is None else joined[order])


def auroc_interval(
    score: Floats,
    positive: NDArray[np.bool_],
    joined: Labels | None = None,
    seed: int = 0,
    samples: int = SAMPLES,
) -> Interval | None:
    """Interval of `metrics.auroc`; None when there are only positives or only negatives."""
    if positive.all() or not positive.any():
        return None
    order = np.argsort(score, kind="stable")
    positive = positive[order]
    starts = np.flatnonzero(np.diff(score[order], prepend=-np.inf))

    def drawn(joined: Labels | None) -> dict[str, Interval | None]:
        values = []
        for counts in _resamples(len(score), joined, seed, samples):
            above = np.add.reduceat(counts * positive, starts, axis=1)
            below = np.add.reduceat(counts * ~positive, starts, axis=1)
            lower = np.cumsum(below, axis=1) - below / 2
            pairs = above.sum(axis=1) * below.sum(axis=1)
            values.append(((above * lower).sum(axis=1)[pairs > 0]) / pairs[pairs > 0])
        found = np.concatenate(values)
        return {"auroc": _interval(found) if len(found) else None}

    return _widest(drawn, joined if joined is None else joined[order])["auroc"]


def gain_interval(
    first: NDArray[np.bool_],
    second: NDArray[np.bool_],
    joined: Labels | None = None,
    seed: int = 0,
    samples: int = SAMPLES_OF_GAIN,
) -> Interval:
    """Interval of how much more often `second` is right than `first`.

    The bootstrap is paired: rows are drawn, so what is hard for both models cancels out.

    Args:
        first, second: (N,) whether either model is right about the same rows, N at least 1.
        joined, seed, samples: as above.
    """
    rows = len(first)
    difference = second.astype(float) - first
    gained, lost = int((difference > 0).sum()), int((difference < 0).sum())

    def drawn(joined: Labels | None) -> dict[str, Interval]:
        if joined is None:
            # A row counts +1, -1 or 0, so a resample of all is one draw from a multinomial.
            shares = np.array([gained, lost, rows - gained - lost]) / rows
            counts = np.random.default_rng(seed).multinomial(rows, shares, samples)
            return {"gain": _interval((counts[:, 0] - counts[:, 1]) / rows)}
        resamples = _resamples(rows, joined, seed, samples)
        means = [counts @ difference / counts.sum(axis=1) for counts in resamples]
        return {"gain": _interval(np.concatenate(means))}

    return _widest(drawn, joined)["gain"]


Intervals = TypeVar("Intervals", bound=Mapping[str, Interval | None])


def _widest(drawn: Callable[[Labels | None], Intervals], joined: Labels | None) -> Intervals:
    """The intervals of rows drawn one by one, as wide at least as those of groups drawn whole."""
    alone = drawn(None)
    if joined is None:
        return alone
    return {name: _hull(alone[name], other) for name, other in drawn(joined).items()}  # type: ignore[return-value]


def _hull(one: Interval | None, other: Interval | None) -> Interval | None:
    if one is None or other is None:
        return one or other
    return min(one[0], other[0]), max(one[1], other[1])


def _resamples(rows: int, joined: Labels | None, seed: int, samples: int) -> Iterator[Floats]:
    """How often each row was drawn: (some resamples, rows); of a group, all as often."""
    rng = np.random.default_rng(seed)
    block = max(1, _CELLS // rows)
    group = None if joined is None else np.unique(joined, return_inverse=True)[1]
    draws = rows if group is None else int(group.max()) + 1
    for start in range(0, samples, block):
        size = min(block, samples - start)
        drawn = rng.integers(0, draws, (size, draws)) + np.arange(size)[:, None] * draws
        counts = np.bincount(drawn.ravel(), minlength=size * draws).reshape(size, draws)
        yield (counts if group is None else counts[:, group]).astype(float)


def _class_means(confusion: Floats) -> Floats:
    """(S, 2) macro-F1 and mean recall of (S, K, K), as in `metrics.summary`."""
    hits = np.diagonal(confusion, axis1=1, axis2=2)
    actual, predicted = confusion.sum(axis=2), confusion.sum(axis=1)
    f1 = 2 * hits / np.maximum(actual + predicted, 1)
    recall = hits / np.maximum(actual, 1)
    # What no row is of has no hits, so both are 0 there.
    named, shown = ((actual + predicted) > 0).sum(axis=1), (actual > 0).sum(axis=1)
    means: Floats = np.stack([f1.sum(axis=1) / named, recall.sum(axis=1) / shown], axis=1)
    return means


def _interval(values: Floats) -> Interval:
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)
