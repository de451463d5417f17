"""Which held-out rows a model is calibrated on, and which report how it does."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from recognizer.training.datasets.faces import DatasetError, Faces
from recognizer.training.datasets.preparation import image_digests, joined_rows

LEAST_SIDE: Final = 0.25
"""Of the held-out rows, what either side has at least where groups are kept whole."""


def even_and_odd(faces: Faces) -> tuple[Faces, Faces]:
    """Split one split's rows by their place in it: even ones to fit on, odd ones to report.

    Odd rows whose picture is an even row's, too, are left out. Of a group (a character, an owner)
    all rows go to one side, so that nobody calibrates and reports, unless it is `torn`.
    """
    whole = _whole_groups(faces)
    even = whole if _has_two_sides(whole) else np.arange(len(faces)) % 2 == 0
    digests = image_digests(faces.images)
    return faces.where(even), faces.where(~even & ~np.isin(digests, digests[even]))


def torn(faces: Faces) -> bool:
    """Whether groups are split between even and odd rows: there are too few, or one is too large,
    for a quarter of the rows on either side.
    """
    return not _has_two_sides(_whole_groups(faces))


def _has_two_sides(even: NDArray[np.bool_]) -> bool:
    # A row on its own is no group, and belongs to either side.
    return len(even) < 2 or bool(LEAST_SIDE <= even.mean() <= 1 - LEAST_SIDE)


def _whole_groups(faces: Faces) -> NDArray[np.bool_]:
    """(N,) whether a row is even: by its place, or as its whole group, the largest ones first,
    each to the side that has fewer.
    """
    even: NDArray[np.bool_] = np.arange(len(faces)) % 2 == 0
    joined = joined_rows(faces)
    grouped = np.isin(joined, joined[faces.groups != ""])
    parts, sizes = np.unique(joined[grouped], return_counts=True)
    both = [int((even & ~grouped).sum()), int((~even & ~grouped).sum())]
    for part in np.argsort(-sizes, kind="stable"):
        side = int(both[0] > both[1])
        both[side] += int(sizes[part])
        even[joined == parts[part]] = side == 0
    return even


def require_halves(faces: Faces) -> tuple[Faces, Faces]:
    """The rows that calibrate and those that report, see `even_and_odd`.

    Raises:
        DatasetError: there is nothing to calibrate on, or nothing to report on.
    """
    both = even_and_odd(faces)
    for half, rows in zip(("even", "odd"), both, strict=True):
        if not rows.agreed.any():
            raise DatasetError(
                f"Among the {half} held-out rows ({len(rows)}) there is no face whose votes agree "
                "on an emotion. The even rows calibrate and the odd ones report, so hold out more."
            )
    return both
