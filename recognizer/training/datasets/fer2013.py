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
from pathlib import Path
from typing import Final, TextIO

import numpy as np
from numpy.typing import NDArray

from recognizer.training.datasets.faces import FER2013_LABELS, SPLITS, DatasetError, Faces

SIDE: Final = 48
_MOST_VOTES: Final = 1_000_000
# FER+'s column for each of our emotions, then its two ways of declining.
_FERPLUS_COLUMNS: Final = {
    "anger": "anger",
    "contempt": "contempt",
    "disgust": "disgust",
    "fear": "fear",
    "happy": "happiness",
    "neutral": "neutral",
    "sad": "sadness",
    "surprise": "surprise",
}
# What a damaged file gives; RuntimeError is zipfile's, for a password and for unknown methods.
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


def read(fer2013: Path, ferplus: Path) -> Faces:
    """Read both files, plain or packed (.gz, .bz2, .xz, .zip), and align them row by row."""
    images, labels, splits = _read_pixels(fer2013)
    votes, named, vote_splits = _read_votes(ferplus)
    # A file may hold fewer splits than the other: what they share is matched.
    rows = np.isin(splits, vote_splits)
    vote_rows = np.isin(vote_splits, splits)
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
    return Faces(images[rows], labels[rows], votes[vote_rows], named[vote_rows], splits)


def _read_pixels(
    path: Path,
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.str_]]:
    images, labels, splits = [], [], []
    with _open_text(path) as lines:
        reader = csv.DictReader(lines)
        _require_columns(path, reader, ("emotion", "pixels", "Usage"))
        for number, row in enumerate(reader, start=1):
            images.append(_parse_pixels(path, number, row["pixels"]))
            labels.append(_parse_label(path, number, row["emotion"]))
            splits.append(_parse_split(path, number, row["Usage"]))
    if not images:
        raise DatasetError(f"{path.name} has a header but no rows.")
    return np.stack(images), np.array(labels, np.int64), np.array(splits, np.str_)


def _parse_pixels(path: Path, number: int, text: str) -> NDArray[np.uint8]:
    try:
        pixels = np.array((text or "").split(), dtype=np.int64)
    except (ValueError, OverflowError) as error:
        raise DatasetError(f"{path.name}, row {number}: pixels must be numbers: {error}.") from None
    if len(pixels) != SIDE * SIDE:
        raise DatasetError(
            f"{path.name}, row {number}: expected {SIDE * SIDE} grey levels of 0-255, got "
            f"{len(pixels)} values."
        )
    if not 0 <= pixels.min() <= pixels.max() <= 255:
        raise DatasetError(
            f"{path.name}, row {number}: grey levels must be 0-255, got {pixels.min()} to "
            f"{pixels.max()}."
        )
    return pixels.astype(np.uint8).reshape(SIDE, SIDE)


def _parse_label(path: Path, number: int, text: str) -> int:
    if text not in {str(label) for label in range(len(FER2013_LABELS))}:
        raise DatasetError(f"{path.name}, row {number}: emotion must be 0-6, got {text!r}.")
    return int(text)


def _parse_split(path: Path, number: int, text: str) -> str:
    if text not in SPLITS:
        raise DatasetError(
            f"{path.name}, row {number}: Usage must be {', '.join(SPLITS)}; got {text!r}."
        )
    return text


def _read_votes(path: Path) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.str_]]:
    columns = (*_FERPLUS_COLUMNS.values(), "unknown", "NF")
    votes, named, splits = [], [], []
    with _open_text(path) as lines:
        reader = csv.DictReader(lines)
        _require_columns(path, reader, ("Usage", "Image name", *columns))
        for number, row in enumerate(reader, start=1):
            try:
                votes.append([_parse_vote(row[column]) for column in columns])
            except (TypeError, ValueError):
                raise DatasetError(
                    f"{path.name}, row {number}: every vote must be a whole number from 0."
                ) from None
            named.append(bool((row["Image name"] or "").strip()))
            splits.append(_parse_split(path, number, row["Usage"]))
    return (
        np.array(votes, np.int64).reshape(-1, len(columns)),
        np.array(named, np.bool_),
        np.array(splits, np.str_),
    )


def _parse_vote(text: str) -> int:
    vote = int(text)
    if not 0 <= vote <= _MOST_VOTES:
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
    openers: dict[str, Callable[..., TextIO]] = {
        ".gz": gzip.open,
        ".bz2": bz2.open,
        ".xz": lzma.open,
    }
    try:
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                names = [name for name in archive.namelist() if name.endswith(".csv")]
                if len(names) != 1:
                    raise DatasetError(f"{path.name} must hold exactly one .csv, not {len(names)}.")
                with archive.open(names[0]) as packed:
                    yield io.TextIOWrapper(packed, "utf-8-sig", newline="")
        elif path.suffix in openers:
            with openers[path.suffix](path, "rt", encoding="utf-8-sig", newline="") as lines:
                yield lines
        else:
            with path.open(encoding="utf-8-sig", newline="") as lines:
                yield lines
    except _UNREADABLE as error:
        raise DatasetError(f"{path} cannot be read: {error}.") from error
