"""What reading a data set gives: its faces, and what was wrong with it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from recognizer.training.datasets.faces import DatasetError, Faces

Bad = Literal["stop", "skip"]
"""What to do about problems: refuse the data set, or leave out what is concerned."""

_NAMED: Final = 12
_NAMED_GROUPS: Final = 5


@dataclass(frozen=True)
class Problem:
    """Something in a data set that cannot be used.

    Attributes:
        path: the file or folder, or a file's row: "fer2013.csv, row 7".
        what: what is wrong with it, and what would be right.
    """

    path: str
    what: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what}"


@dataclass(frozen=True)
class Reading:
    """A data set as it was read; `sizes` and `origins` follow the rows of `faces`.

    Attributes:
        faces: the faces, in the order of the source, further images last.
        layout: what the source turned out to be, as in `reading.LAYOUTS`.
        problems: what was skipped and why; empty unless skipping was asked for.
        notes: sentences on what was decided while reading: names, held-out characters.
        sizes: (N, 2) int64, width and height of each image before it was resized.
        origins: where each row comes from: a path below the source, or a file and its row.
        further: how many of the last rows were added to Training from other data sets.
        files: the file of each row; empty where they are rows of one file, or shards.
    """

    faces: Faces
    layout: str
    sizes: NDArray[np.int64]
    origins: tuple[str, ...]
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    further: int = 0
    files: tuple[Path, ...] = ()

    def where(self, mask: NDArray[np.bool_]) -> "Reading":
        """The rows for which the mask, (N,), is true."""
        return replace(
            self,
            faces=self.faces.where(mask),
            sizes=self.sizes[mask],
            origins=tuple(compress(self.origins, mask)),
            further=int(mask[len(mask) - self.further :].sum()),
            files=tuple(compress(self.files, mask)),
        )


class BadParts(DatasetError):
    """Data sets have problems that were not to be skipped.

    Attributes:
        only: whether nothing else is wrong, so that skipping lets them be read.
    """

    def __init__(self, message: str, only: bool = True) -> None:
        super().__init__(message)
        self.only = only


def settle(problems: Sequence[Problem], bad: Bad, where: str) -> None:
    """Stop for problems unless they are to be skipped.

    Raises:
        BadParts: there are problems and `bad` is "stop"; it counts them all and names the
            first dozen.
    """
    if bad == "skip" or not problems:
        return
    if len(problems) == 1:
        raise BadParts(str(problems[0]))
    lines = [f"  {problem}" for problem in problems[:_NAMED]]
    if len(problems) > _NAMED:
        lines.append(f"  … and {len(problems) - _NAMED} more")
    raise BadParts("\n".join([f"{where} has {len(problems)} problems:", *lines]))


def read_all(readings: Sequence[Callable[[], Reading]]) -> list[Reading]:
    """Read several data sets; what is wrong with them is told in one go.

    Raises:
        BadParts: one or several have problems that could be skipped.
        DatasetError: one or several cannot be read at all, and the others have no problems.
    """
    read: list[Reading] = []
    refused: list[DatasetError] = []
    for reading in readings:
        try:
            read.append(reading())
        except DatasetError as error:
            refused.append(error)
    if not refused:
        return read
    message = "\n".join(map(str, refused))
    skippable = [isinstance(error, BadParts) for error in refused]
    if any(skippable):
        raise BadParts(message, only=all(skippable))
    raise DatasetError(message)


def tell_skipped(problems: Sequence[Problem], report: Callable[[str], None]) -> None:
    """Name and count what was left out."""
    for problem in problems:
        report(f"Skipped {problem}")
    if problems:
        report(f"{len(problems)} problems were skipped.")


def joined(readings: Sequence[Reading]) -> Reading:
    """Several readings as one, in order; the first one's layout names it."""
    first = readings[0]
    if len(readings) == 1:
        return first
    parts = [reading.faces for reading in readings]
    faces = Faces(
        np.concatenate([part.images for part in parts]),
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.votes for part in parts]),
        np.concatenate([part.named for part in parts]),
        np.concatenate([part.splits for part in parts]),
        np.concatenate([part.groups for part in parts]),
    )
    return Reading(
        faces,
        first.layout,
        np.concatenate([reading.sizes for reading in readings]),
        tuple(origin for reading in readings for origin in reading.origins),
        tuple(problem for reading in readings for problem in reading.problems),
        tuple(note for reading in readings for note in reading.notes),
        len(faces) - len(parts[0]),
        tuple(file for reading in readings for file in reading.files)
        if all(len(reading.files) == len(reading.faces) for reading in readings)
        else (),
    )


def kept_apart(reading: Reading) -> Reading:
    """Without what further data sets have of the groups that are held out, and with a note."""
    groups, rows = reading.faces.groups, np.arange(len(reading.faces))
    held_out = groups[(reading.faces.splits != "Training") & (groups != "")]
    concerned = np.isin(groups, held_out) & (rows >= len(rows) - reading.further)
    if not concerned.any():
        return reading
    names = np.unique(groups[concerned]).tolist()
    named = ", ".join(names[:_NAMED_GROUPS]) + (", …" if names[_NAMED_GROUPS:] else "")
    note = (
        f"{concerned.sum()} further faces were left out, as others of the same group (a person, a "
        f"photo, a character) are held out: {named}."
    )
    return replace(reading.where(~concerned), notes=(*reading.notes, note))
