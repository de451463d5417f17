"""One way to read any data set of faces."""

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recognizer.training.datasets import fer2013
from recognizer.training.datasets.faces import EMOTION_OF_LABEL, DatasetError, Faces
from recognizer.training.datasets.folders import (
    CLASS_FOLDERS,
    FERG,
    SPLIT_FOLDERS,
    plan_folders,
    refuse_loose,
)
from recognizer.training.datasets.packing import is_packed, read_packed
from recognizer.training.datasets.pictures import Plan, carry_out, grey_square, subfolders
from recognizer.training.datasets.result import Bad, Problem, Reading, joined, kept_apart, read_all
from recognizer.training.datasets.votes import REVIEWED, plan_votes

__all__ = [
    "LAYOUTS",
    "Problem",
    "Reading",
    "plan_images",
    "read_dataset",
    "training_and_held_out",
]

FER2013: Final = (
    "FER-2013: a file with the columns emotion, pixels, Usage (.csv, .gz, .bz2, .xz, .zip)"
)
PACKED: Final = "packed: a folder that `manage.py dataset pack` has written"
UNVOTED: Final = (FER2013, SPLIT_FOLDERS, CLASS_FOLDERS, FERG)
"""Layouts in which a picture has one label of its own; FER+ brings the votes for FER2013."""
LAYOUTS: Final = (FER2013, SPLIT_FOLDERS, CLASS_FOLDERS, FERG, REVIEWED, PACKED)
SIZES: Final = (8, 512)
# Of the rows with a label and a majority; shuffled votes agree with about a fifth of the labels.
_LEAST_AGREEMENT: Final = 0.4
_FEWEST_COMPARED: Final = 100


def read_dataset(
    source: Path,
    *,
    ferplus: Path | None = None,
    extra: Sequence[Path] = (),
    size: int = fer2013.SIDE,
    bad: Bad = "stop",
    apart: bool = True,
) -> Reading:
    """Read a data set in any of LAYOUTS; which one it is, is seen from the files.

    Args:
        source: a file in the layout of FER-2013, or a folder.
        ferplus: FER+ votes that belong to the rows of a FER-2013 file; without them, each row
            counts as ten votes for its own label, as an image in a class folder does.
        extra: further data sets, added to Training; what they hold out themselves is left out.
        apart: leave out what these have of groups that the source holds out, too: nobody's face
            is to be on both sides. Not for who draws other sides.
        size: side of the images in pixels, 8-512; images of another size are resized, and of
            those that are not square the middle is taken.
        bad: "stop" refuses a data set with problems, "skip" leaves out what is concerned.

    Raises:
        DatasetError: the layout is unknown, nothing can be read, one place is named twice, or
            there are problems and `bad` is "stop".
    """
    if not SIZES[0] <= size <= SIZES[1]:
        raise DatasetError(f"The size must lie in {SIZES[0]}-{SIZES[1]} pixels, not {size}.")
    places = [place.resolve() for place in (source, *extra)]
    if twice := [str(place) for place in dict.fromkeys(places) if places.count(place) > 1]:
        raise DatasetError(f"Named more than once: {', '.join(twice)}. Name it once.")
    first = partial(_read, source, ferplus, size, bad)
    further = [partial(_read_further, place, size, bad) for place in extra]
    reading = joined(read_all([first, *further]))
    return kept_apart(reading) if apart else reading


def plan_images(folder: Path, hold_out: bool = True) -> Plan | None:
    """What is in a folder of images, or in the one folder that it holds; None if it is in no
    layout.

    Args:
        folder: the folder.
        hold_out: as in `plan_folders`.

    Raises:
        DatasetError: a folder or votes.csv cannot be read.
    """
    around: list[Path] = []
    while True:
        plan = plan_votes(folder, hold_out) or plan_folders(folder, hold_out)
        # Archives often hold one folder that holds all.
        inside = subfolders(folder)
        if plan is not None or len(inside) != 1:
            break
        around.append(folder)
        folder = inside[0]
    if plan is not None:
        for outer in around:
            refuse_loose(plan, outer)
    return plan


def training_and_held_out(reading: Reading) -> tuple[Faces, Faces]:
    """The Training rows and the held-out rows (PublicTest).

    Raises:
        DatasetError: there are none of either; it says how a data set gets them.
    """
    present = set(reading.faces.splits.tolist())
    for split, where in (("Training", "train/<class>/"), ("PublicTest", "test/<class>/")):
        if split not in present:
            raise DatasetError(
                f"The data set ({reading.layout}) has no {split} rows; it holds "
                f"{', '.join(sorted(present))}. Training needs rows to learn from (Training) and "
                f"rows held out to measure on (PublicTest): in folders, put some into {where}, or "
                "let `manage.py dataset pack --split random` draw them."
            )
    return reading.faces.split("Training"), reading.faces.split("PublicTest")


def _read_further(place: Path, size: int, bad: Bad) -> Reading:
    reading = _read(place, None, size, bad, hold_out=False)
    # A path that tells where it comes from, among those of other data sets.
    return replace(reading, origins=tuple(str(place / origin) for origin in reading.origins))


def _read(
    source: Path, ferplus: Path | None, size: int, bad: Bad, hold_out: bool = True
) -> Reading:
    if not source.exists():
        raise DatasetError(f"{source}: there is no such file or folder.")
    if not source.is_dir():
        return _read_fer2013(source, ferplus, size, bad, hold_out)
    if ferplus is not None:
        raise DatasetError(
            f"{ferplus} cannot be used: FER+ votes belong to the rows of a FER-2013 file, and "
            f"{source} is a folder."
        )
    if is_packed(source):
        return _read_packed(source, size, hold_out)
    plan = plan_images(source, hold_out)
    if plan is None:
        raise DatasetError(_unknown(source))
    return carry_out(plan, size, bad)


def _unknown(source: Path) -> str:
    files = [
        file.name
        for file in sorted(source.iterdir())
        if re.search(r"\.csv(\.\w+)?$", file.name, re.IGNORECASE)
    ]
    hint = f" To read one of its files, name it: {source / files[0]}." if files else ""
    layouts = "".join(f"\n  {layout}" for layout in LAYOUTS)
    return f"{source} is in none of the layouts that can be read.{hint} They are:{layouts}"


def _read_fer2013(
    source: Path, ferplus: Path | None, size: int, bad: Bad, hold_out: bool
) -> Reading:
    faces, numbers, problems = fer2013.read_rows(source, ferplus, bad)
    reading = _whole(faces, source, FER2013, size, hold_out, numbers)
    if ferplus is None:
        note = f"{source.name} without FER+: its own labels count as ten votes each."
        reading = replace(reading, notes=(note, *reading.notes))
    elif note := _out_of_order(faces, ferplus):
        reading = replace(reading, notes=(note, *reading.notes))
    return replace(reading, problems=tuple(problems))


def _out_of_order(faces: Faces, ferplus: Path) -> str:
    """A sentence where the votes seem to be those of other rows; empty where they do not.

    Votes have nothing but their place to tell whose they are.
    """
    majority = faces.majority
    own = EMOTION_OF_LABEL[faces.labels]
    decided = (faces.labels >= 0) & faces.agreed
    count, agreeing = int(decided.sum()), int((own == majority)[decided].sum())
    if count < _FEWEST_COMPARED or agreeing >= _LEAST_AGREEMENT * count:
        return ""
    return (
        f"WARNING: the votes in {ferplus.name} and FER-2013's own labels agree on only "
        f"{agreeing / count:.0%} of {count:,} rows, where 67% are usual. Is the order of the rows "
        "the same in both files?"
    )


def _read_packed(source: Path, size: int, hold_out: bool) -> Reading:
    faces = read_packed(source)
    numbers, side = np.arange(1, len(faces) + 1), faces.images.shape[1]
    reading = _whole(faces, source, PACKED, size, hold_out, numbers)
    if size < side:
        note = f"{source}: its images of {side}x{side} pixels were shrunk to {size}x{size}."
        reading = replace(reading, notes=(*reading.notes, note))
    return reading


def _whole(
    faces: Faces,
    source: Path,
    layout: str,
    size: int,
    hold_out: bool,
    numbers: NDArray[np.int64],
) -> Reading:
    """A reading of faces that come with their splits, `numbers` being their rows in the file."""
    notes: tuple[str, ...] = ()
    if not hold_out:
        training = faces.splits == "Training"
        if not training.all():
            notes = (f"The held-out rows of {source} were left out.",)
            faces, numbers = faces.where(training), numbers[training]
    if not len(faces):
        raise DatasetError(f"{source} holds no row that can be used.")
    sizes = np.full((len(faces), 2), faces.images.shape[1], np.int64)
    if size != faces.images.shape[1]:
        resized = np.empty((len(faces), size, size), np.uint8)
        for row, image in enumerate(faces.images):
            resized[row] = grey_square(image, size)
        faces = replace(faces, images=resized)
    origins = tuple(f"{source.name}, row {number}" for number in numbers)
    return Reading(faces, layout, sizes, origins, (), notes)
