"""Crops of photos in which there is no face: what a detector's mistakes look like."""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recognizer.training.datasets.faces import DatasetError
from recognizer.training.datasets.pictures import PICTURES, files_below, grey_square, read_image
from recognizer.training.datasets.progress import bar
from recognizer.vision import boxes as b
from recognizer.vision.boxes import Floats
from recognizer.vision.detection import MTCNN
from recognizer.vision.images import shrink

# Photos are shrunk to this: a face of 20 pixels is then still one that a person would see.
_LARGEST_SIDE = 1600
_SMALLEST_CROP = 24
# Of a face; a doubtful one counts as a face here.
_DOUBTFUL = (0.6, 0.7, 0.4)
_MOST_OF_A_FACE = 0.05
_TRIES = 20


@dataclass(frozen=True)
class Backgrounds:
    """Grey squares that show no face.

    Attributes:
        crops: (N, size, size) uint8.
        photos: (N,) number of the photo that each was cut out of.
    """

    crops: NDArray[np.uint8]
    photos: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.crops)


def read_backgrounds(
    folder: Path, count: int, report: Callable[[str], None], size: int = 48, seed: int = 0
) -> Backgrounds:
    """Cut about `count` crops out of the photos in a folder, beside the faces that are there.

    Args:
        folder: photos, by the ends of their names, or of any names where none ends so; the
            folders in it are looked through, too, and other files may lie there.
        count: how many crops, as many from each photo.
        report: told of each photo that cannot be read.
        size: side of the crops.
        seed: drives where they are cut.

    Raises:
        DatasetError: no such folder, or nothing could be cut out of what is in it.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder} is no folder of photos to cut backgrounds out of.")
    rng = np.random.default_rng(seed)
    detector = MTCNN(min_face=20, thresholds=_DOUBTFUL)
    cut: list[list[NDArray[np.uint8]]] = []
    files = files_below(folder)
    files = [file for file in files if file.suffix.casefold() in PICTURES] or files
    for file in bar(files, "backgrounds", "photo"):
        image = read_image(file)
        if isinstance(image, str):
            report(f"No background out of {file}: {image}")
            continue
        photo = shrink(image, _LARGEST_SIDE)
        faces = np.array([face.box for face in detector.detect(photo)], float).reshape(-1, 4)
        faces[:, 2:] += faces[:, :2]
        places = _places(photo.shape[:2], faces, ceil(count / len(files)), rng)
        cut.append([grey_square(photo[y : y + side, x : x + side], size) for x, y, side in places])
    crops = [crop for of_one in cut for crop in of_one]
    if not crops:
        raise DatasetError(f"In {folder} there is no photo with room beside its faces.")
    photos = np.repeat(np.arange(len(cut)), [len(of_one) for of_one in cut])
    return Backgrounds(np.stack(crops), photos.astype(np.int64))


def _places(
    shape: tuple[int, ...], faces: Floats, count: int, rng: np.random.Generator
) -> list[tuple[int, int, int]]:
    """Up to `count` random squares (x, y, side) that hold no part of a face worth the name."""
    height, width = shape
    largest = min(height, width) // 2
    found: list[tuple[int, int, int]] = []
    if largest < _SMALLEST_CROP:
        return found
    for _ in range(count * _TRIES):
        if len(found) == count:
            break
        # All sizes alike, on a scale of ratios, as faces come in photos.
        side = round(float(np.exp(rng.uniform(np.log(_SMALLEST_CROP), np.log(largest)))))
        x, y = int(rng.integers(width - side + 1)), int(rng.integers(height - side + 1))
        square = np.array([[x, y, x + side, y + side]], float)
        if (b.overlap(square, faces, of="smaller") <= _MOST_OF_A_FACE).all():
            found.append((x, y, side))
    return found
