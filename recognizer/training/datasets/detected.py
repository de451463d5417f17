"""Pictures of a data set as a served model gets them: found by the detector, cut out, turned."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recognizer.training.datasets.pictures import read_image
from recognizer.training.datasets.progress import bar
from recognizer.vision.detection import Detector, largest
from recognizer.vision.preprocessing import Preprocessing, crop_face


@dataclass(frozen=True)
class Detected:
    """The largest face of each of N pictures; M of them have one.

    Attributes:
        found: (N,) whether a face was found, which it is not in a file that can't be read.
        sides: (M,) longer side of each face's box, in pixels of its picture.
        crops: for each way in which models want their faces, (M, size, size) uint8 grey levels.
    """

    found: NDArray[np.bool_]
    sides: NDArray[np.float64]
    crops: tuple[NDArray[np.uint8], ...]


def detect(files: Sequence[Path], ways: Sequence[Preprocessing], detector: Detector) -> Detected:
    """Find the largest face of each picture and cut it out; a bar counts the pictures.

    Args:
        files: the pictures.
        ways: how models want their faces.
        detector: what finds them.
    """
    found = np.zeros(len(files), np.bool_)
    sides: list[float] = []
    cut: list[list[NDArray[np.uint8]]] = [[] for _ in ways]
    for row, file in enumerate(bar(files, "looking for faces", "picture")):
        image = read_image(file)
        if isinstance(image, str):
            continue
        faces = detector.detect(image)
        if not faces:
            continue
        found[row] = True
        face = largest(faces)
        sides.append(max(face.box[2:]))
        for crops, way in zip(cut, ways, strict=True):
            crops.append(crop_face(image, face.box, face.landmarks, way))
    return Detected(
        found,
        np.array(sides, np.float64),
        tuple(
            np.array(crops, np.uint8).reshape(-1, way.size, way.size)
            for crops, way in zip(cut, ways, strict=True)
        ),
    )
