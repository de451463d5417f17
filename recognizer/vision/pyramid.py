"""Shrunken copies of a photo, and what is cut out of them and of it for the networks."""

from collections.abc import Iterator, Sequence
from math import floor

import cv2
import numpy as np
from numpy.typing import NDArray

from recognizer.vision.boxes import Floats

Level = NDArray[np.uint8] | NDArray[np.uint16]
"""(h, w, 3) grey levels, 0-255 as bytes or 0-65,280 in 256ths."""

_EXACT_PIXELS = 10_000_000  # Larger photos are shrunk as bytes: 256ths take six bytes a pixel.
_EXACT = 256
_SPARE = 3  # pixels of the source for each of a level, at least, along each side


def levels(image: NDArray[np.uint8], scales: Sequence[float]) -> Iterator[tuple[float, Level]]:
    """The photo at each scale, area-averaged, largest first.

    A level is made from the photo halved as often as leaves at least three pixels a side for
    each of the level's: that gives nearly what the photo itself would give, at a cost that
    falls with the level's size. Made from the level above, it would be softer, and P-Net's
    answers others.

    Args:
        image: (H, W, 3) uint8.
        scales: below 1 and falling.

    Yields:
        A scale, and the level with sides rounded down.
    """
    height, width = image.shape[:2]
    step = max(1, floor(1 / (_SPARE * scales[0]))) if scales else 1
    source = _exact(_shrunk(image, width // step, height // step))
    size = 1 / step
    for scale in scales:
        while size / 2 >= _SPARE * scale:
            source = _shrunk(source, source.shape[1] // 2, source.shape[0] // 2)
            size /= 2
        yield scale, _shrunk(source, floor(width * scale), floor(height * scale))


def _shrunk(pixels: Level, width: int, height: int) -> Level:
    if pixels.shape[:2] == (height, width):
        return pixels
    shrunk: Level = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    return shrunk


def _exact(image: Level) -> Level:
    """In 256ths, unless it is too large: whole grey levels move P-Net's scores by up to 0.06."""
    if image.dtype != np.uint8 or image.shape[0] * image.shape[1] > _EXACT_PIXELS:
        return image
    return np.multiply(image, _EXACT, dtype=np.uint16)


def planes(pixels: Level) -> NDArray[np.float32]:
    """(h, w, 3) pixels as what P-Net takes: (1, 3, h, w), 0-255."""
    parts = np.empty((1, 3, *pixels.shape[:2]), np.float32)
    unit = 1 / _EXACT if pixels.dtype == np.uint16 else 1.0
    np.multiply(pixels.transpose(2, 0, 1), np.float32(unit), out=parts[0])
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


def packed(image: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """An (H, W, 3) photo as (H, W) whole numbers, so that a pixel is fetched as one."""
    four = cv2.cvtColor(image, cv2.COLOR_RGB2RGBA)
    pixels: NDArray[np.uint32] = four.view(np.uint32)[:, :, 0]
    return pixels


def patches(photo: NDArray[np.uint32], boxes: Floats, size: int) -> NDArray[np.float32]:
    """Cut (N, 3, size, size) patches, 0-255, sampled as tf.image.crop_and_resize does.

    Bilinear between the corners; what lies outside the photo is a middle grey. The mtcnn
    package passes corners as shares of the whole side, which TensorFlow reads as shares of the
    last pixel's place: hence (side - 1) / side.

    Args:
        photo: see `packed`.
        boxes: (N, 4) corners in pixels of the photo.
        size: side of the patches.
    """
    height, width = photo.shape
    steps = np.linspace(0, 1, size)
    x = (boxes[:, :1] + (boxes[:, 2:3] - boxes[:, :1]) * steps) * ((width - 1) / width)
    y = (boxes[:, 1:2] + (boxes[:, 3:4] - boxes[:, 1:2]) * steps) * ((height - 1) / height)
    left, top = np.floor(x).astype(np.intp), np.floor(y).astype(np.intp)
    share_x = (x - left).astype(np.float32)[:, None, :, None]
    share_y = (y - top).astype(np.float32)[:, :, None, None]
    pixels = photo.reshape(-1)

    def fetch(rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.float32]:
        places = (rows.clip(0, height - 1) * width)[:, :, None] + columns.clip(0, width - 1)[
            :, None
        ]
        # The fourth byte is only carried along.
        fetched: NDArray[np.uint8] = pixels.take(places, mode="clip").view(np.uint8)
        return fetched.reshape(*places.shape, 4).astype(np.float32)

    upper = _between(fetch(top, left), fetch(top, left + 1), share_x)
    lower = _between(fetch(top + 1, left), fetch(top + 1, left + 1), share_x)
    found = _between(upper, lower, share_y)
    inside_x, inside_y = (x >= 0) & (x <= width - 1), (y >= 0) & (y <= height - 1)
    found[~(inside_y[:, :, None] & inside_x[:, None, :])] = 127.5
    return np.ascontiguousarray(found[..., :3].transpose(0, 3, 1, 2))


def _between(
    first: NDArray[np.float32], second: NDArray[np.float32], share: NDArray[np.float32]
) -> NDArray[np.float32]:
    second -= first
    second *= share
    first += second
    return first
