"""Pictures in folders that name their classes, as they lie: before anything is made of them."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from recognizer.training.datasets.classes import CLASSES
from recognizer.training.datasets.faces import DatasetError
from recognizer.training.datasets.fer2013 import SIDE
from recognizer.training.datasets.folders import FERG, SPLIT_FOLDERS
from recognizer.training.datasets.packing import is_packed
from recognizer.training.datasets.pictures import Plan, grey_square, read_image
from recognizer.training.datasets.preparation import image_digests
from recognizer.training.datasets.progress import bar
from recognizer.training.datasets.reading import PACKED, plan_images
from recognizer.training.datasets.result import Bad, Problem, settle, tell_skipped
from recognizer.training.datasets.votes import REVIEWED

_INSTEAD: Final = {
    FERG: "Copy its folders to train/<class>/ and test/<class>/, each character to one of them.",
    REVIEWED: "Its votes name no one class. To settle on one for each image, copy them to "
    "train/<class>/ and test/<class>/, each group to one of them.",
    PACKED: "Give the data set that it was packed from.",
}


@dataclass(frozen=True, slots=True)
class Picture:
    """One file in `<split>/<class>/` or `<class>/`.

    Attributes:
        path: the file.
        name: where a copy of it belongs below a folder, with forward slashes.
        split: the split folder's name, "" where there is none.
        label: the class folder's name; in our words where that is a digit.
        column: the class, a column of `Faces.votes`.
        training: whether it is to be learned from.
        broken: a sentence that says why it cannot be read, "" if it can.
        digest: what it has in common with pictures that show the same, as `train` sees them at
            FER-2013's size; empty if it is broken.
    """

    path: Path
    name: str
    split: str
    label: str
    column: int
    training: bool
    broken: str
    digest: bytes


def walk(root: Path, bad: Bad, report: Callable[[str], None]) -> list[Picture]:
    """Every file of the data set, in the order of its name; all are read to see if they can be.

    Args:
        root: the folder, or one that holds nothing but it.
        bad: "stop" refuses a data set with problems; "skip" leaves out unknown and empty
            classes, broken files being for the caller to leave out.
        report: called with what was decided and what is left out.

    Raises:
        BadParts: there are problems, and `bad` is "stop".
        DatasetError: this is no data set in class folders, or no file in it can be read.
    """
    plan = _plan(root)
    rows = bar(range(len(plan.files)), f"checking {plan.root.name}", "images")
    pictures = [_picture(plan, row) for row in rows]
    broken = [Problem(str(one.path), one.broken) for one in pictures if one.broken]
    problems = [*plan.problems, *broken]
    settle(problems, bad, str(plan.root))
    if len(broken) == len(pictures):
        raise DatasetError(f"{plan.root} ({plan.layout}) holds no image that can be read.")
    for note in plan.notes:
        report(note)
    tell_skipped(problems, report)
    return pictures


def listing_digest(pictures: Sequence[Picture]) -> str:
    """SHA-256 of the files' names, lengths and pictures, in hex: what tells a changed folder."""
    listing = "".join(
        f"{one.name}\0{one.broken or one.path.stat().st_size}\0{one.digest.hex()}\n"
        for one in pictures
    )
    return hashlib.sha256(listing.encode()).hexdigest()


def _plan(root: Path) -> Plan:
    if is_packed(root):
        raise _refusal(root, PACKED)
    plan = plan_images(root)
    if plan is None:
        raise DatasetError(
            f"{root} holds no pictures in class folders: expected <class>/* or train/<class>/* "
            f"and test/<class>/*, a class being {', '.join(CLASSES)} or a synonym."
        )
    if plan.layout in _INSTEAD:
        raise _refusal(root, plan.layout)
    return plan


def _refusal(root: Path, layout: str) -> DatasetError:
    return DatasetError(
        f"{root} is in the layout {layout!r}; expected class folders. {_INSTEAD[layout]}"
    )


def _picture(plan: Plan, row: int) -> Picture:
    path, column = plan.files[row], int(np.argmax(plan.votes[row]))
    parts = list(path.relative_to(plan.root).parts)
    place = 1 if plan.layout == SPLIT_FOLDERS else 0
    # Digits mean emotions only where there are all seven, and one may lose its last picture.
    if parts[place].isdigit():
        parts[place] = CLASSES[column]
    image, broken, digest = read_image(path), "", b""
    if isinstance(image, str):
        broken = image
    else:
        digest = bytes(image_digests(grey_square(image, SIDE)[None])[0])
    return Picture(
        path=path,
        name="/".join(parts),
        split=parts[0] if place else "",
        label=parts[place],
        column=column,
        training=plan.splits[row] == "Training",
        broken=broken,
        digest=digest,
    )
