"""Where labels go: beside their own boxes, in the picture, off other labels and faces."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recognizer.vision import boxes as b
from recognizer.vision.boxes import Floats


@dataclass(frozen=True, slots=True, eq=False)
class Placement:
    """Places for a set of labels.

    Attributes:
        places: (N, 4) x1, y1, x2, y2; NaN where a label does not fit into the picture.
        conflicts: (N,) how much a label hides of other labels (worst) and of other faces, in
            shares of the label; 0 is none, infinite where it does not fit.
    """

    places: Floats
    conflicts: Floats


def place(boxes: Floats, sizes: Floats, picture: tuple[int, int], gap: float) -> Placement:
    """Place one label per box, in the given order, each where it hides least.

    Args:
        boxes: (N, 4) faces as x1, y1, x2, y2.
        sizes: (N, 2) width and height of each label; 0 for no label.
        picture: width and height.
        gap: pixels between a box and its label.
    """
    count = len(boxes)
    places, conflicts = np.full((count, 4), np.nan), np.full(count, np.inf)
    others = ~np.eye(count, dtype=bool)
    for index, size in enumerate(sizes):
        if (size > picture).any():
            continue
        candidates = _candidates(boxes[index], size, gap)
        corners = np.clip(candidates, 0, np.array(picture) - size)
        spots = np.hstack([corners, corners + size])
        area = max(1.0, float(size.prod()))
        taken = places[~np.isnan(places[:, 0])]
        hidden = 4 * b.shared(spots, taken).sum(axis=1) / area
        hidden += 2 * b.shared(spots, boxes[others[index]]).sum(axis=1) / area
        own = b.shared(spots, boxes[index : index + 1])[:, 0] / area
        best = int(np.argmin(hidden + 0.8 * own + 0.001 * np.arange(len(spots))))
        places[index], conflicts[index] = spots[best], hidden[best]
    return Placement(places, conflicts)


def _candidates(box: Floats, size: NDArray[np.float64], gap: float) -> Floats:
    """(12, 2) top left corners of a label, the best first."""
    left, top, right, bottom = box
    width, height = size
    above, below = top - height - gap, bottom + gap
    centred = (left + right - width) / 2
    return np.array(
        [
            (left, above),
            (left, below),
            (right - width, above),
            (right - width, below),
            (centred, above),
            (centred, below),
            (right + gap, top),
            (left - gap - width, top),
            (right + gap, bottom - height),
            (left - gap - width, bottom - height),
            (left + gap, bottom - height - gap),
            (left + gap, top + gap),
        ]
    )
