"""People's ratings of the valence and arousal of single faces, which judge what models say."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recognizer.training.affect.agreement import AXES
from recognizer.training.affect.circumplex import places
from recognizer.training.datasets.faces import FER2013_LABELS, DatasetError, Faces

# The files' scale is -2 to 2, ours -1 to 1.
LIMIT: Final = 2.0
FEWEST: Final = 20
_FAR: Final = 2**62
# Valence of the right rows follows their labels with 0.7, that of other rows with about 0.
LEAST_CORRELATION: Final = 0.3


@dataclass(frozen=True, slots=True)
class Ratings:
    """Ratings of some PublicTest faces.

    Attributes:
        rows: (N,) int64, 0-based rows of the data set.
        values: (N, 2) float64, valence and arousal, -1 to 1.
    """

    rows: NDArray[np.int64]
    values: NDArray[np.float64]


def read_ratings(path: Path, faces: Faces) -> Ratings:
    """Read `row,valence,arousal`, ratings from -2 to 2, of PublicTest rows of `faces`.

    Raises:
        DatasetError: the file is not that, or was made for another data set.
    """
    rows, ratings = _parse(path)
    if len(rows) < FEWEST:
        raise DatasetError(
            f"{path.name} has {len(rows)} ratings; at least {FEWEST} are needed to judge."
        )
    if len(set(rows.tolist())) != len(rows):
        raise DatasetError(f"{path.name} rates a row twice; it must name each row once.")
    outside = (rows < 0) | (rows >= len(faces))
    if outside.any():
        raise DatasetError(
            f"{path.name} rates row {rows[outside][0]}, but the data set has rows 0 to "
            f"{len(faces) - 1}. Give the data set that the ratings were made for, whole."
        )
    learned = faces.splits[rows] != "PublicTest"
    if learned.any():
        row = int(rows[learned][0])
        raise DatasetError(
            f"{path.name} rates row {row}, which is a {faces.splits[row]} row; only PublicTest "
            "rows may judge. Rows count from 0 in the file of all splits, without its header."
        )
    _refuse_shifted(path, faces.labels[rows], ratings[:, 0])
    return Ratings(rows, ratings)


def _parse(path: Path) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    rows, ratings = [], []
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines)
            missing = {"row", *AXES} - set(reader.fieldnames or ())
            if missing:
                raise DatasetError(
                    f"{path.name} lacks the columns {', '.join(sorted(missing))}; its first line "
                    "must name row, valence and arousal."
                )
            for number, line in enumerate(reader, start=1):
                row, rating = _parse_line(path, number, line)
                rows.append(row)
                ratings.append(rating)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path} cannot be read: {error}.") from error
    return np.array(rows, np.int64), np.array(ratings, np.float64).reshape(-1, 2) / LIMIT


def _parse_line(path: Path, number: int, line: dict[str, str]) -> tuple[int, list[float]]:
    try:
        row, rating = int(line["row"]), [float(line[axis]) for axis in AXES]
    except (TypeError, ValueError):
        raise DatasetError(
            f"{path.name}, line {number + 1}: row must be a whole number, valence and arousal "
            "numbers."
        ) from None
    if not -_FAR <= row <= _FAR:
        raise DatasetError(f"{path.name}, line {number + 1}: no data set has a row {row}.")
    if not all(-LIMIT <= value <= LIMIT for value in rating):
        raise DatasetError(
            f"{path.name}, line {number + 1}: valence and arousal must be in "
            f"{-LIMIT:g} to {LIMIT:g}, got {rating[0]:g} and {rating[1]:g}."
        )
    return row, rating


def _refuse_shifted(path: Path, labels: NDArray[np.int64], valence: NDArray[np.float64]) -> None:
    """Ratings of other faces than these do not follow their labels."""
    labels, valence = labels[labels >= 0], valence[labels >= 0]
    expected = places(FER2013_LABELS)[labels, 0]
    flat = not len(labels) or expected.std() == 0 or valence.std() == 0
    found = 0.0 if flat else float(np.corrcoef(expected, valence)[0, 1])
    if found < LEAST_CORRELATION:
        raise DatasetError(
            f"{path.name}: its valence does not follow the emotions of the rows it names "
            f"(correlation {found:.2f}, at least {LEAST_CORRELATION} expected), so it was made for "
            "another data set or order. Rows count from 0 in the file of all splits."
        )
