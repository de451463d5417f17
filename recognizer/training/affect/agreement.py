"""How far valence and arousal agree with people's ratings; NumPy only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SAMPLES: Final = 2000
AXES: Final = ("valence", "arousal")


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to valence and arousal.

    Attributes:
        name: for people; no two have the same.
        kind: "baseline", "model", or "reference" for what knows more than a served model can.
        values: (N, 2) of the rated faces.
    """

    name: str
    kind: str
    values: Floats


def ccc(predicted: Floats, rated: Floats) -> Floats:
    """Lin's concordance correlation coefficient (1989), over the last axis.

    1 for equal numbers, 0 for a constant, -1 for exact opposites around one mean. Unlike a
    correlation it also counts a wrong mean and a wrong spread. Two equal constants give 0.
    """
    middle, truth = predicted.mean(axis=-1), rated.mean(axis=-1)
    joint = ((predicted - middle[..., None]) * (rated - truth[..., None])).mean(axis=-1)
    spread = predicted.var(axis=-1) + rated.var(axis=-1) + (middle - truth) ** 2
    # The mean of equal numbers is seldom quite that number, so their variance is not quite 0.
    varied = (np.ptp(predicted, axis=-1) > 0) & (np.ptp(rated, axis=-1) > 0) & (spread > 0)
    agreement: Floats = np.where(varied, 2 * joint / np.where(varied, spread, 1), 0.0)
    return agreement


def rmse(predicted: Floats, rated: Floats) -> Floats:
    """Root of the mean squared error, over the last axis."""
    error: Floats = np.sqrt(((predicted - rated) ** 2).mean(axis=-1))
    return error


def judge(
    candidates: Sequence[Candidate], ratings: Floats, shipped: Mapping[str, str], seed: int
) -> list[dict[str, Any]]:
    """Score candidates on the same resampled rows, so that their differences are paired.

    Args:
        candidates: the first one is the constant that the others must beat.
        ratings: (N, 2) people's.
        shipped: for each of AXES the name of the candidate that the others are compared with.
        seed: of the bootstrap (2,000 resamples, 95% percentile intervals).

    Returns:
        For each candidate `name`, `kind` and, by axis, `ccc`, `rmse`, the `ccc_difference` and
        `rmse_difference` to what is shipped, an interval of each, and `beats_constant`: whether
        the interval of the CCC is above 0 and the RMSE is lower than the constant's.
    """
    rows = np.random.default_rng(seed).integers(0, len(ratings), (SAMPLES, len(ratings)))
    scores: list[dict[str, Any]] = [{"name": one.name, "kind": one.kind} for one in candidates]
    for column, axis in enumerate(AXES):
        rated = ratings[:, column]
        values = {one.name: one.values[:, column] for one in candidates}
        drawn = {name: _drawn(value, rated, rows) for name, value in values.items()}
        base = shipped[axis]
        constant = float(rmse(values[candidates[0].name], rated))
        for score in scores:
            score[axis] = found = _scores(values[score["name"]], values[base], rated)
            for measure, samples in drawn[score["name"]].items():
                found[f"{measure}_interval"] = _interval(samples)
                difference = samples - drawn[base][measure]
                found[f"{measure}_difference_interval"] = _interval(difference)
            found["beats_constant"] = found["ccc_interval"][0] > 0 and found["rmse"] < constant
    return scores


def _scores(values: Floats, base: Floats, rated: Floats) -> dict[str, Any]:
    measures = {"ccc": ccc, "rmse": rmse}
    own = {name: float(measure(values, rated)) for name, measure in measures.items()}
    differences = {
        f"{name}_difference": own[name] - float(measure(base, rated))
        for name, measure in measures.items()
    }
    return own | differences


def _drawn(values: Floats, rated: Floats, rows: NDArray[np.int64]) -> dict[str, Floats]:
    drawn, truth = values[rows], rated[rows]
    return {"ccc": ccc(drawn, truth), "rmse": rmse(drawn, truth)}


def _interval(samples: Floats) -> list[float]:
    low, high = np.quantile(samples, [0.025, 0.975])
    return [float(low), float(high)]
