"""Held-out faces to choose settings by, so that PublicTest stays for reporting."""

from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from recognizer.training.datasets.faces import DatasetError, Faces
from recognizer.training.datasets.preparation import (
    TrainingSet,
    image_digests,
    joined_rows,
    prepare,
)
from recognizer.training.datasets.splitting import random_split

Validation = Literal["part", "PublicTest"]
VALIDATIONS: Final[tuple[Validation, ...]] = ("part", "PublicTest")


def select(
    faces: Faces, validation: Validation, share: float, seed: int
) -> tuple[TrainingSet, Faces, str]:
    """What to learn from, what to choose by, and the latter in words.

    Args:
        faces: with Training rows; images that another split shows too are never learned from.
        validation: "part" splits a part off Training, each picture once and none that another
            split shows; "PublicTest" chooses by that.
        share: of Training's rows, the part split off, above 0 and below 1.
        seed: drives which.

    Raises:
        DatasetError: a split is missing, or there is nothing left to learn from or choose by.
    """
    training = faces.split("Training")
    if validation == "PublicTest":
        held_out, words = faces.split("PublicTest"), "PublicTest"
    else:
        training, held_out = split_off(training, share, seed)
        held_out = _new_to(held_out, faces.images[faces.splits != "Training"])
        words = f"{share:g} of Training, split off with seed {seed}"
    leaks = np.concatenate([held_out.images, faces.images[faces.splits != "Training"]])
    prepared = prepare(training, leaks)
    if not held_out.agreed.any():
        raise DatasetError(f"There is no face to choose by whose votes agree ({words}).")
    if not len(prepared):
        raise DatasetError("There is no face left to learn from; split off a smaller share.")
    return prepared, held_out, f"{words}: {len(held_out)} faces"


def _new_to(faces: Faces, images: NDArray[np.uint8]) -> Faces:
    """Each picture once, and none of (N, size, size) `images`, which are to be reported on."""
    digests = image_digests(faces.images)
    _, first = np.unique(digests, return_index=True)
    once = np.isin(np.arange(len(faces)), first)
    return faces.where(once & ~np.isin(digests, image_digests(images)))


def split_off(faces: Faces, share: float, seed: int) -> tuple[Faces, Faces]:
    """Split a share of the rows off; those of one image or one group go the same way.

    Returns:
        The rest, and what was split off.

    Raises:
        DatasetError: the share is impossible, or all rows belong together.
    """
    if not 0 < share < 1:
        raise DatasetError(f"The share to hold out must lie above 0 and below 1, not {share:g}.")
    held = random_split(joined_rows(faces), faces.groups, 0, seed, share) == "PublicTest"
    return faces.where(~held), faces.where(held)
