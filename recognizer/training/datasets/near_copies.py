"""Pictures of a data set that are almost those of another split: the leaks that no hash finds."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from recognizer.training.datasets.faces import Faces
from recognizer.training.datasets.preparation import image_digests
from recognizer.training.datasets.progress import bar

ALMOST: Final = 0.97
"""Pearson's correlation of the pixels, from which two pictures count as almost equal: by eye,
FER-2013's pairs above it are one photo, compressed once more or cut a pixel further."""

_SIDE: Final = 48  # Larger pictures are compared at this side; it takes memory and time enough.
_BATCH: Final = 256


def near_copies(faces: Faces) -> NDArray[np.int64]:
    """Held-out rows that look almost like a Training row which equals none of them.

    So it is what remains when those that are equal are left out. Pictures are compared as they
    are: mirrored or turned copies are not found, and one of a single grey level is like no
    other. A bar counts batches of held-out pictures.

    Returns:
        (M,) their places among the rows, in order.
    """
    digests = image_digests(faces.images)
    training = faces.splits == "Training"
    asked = np.flatnonzero(~training)
    learned = training & ~np.isin(digests, digests[asked])
    if not (learned.any() and len(asked)):
        return asked[:0]
    known = _standardized(faces.images[learned])
    nearest = [
        (_standardized(faces.images[asked[start : start + _BATCH]]) @ known.T).max(axis=1)
        for start in bar(range(0, len(asked), _BATCH), "looking for near copies", "batch")
    ]
    return asked[np.concatenate(nearest) > ALMOST]


def _standardized(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(N, pixels) with mean 0 and length 1, so that products are correlations."""
    if images.shape[1] > _SIDE:
        size = (_SIDE, _SIDE)
        images = np.stack([cv2.resize(one, size, interpolation=cv2.INTER_AREA) for one in images])
    flat = images.reshape(len(images), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)
    return flat
