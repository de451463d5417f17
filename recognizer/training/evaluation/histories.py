"""What a run's history.csv tells: its training curves."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from recognizer.training.evaluation.charts import Series
from recognizer.training.evaluation.metrics import Floats

# The columns that are no curve.
_NO_CURVE: Final = ("epoch", "seconds")


@dataclass(frozen=True, slots=True)
class CurveGroup:
    """Training curves that share an axis."""

    title: str
    curves: tuple[Series, ...]
    shares: bool


def read_history(path: Path) -> list[CurveGroup]:
    """The curves of a run's history.csv, grouped by what they have in common.

    Args:
        path: has a header, a column "epoch", and other columns of numbers.

    Returns:
        A group of losses, one of accuracies, and one for each other column; empty when the
        file has no row.

    Raises:
        ValueError: the file cannot be read, or is not such a file.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise ValueError(f"The history {path} cannot be read: {why}.") from error
    if not rows:
        return []
    if "epoch" not in rows[0]:
        raise ValueError(
            f"The history {path} has no column epoch; expected the history.csv of a training run."
        )
    try:
        columns = {
            name: np.array([float(row[name]) for row in rows])
            for name in rows[0]
            if name is not None
        }
    except (TypeError, ValueError):
        raise ValueError(
            f"The history {path} holds something else than numbers; expected the history.csv of "
            "a training run."
        ) from None
    return _grouped(columns)


def _grouped(columns: dict[str, Floats]) -> list[CurveGroup]:
    curves = {
        name: Series(name.replace("_", " "), columns["epoch"], values)
        for name, values in columns.items()
        if name not in _NO_CURVE
    }
    losses = tuple(curve for name, curve in curves.items() if "loss" in name)
    accuracies = tuple(curve for name, curve in curves.items() if "accuracy" in name)
    groups = [CurveGroup("Loss", losses, False), CurveGroup("Accuracy", accuracies, True)]
    groups += [
        CurveGroup(curve.name.capitalize(), (curve,), False)
        for curve in curves.values()
        if curve not in losses and curve not in accuracies
    ]
    return [group for group in groups if group.curves]
