"""Pictures of a data set as a served model gets them: found by the detector, cut out, turned."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recognizer.training.datasets.pictures import read_image
from recognizer.training.datasets.progress import bar
from recognizer.vision.detection import MTCNN, Detector
from recognizer.vision.preprocessing import Preprocessing, crop_face


def cut_out(
    files: Sequence[Path], ways: Sequence[Preprocessing], detector: Detector | None = None
) -> tuple[NDArray[np.bool_], list[NDArray[np.uint8]]]:
    """The largest face of each picture, as each model wants it; a bar counts the pictures.

    Args:
        files: N pictures.
        ways: how models want their faces.
        detector: MTCNN as the site has it, if not given.

    Returns:
        (N,) whether a face was found, which it is not in a file that can't be read; and for
        each of `ways` the faces of those, (M, size, size) uint8 grey levels in their order.
    """
    detector = detector or MTCNN()
    found = np.zeros(len(files), np.bool_)
    cut: list[list[NDArray[np.uint8]]] = [[] for _ in ways]
    for row, file in enumerate(bar(files, "looking for faces", "picture")):
        image = read_image(file)
        faces = [] if isinstance(image, str) else detector.detect(image)
        if isinstance(image, str) or not faces:
            continue
        found[row] = True
        face = max(faces, key=lambda one: one.box[2] * one.box[3])
        for crops, way in zip(cut, ways, strict=True):
            crops.append(crop_face(image, face.box, face.landmarks, way))
    return found, [
        np.array(crops, np.uint8).reshape(-1, way.size, way.size)
        for crops, way in zip(cut, ways, strict=True)
    ]
