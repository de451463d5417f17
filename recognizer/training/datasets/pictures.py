"""Image files in, one array of grey squares out."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from recognizer.training.datasets.faces import DatasetError, Faces
from recognizer.training.datasets.progress import bar
from recognizer.training.datasets.result import Bad, Problem, Reading, settle
from recognizer.vision.images import Undecodable, decode

PICTURES: Final = frozenset(
    (".jpg", ".jpeg", ".png", ".webp", ".gif", ".tif", ".tiff", ".bmp", ".avif", ".heic", ".heif")
)
"""How the names of picture files end."""

# What file managers and archivers leave behind.
_LITTER: Final = ("thumbs.db", "desktop.ini", "__macosx")


class UnreadableFolder(DatasetError):
    """A folder of a data set cannot be looked into.

    Attributes:
        problem: the same, for a list of problems.
    """

    def __init__(self, folder: Path, why: str) -> None:
        super().__init__(f"{folder} cannot be read: {why}.")
        self.problem = Problem(str(folder), f"The folder cannot be read: {why}.")


@dataclass
class Plan:
    """Image files that are to become faces; lists of equal length, and what was found so far.

    Attributes:
        root: the data set's folder.
        layout: as in `Reading`.
        files: image files, below `root`.
        labels: FER-2013's own label of each, or -1.
        votes: ten votes of each, as in `Faces.votes`.
        splits: one of SPLITS.
        groups: as in `Faces`.
    """

    root: Path
    layout: str
    files: list[Path] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    votes: list[Sequence[int]] = field(default_factory=list)
    splits: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, file: Path, label: int, votes: Sequence[int], split: str, group: str) -> None:
        self.files.append(file)
        self.labels.append(label)
        self.votes.append(votes)
        self.splits.append(split)
        self.groups.append(group)


def carry_out(plan: Plan, size: int, bad: Bad) -> Reading:
    """Decode a plan's files.

    Raises:
        DatasetError: problems that are not to be skipped, or no image that can be read.
    """
    images, sizes, read, broken = _load(plan.files, size, plan.root.name)
    # Only now: what the names tell and what the files tell is to be mended in one go.
    problems = (*plan.problems, *broken)
    settle(problems, bad, str(plan.root))
    if not read.any():
        raise DatasetError(f"{plan.root} ({plan.layout}) holds no image that can be read.")
    votes = np.array(plan.votes, np.int64).reshape(len(read), -1)
    faces = Faces(
        images=images,
        labels=np.array(plan.labels, np.int64),
        votes=votes,
        named=2 * votes[:, -1] <= votes.sum(axis=1),
        splits=np.array(plan.splits, np.str_),
        groups=np.array(plan.groups, np.str_),
    )
    if oblong := int((sizes[read, 0] != sizes[read, 1]).sum()):
        plan.notes.append(
            f"{oblong} of {read.sum()} images in {plan.root} are not square; the square in the "
            "middle of each was taken."
        )
    files = plan.files
    if not read.all():
        faces, sizes = faces.where(read), sizes[read]
        files = [files[row] for row in np.flatnonzero(read)]
    return Reading(
        faces,
        plan.layout,
        sizes,
        tuple(str(file.relative_to(plan.root)) for file in files),
        problems,
        tuple(plan.notes),
        files=tuple(files),
    )


def grey_square(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """An image as (size, size) grey levels; of one that is not square the middle is taken.

    Nothing is squeezed: faces are cut out as squares when a model is served, too.

    Args:
        image: (H, W, 3) RGB or (H, W) grey, 0-255.
        size: side in pixels. Shrinking averages areas, enlarging interpolates.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if image.ndim == 3 else image
    height, width = grey.shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    grey = grey[top : top + side, left : left + side]
    if side == size:
        return grey  # type: ignore[return-value]
    how = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
    return cv2.resize(grey, (size, size), interpolation=how)  # type: ignore[return-value]


Unreadable = Callable[["UnreadableFolder"], None]
"""What becomes of a folder that cannot be looked into."""


def subfolders(folder: Path) -> list[Path]:
    """The folders in a folder by name, without hidden ones and litter."""
    return [entry for entry in sorted(_entries(folder)) if _is_folder(entry)]


def _refuse(error: UnreadableFolder) -> None:
    raise error


def files_below(folder: Path, unreadable: Unreadable = _refuse) -> list[Path]:
    """Every file in a folder and the folders in it, by name, without hidden ones and litter.

    Links are followed, but none to a folder that the first one lies in, where files of other
    classes are; and each folder is looked into once: links may lead in a circle.

    Args:
        folder: where to begin.
        unreadable: called for each folder that cannot be looked into, and so is left out; by
            default, such a folder is an error.
    """
    # The folder may be a link itself, and lie in other folders than what it leads to.
    around = {place.resolve() for place in (folder, *folder.absolute().parents)}
    return list(_files_below(folder, around | {*folder.resolve().parents}, unreadable))


def _files_below(folder: Path, seen: set[Path], unreadable: Unreadable) -> Iterator[Path]:
    try:
        entries = sorted(_entries(folder))
    except UnreadableFolder as error:
        unreadable(error)
        return
    for entry in entries:
        if not _is_folder(entry):
            yield entry
        elif (place := entry.resolve()) not in seen:
            seen.add(place)
            yield from _files_below(entry, seen, unreadable)


def _is_folder(entry: Path) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # Its folder may be listed, but not entered: reading it says so.
        return False


def _entries(folder: Path) -> Iterator[Path]:
    try:
        entries = list(folder.iterdir())
    except OSError as error:
        raise UnreadableFolder(folder, error.strerror or str(error)) from error
    for entry in entries:
        if not is_litter(entry.name):
            yield entry


def is_litter(name: str) -> bool:
    """Whether a file or a folder of this name is hidden, or no part of a data set."""
    return name.startswith(".") or name.casefold() in _LITTER


def _load(
    files: Sequence[Path], size: int, name: str
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.bool_], list[Problem]]:
    """Images (N, size, size), their own sizes (N, 2), which could be read (N,), and why not."""
    images = np.zeros((len(files), size, size), np.uint8)
    sizes = np.zeros((len(files), 2), np.int64)
    read = np.zeros(len(files), np.bool_)
    broken: list[Problem] = []
    numbered: Iterable[tuple[int, Path]] = enumerate(files)
    for row, file in bar(numbered, f"reading {name}", "images", len(files)):
        pixels = read_image(file)
        if isinstance(pixels, str):
            broken.append(Problem(str(file), pixels))
            continue
        images[row] = grey_square(pixels, size)
        sizes[row] = pixels.shape[1], pixels.shape[0]
        read[row] = True
    return images, sizes, read, broken


def read_image(file: Path) -> NDArray[np.uint8] | str:
    """RGB pixels, or a sentence that says why there are none."""
    try:
        # Opening a pipe or a device could wait for ever.
        if not file.is_file():
            return "There is no such file." if not file.exists() else "This is not a regular file."
        with file.open("rb") as stream:
            decoded = decode(stream)
    except OSError as error:
        return f"The file cannot be read: {error.strerror}."
    except MemoryError:
        return "The image does not fit into memory."
    return decoded.message if isinstance(decoded, Undecodable) else decoded.image
