"""Shrunken copies of a photo, and what is cut out of them and of it for the networks."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from math import ceil, floor

import cv2
import numpy as np
from numpy.typing import NDArray

from recognizer.vision.boxes import Floats

Level = NDArray[np.uint8] | NDArray[np.uint16]
"""(h, w, 3) grey levels, 0-255 as bytes or 0-65,280 in 256ths."""

_EXACT_PIXELS = 10_000_000  # Larger photos stay in bytes: 256ths take six bytes a pixel.
_EXACT = 256
_REMAP_LIMIT = 32_767  # sides of pictures that cv2.remap takes are shorter
_SPARE = 3  # pixels of the source for each of a level, at least, along each side
_MORE_SPARE = 10  # times the largest level's scale, where that is more


def exact(pixels: Level) -> Level:
    """In 256ths, unless that is too large.

    What is averaged or sampled between pixels then keeps its fractions. Rounded to whole grey
    levels, it moves P-Net's scores by up to 0.06, and O-Net's landmarks by some tenths of a
    percent of the face.
    """
    if pixels.dtype != np.uint8 or pixels.shape[0] * pixels.shape[1] > _EXACT_PIXELS:
        return pixels
    return np.multiply(pixels, _EXACT, dtype=np.uint16)


def levels(photo: Level, scales: Sequence[float]) -> Iterator[Callable[[], Level]]:
    """The photo at each scale, area-averaged, largest first; made when called, in any thread.

    A level is made from the photo halved as often as leaves at least three pixels a side for
    each of the level's: that gives nearly what the photo itself would give, at a cost that
    falls with the level's size. Made from the level above, it would be softer, and P-Net's
    answers others. Where the first levels are large, P-Net has so much to do that more pixels
    (six, for faces from 20 pixels) cost little besides: then landmarks come out as from the
    photo itself.

    Args:
        photo: (H, W, 3), as `exact` gives it.
        scales: below 1 and falling.

    Yields:
        What makes the level, with sides rounded down.
    """
    if not scales:
        return
    height, width = photo.shape[:2]
    spare = max(_SPARE, _MORE_SPARE * scales[0])
    step = max(1, floor(1 / (spare * scales[0])))
    source = exact(_shrunk(photo, width // step, height // step))
    size = 1 / step
    for scale in scales:
        while size / 2 >= spare * scale:
            source = _shrunk(source, source.shape[1] // 2, source.shape[0] // 2)
            size /= 2
        yield partial(_shrunk, source, floor(width * scale), floor(height * scale))


def _shrunk(pixels: Level, width: int, height: int) -> Level:
    if pixels.shape[:2] == (height, width):
        return pixels
    shrunk: Level = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    return shrunk


def _grey_levels(pixels: Level, out: NDArray[np.float32]) -> None:
    """Put the pixels into `out`, which has their shape, as 0-255."""
    unit = 1 / _EXACT if pixels.dtype == np.uint16 else 1.0
    np.multiply(pixels, np.float32(unit), out=out)


def planes(pixels: Level) -> NDArray[np.float32]:
    """(h, w, 3) pixels as what P-Net takes: (1, 3, h, w), 0-255."""
    parts = np.empty((1, 3, *pixels.shape[:2]), np.float32)
    _grey_levels(pixels.transpose(2, 0, 1), parts[0])
    return parts


def tiles(level: Level, window: int, cell: int, stride: int) -> Iterator[tuple[int, int, Level]]:
    """Cut a level so that a network, run tile by tile, gives exactly the map of the whole.

    Tiles start on multiples of the stride and overlap by what the network's cell has over it.

    Args:
        level: (h, w, 3) pixels.
        window: largest side of a tile, in pixels.
        cell: side of what one output of the network sees.
        stride: distance of neighbouring outputs, in pixels.

    Yields:
        The tile's left and top in the level, and its pixels, (h, w, 3), as a view.
    """
    height, width = level.shape[:2]
    overlap = cell - stride
    reach = (window - overlap) // stride * stride
    for top in range(0, max(height - overlap, 1), reach):
        for left in range(0, max(width - overlap, 1), reach):
            tile = level[top : top + reach + overlap, left : left + reach + overlap]
            yield left, top, tile


def patches(photo: Level, boxes: Floats, size: int) -> NDArray[np.float32]:
    """Cut (N, 3, size, size) patches, 0-255, sampled as tf.image.crop_and_resize does.

    Bilinear between the corners; what lies outside the photo is a middle grey. The mtcnn
    package passes corners as shares of the whole side, which TensorFlow reads as shares of the
    last pixel's place: hence (side - 1) / side.

    Args:
        photo: (H, W, 3), as `exact` gives it; out of bytes come whole grey levels.
        boxes: (N, 4) corners in pixels of the photo.
        size: side of the patches.
    """
    cut = np.empty((len(boxes), 3, size, size), np.float32)
    height, width = photo.shape[:2]
    steps = np.linspace(0, 1, size)
    x = (boxes[:, :1] + (boxes[:, 2:3] - boxes[:, :1]) * steps) * ((width - 1) / width)
    y = (boxes[:, 1:2] + (boxes[:, 3:4] - boxes[:, 1:2]) * steps) * ((height - 1) / height)
    # All in one call, unless that is a picture too long for it.
    too_long = max(height, width, len(boxes) * size) >= _REMAP_LIMIT
    at_once = 1 if too_long else max(1, len(boxes))
    for start in range(0, len(boxes), at_once):
        rows = slice(start, start + at_once)
        _grey_levels(_sampled(photo, x[rows], y[rows]).transpose(0, 3, 1, 2), cut[rows])
    outside_x, outside_y = (x < 0) | (x > width - 1), (y < 0) | (y > height - 1)
    if outside_x.any() or outside_y.any():
        outside = outside_y[:, :, None] | outside_x[:, None, :]
        np.copyto(cut, np.float32(127.5), where=outside[:, None])
    return cut


def _sampled(photo: Level, x: Floats, y: Floats) -> Level:
    """(N, rows, columns, 3) levels between the pixels, at every x of (N, columns) by every y."""
    height, width = photo.shape[:2]
    left, right = _reach(x, width)
    top, bottom = _reach(y, height)
    shape = len(x), y.shape[1], x.shape[1]
    places = np.empty((*shape, 2), np.float32)
    places[..., 0], places[..., 1] = x[:, None, :] - left, y[:, :, None] - top
    # All patches below each other, as one picture.
    rows = places.reshape(-1, x.shape[1], 2)
    near = photo[top:bottom, left:right]
    # The second map is optional, though the annotations say no.
    sampled: Level = cv2.remap(  # type: ignore[call-overload]
        near, rows, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return sampled.reshape(*shape, 3)


def _reach(places: Floats, side: int) -> tuple[int, int]:
    """From which to before which of a side's pixels the places lie, at least one."""
    first = min(max(floor(places.min()), 0), side - 1)
    return first, min(max(ceil(places.max()) + 1, first + 1), side)
