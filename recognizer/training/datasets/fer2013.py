"""Read FER-2013 and the FER+ votes.

FER-2013: Goodfellow et al., "Challenges in representation learning" (2013).
FER+: Barsoum et al., "Training deep networks for facial expression recognition with
crowd-sourced label distribution" (2016); ten annotators voted on every image.
"""

import bz2
import csv
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Final, TextIO

import numpy as np
from numpy.typing import NDArray

from recognizer.training.datasets.classes import CLASSES
from recognizer.training.datasets.faces import (
    ANNOTATORS,
    FER2013_LABELS,
    MOST_VOTES,
    SPLITS,
    DatasetError,
    Faces,
)
from recognizer.training.datasets.pictures import is_litter
from recognizer.training.datasets.progress import bar
from recognizer.training.datasets.result import Bad, Problem, settle

SIDE: Final = 48
# FER+'s name for each column of `Faces.votes`: our emotions, then its two ways of declining.
FERPLUS_COLUMNS: Final = {
    "anger": "anger",
    "contempt": "contempt",
    "disgust": "disgust",
    "fear": "fear",
    "happy": "happiness",
    "neutral": "neutral",
    "sad": "sadness",
    "surprise": "surprise",
    "unknown": "unknown",
    "not_a_face": "NF",
}
# RuntimeError: an encrypted archive, or one packed in an unknown way.
_UNREADABLE: Final = (
    OSError,
    EOFError,
    RuntimeError,
    UnicodeDecodeError,
    csv.Error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    zlib.error,
)
# Text to level at once; millions of numbers are too many to convert one by one.
_LEVELS: Final = {str(level): level for level in range(256)}


def read(fer2013: Path, ferplus: Path | None = None) -> Faces:
    """Read both files, plain or packed (.gz, .bz2, .xz, .zip), and align them row by row.

    Args:
        fer2013: the pictures with their own labels.
        ferplus: the votes; without them, each row counts as ten votes for its own label.

    Raises:
        DatasetError: a file or a row is not what it should be.
    """
    return read_rows(fer2013, ferplus, "stop")[0]


def read_rows(
    fer2013: Path, ferplus: Path | None, bad: Bad
) -> tuple[Faces, NDArray[np.int64], list[Problem]]:
    """The rows that can be read, as in `read`; their numbers in the file, from 1; the problems.

    Raises:
        DatasetError: a file cannot be read, the two do not match, or there are problems and
            `bad` is "stop".
    """
    problems: list[Problem] = []
    images, labels, splits = _read_pixels(fer2013, problems)
    numbers = np.arange(1, len(labels) + 1)
    if ferplus is None:
        settle(problems, bad, str(fer2013))
        votes, named = _own_votes(labels), np.ones(len(labels), np.bool_)
    else:
        votes, named, vote_splits = _read_votes(ferplus, problems)
        settle(problems, bad, f"{fer2013}, with {ferplus.name},")
        # Where both are whole, a row that lost its Usage still has its place.
        if len(splits) == len(vote_splits):
            splits = np.where(splits == "", vote_splits, splits)
        rows, vote_rows = _matched(fer2013, splits, ferplus, vote_splits)
        images, labels, splits, numbers = images[rows], labels[rows], splits[rows], numbers[rows]
        votes, named = votes[vote_rows], named[vote_rows]
    read = (labels >= 0) & (votes >= 0).all(axis=1) & (splits != "")
    nobody = np.full(len(images), "")  # Who is in a picture, FER-2013 doesn't say.
    faces = Faces(images, labels, votes, named, splits, nobody)
    if read.all():
        return faces, numbers, problems
    return faces.where(read), numbers[read], problems


def _own_votes(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    votes = np.zeros((len(labels), len(CLASSES)), np.int64)
    columns = np.array([CLASSES.index(name) for name in FER2013_LABELS])
    votes[np.arange(len(labels)), columns[labels]] = ANNOTATORS
    return votes


def _matched(
    fer2013: Path, splits: NDArray[np.str_], ferplus: Path, vote_splits: NDArray[np.str_]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which rows of either file belong together: those of the splits that both hold."""
    rows, vote_rows = np.isin(splits, vote_splits), np.isin(vote_splits, splits)
    splits, vote_splits = splits[rows], vote_splits[vote_rows]
    if not len(splits):
        raise DatasetError(f"{fer2013.name} and {ferplus.name} have no split in common.")
    if len(splits) != len(vote_splits):
        raise DatasetError(
            f"{fer2013.name} has {len(splits)} rows and {ferplus.name} has {len(vote_splits)} of "
            f"{', '.join(sorted(set(splits.tolist())))}; the two files are matched row by row, so "
            "of each split both must hold the same rows in the same order."
        )
    differing = np.flatnonzero(splits != vote_splits)
    if len(differing):
        row = int(differing[0])
        raise DatasetError(
            f"Row {row + 1} is {splits[row]} in {fer2013.name} but {vote_splits[row]} in "
            f"{ferplus.name}; both files must hold the same rows in the same order."
        )
    return rows, vote_rows


def _read_pixels(
    path: Path, problems: list[Problem]
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.str_]]:
    """Images, labels and splits; a row that cannot be read is black, -1 and may have no split."""
    pixels, labels, splits = bytearray(), [], []
    with _open_text(path) as lines:
        # The challenge's own file has spaces after its commas.
        reader = csv.DictReader(lines, skipinitialspace=True)
        _require_columns(path, reader, ("emotion", "pixels", "Usage"))
        for number, row in enumerate(bar(reader, f"reading {path.name}", "rows"), start=1):
            wrong = _wrong_label(row["emotion"]) or _wrong_split(row["Usage"])
            levels = _parse_pixels(row["pixels"] or "")
            if isinstance(levels, str):
                wrong, levels = wrong or levels, bytes(SIDE * SIDE)
            if wrong:
                problems.append(Problem(f"{path.name}, row {number}", wrong))
            pixels += levels
            labels.append(-1 if wrong else int(row["emotion"]))
            splits.append("" if _wrong_split(row["Usage"]) else row["Usage"])
    if not labels:
        raise DatasetError(f"{path.name} has a header but no rows.")
    # One array that was never copied: there are tens of thousands of pictures.
    images = np.frombuffer(pixels, np.uint8).reshape(-1, SIDE, SIDE)
    return images, np.array(labels, np.int64), np.array(splits, np.str_)


def _parse_pixels(text: str) -> bytes | str:
    """The grey levels, or what is wrong with them."""
    words = text.split()
    try:
        levels = bytes([_LEVELS[word] for word in words])
    except KeyError:
        try:
            numbers = [int(word) for word in words]
        except ValueError as error:
            return f"pixels must be numbers: {error}."
        if not 0 <= min(numbers) <= max(numbers) <= 255:
            return f"grey levels must be 0-255, got {min(numbers)} to {max(numbers)}."
        levels = bytes(numbers)
    if len(levels) != SIDE * SIDE:
        return f"expected {SIDE * SIDE} grey levels of 0-255, got {len(levels)} values."
    return levels


def _wrong_label(text: str | None) -> str:
    good = text in {str(label) for label in range(len(FER2013_LABELS))}
    return "" if good else f"emotion must be 0-6, got {text!r}."


def _wrong_split(text: str | None) -> str:
    return "" if text in SPLITS else f"Usage must be {', '.join(SPLITS)}; got {text!r}."


def _read_votes(
    path: Path, problems: list[Problem]
) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.str_]]:
    """Votes, names and splits; a row that cannot be read has votes of -1."""
    columns = tuple(FERPLUS_COLUMNS.values())
    votes, named, splits = [], [], []
    with _open_text(path) as lines:
        reader = csv.DictReader(lines)
        _require_columns(path, reader, ("Usage", "Image name", *columns))
        for number, row in enumerate(reader, start=1):
            wrong = _wrong_split(row["Usage"])
            try:
                counts = [_parse_vote(row[column]) for column in columns]
            except (TypeError, ValueError):
                wrong = wrong or "every vote must be a whole number from 0."
            if wrong:
                problems.append(Problem(f"{path.name}, row {number}", wrong))
                counts = [-1] * len(columns)
            votes.append(counts)
            named.append(bool((row["Image name"] or "").strip()))
            splits.append("" if _wrong_split(row["Usage"]) else row["Usage"])
    return (
        np.array(votes, np.int64).reshape(-1, len(columns)),
        np.array(named, np.bool_),
        np.array(splits, np.str_),
    )


def _parse_vote(text: str) -> int:
    vote = int(text)
    if not 0 <= vote <= MOST_VOTES:
        raise ValueError(text)
    return vote


def _require_columns(path: Path, reader: "csv.DictReader[str]", columns: tuple[str, ...]) -> None:
    present = reader.fieldnames or ()
    missing = [column for column in columns if column not in present]
    if missing:
        raise DatasetError(
            f"{path.name} lacks the columns {', '.join(missing)}; its first line is "
            f"{', '.join(present)[:120] or 'empty'}."
        )


@contextmanager
def _open_text(path: Path) -> Iterator[TextIO]:
    """Open a CSV, unpacking it by its suffix; DatasetError when it cannot be read."""
    if ".tar" in path.suffixes or path.suffix == ".tgz":
        # Unpacked, it would pass for text.
        raise DatasetError(f"{path} is an archive of several files; unpack it, and name its .csv.")
    openers: dict[str, Callable[..., TextIO]] = {
        ".gz": gzip.open,
        ".bz2": bz2.open,
        ".xz": lzma.open,
    }
    suffix = path.suffix.casefold()
    try:
        if suffix == ".zip":
            with zipfile.ZipFile(path) as archive, archive.open(_table(path, archive)) as packed:
                yield io.TextIOWrapper(packed, "utf-8-sig", newline="")
        elif suffix in openers:
            with openers[suffix](path, "rt", encoding="utf-8-sig", newline="") as lines:
                yield lines
        else:
            with path.open(encoding="utf-8-sig", newline="") as lines:
                yield lines
    except _UNREADABLE as error:
        raise DatasetError(f"{path} cannot be read: {error}.") from error


def _table(path: Path, archive: zipfile.ZipFile) -> str:
    """The archive's one CSV."""
    names = [
        name
        for name in archive.namelist()
        # A Mac puts __MACOSX/._fer2013.csv beside fer2013.csv.
        if name.casefold().endswith(".csv") and not any(map(is_litter, PurePosixPath(name).parts))
    ]
    if len(names) != 1:
        raise DatasetError(f"{path.name} must hold exactly one .csv, not {len(names)}.")
    return names[0]
