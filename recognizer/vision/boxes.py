"""Arithmetic on boxes, as (N, 4) float arrays of x1, y1, x2, y2 in pixels."""

from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Box = tuple[int, int, int, int]
"""x, y, width, height in whole pixels of the upright photo."""
Point = tuple[float, float]
"""x, y in pixels of the upright photo."""

_PAIRS = 200_000  # of boxes compared at once; some 30 MB


def overlap(a: Floats, b: Floats, of: Literal["union", "smaller"] = "union") -> Floats:
    """Intersection of every box of `a` with every box of `b`, as a share.

    Args:
        a: (N, 4) boxes.
        b: (M, 4) boxes.
        of: "union" gives intersection over union; "smaller" divides by the smaller of the two
            areas, so that a box inside another counts as 1.

    Returns:
        (N, M) shares in 0-1; 0 where both boxes are empty.
    """
    common = shared(a, b)
    area_a, area_b = area(a)[:, None], area(b)[None, :]
    whole = area_a + area_b - common if of == "union" else np.minimum(area_a, area_b)
    return np.divide(common, whole, out=np.zeros_like(common), where=whole > 0)


def shared(a: Floats, b: Floats) -> Floats:
    """(N, M) areas that every box of `a` has in common with every box of `b`."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:4], b[None, :, 2:4])
    areas: Floats = np.clip(high - low, 0, None).prod(axis=2)
    return areas


def area(boxes: Floats) -> Floats:
    """(N,) areas in square pixels; a box turned inside out has none."""
    sides = np.clip(boxes[:, 2:4] - boxes[:, :2], 0, None)
    product: Floats = sides[:, 0] * sides[:, 1]
    return product


def suppress(
    boxes: Floats,
    scores: NDArray[np.floating],
    threshold: float,
    of: Literal["union", "smaller"] = "union",
) -> NDArray[np.intp]:
    """Non-maximum suppression as `mtcnn` 1.0 does it.

    A box goes when it overlaps *any* box with a higher score by more than `threshold`, even
    one that goes itself. (The greedy form would keep such a box; the cascade's published
    behaviour and thresholds are with this one.)

    Returns:
        Indices of the boxes that stay, highest score first.
    """
    order = np.argsort(scores, kind="stable")[::-1]
    boxes = boxes[order]
    keep = np.ones(len(boxes), dtype=bool)
    for one, other in _touching(boxes):
        crowded = _shares(boxes[one], boxes[other], of) > threshold
        # The best come first, so the one further down has the lower score.
        keep[np.maximum(one, other)[crowded]] = False
    kept: NDArray[np.intp] = order[keep]
    return kept


def _touching(boxes: Floats) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Rows of all pairs of boxes that may overlap, block by block.

    With the boxes sorted by their left sides, those that begin before a box ends follow it
    directly; of these, those that lie wholly above or below it are left out. That leaves far
    fewer pairs than all when faces, and so boxes, are small.
    """
    by_left = np.argsort(boxes[:, 0], kind="stable")
    left, top, right, bottom = boxes[by_left].T.copy()
    place = np.arange(len(boxes))
    partners = np.searchsorted(left, right) - place - 1
    partners = partners.clip(0)  # A box turned inside out ends before it begins.
    until = partners.cumsum()
    start = 0
    while start < len(boxes):
        done = until[start - 1] if start else 0
        end = max(start + 1, int(np.searchsorted(until, done + _PAIRS, side="right")))
        counts = partners[start:end]
        one = np.repeat(place[start:end], counts)
        nth = np.arange(len(one)) - np.repeat(until[start:end] - counts - done, counts)
        other = one + 1 + nth
        meet = (top[one] < bottom[other]) & (top[other] < bottom[one])
        yield by_left[one[meet]], by_left[other[meet]]
        start = end


def _shares(a: Floats, b: Floats, of: Literal["union", "smaller"]) -> Floats:
    """As `overlap`, of the boxes in the same row: (N,)."""
    low, high = np.maximum(a[:, :2], b[:, :2]), np.minimum(a[:, 2:4], b[:, 2:4])
    common = area(np.concatenate([low, high], axis=1))
    whole = area(a) + area(b) - common if of == "union" else np.minimum(area(a), area(b))
    return np.divide(common, whole, out=np.zeros_like(common), where=whole > 0)


def square(boxes: Floats) -> Floats:
    """Grow the shorter side of each box to the longer one, about the same centre."""
    sides = boxes[:, 2:4] - boxes[:, :2]
    longest = sides.max(axis=1, keepdims=True, initial=0)
    corner = boxes[:, :2] + sides / 2 - longest / 2
    return np.concatenate([corner, corner + longest], axis=1)


def shift(boxes: Floats, offsets: NDArray[np.floating]) -> Floats:
    """Move each corner by (N, 4) offsets, given as shares of the box's width and height.

    The cascade counts pixels inclusively, so a side is x2 - x1 + 1 here.
    """
    sides = boxes[:, 2:4] - boxes[:, :2] + 1
    moved: Floats = boxes + offsets * np.tile(sides, 2)
    return moved


def whole_pixels(box: Floats, width: int, height: int) -> Box | None:
    """Clip one (4,) box to the photo and round it; None if nothing of it is left.

    As in `mtcnn` 1.0, corner and sides are rounded, not both corners.
    """
    limits = np.array([width, height])
    low, high = np.clip(box[:2], 0, limits), np.clip(box[2:4], 0, limits)
    corner = np.rint(low)
    sides = np.minimum(np.rint(high - low), limits - corner)
    if (sides < 1).any():
        return None
    return int(corner[0]), int(corner[1]), int(sides[0]), int(sides[1])
