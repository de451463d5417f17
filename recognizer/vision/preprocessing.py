"""From a face in a photo to the classifier's input, the same way in training and in serving."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import atan2, ceil, cos, hypot, sin
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from recognizer.vision.boxes import Box, Point

# Below this standard deviation (in grey levels of 0-255) a crop is flat: dividing by
# less would blow sensor noise up into a face.
MIN_STANDARD_DEVIATION = 4.0
# Side of what is cut out before it is averaged: more tells a face of 48 pixels nothing.
_MOST_SAMPLES = 4096


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How a model wants its faces; read from the model's card, never assumed.

    Attributes:
        size: side of the square input, in pixels.
        margin: side of the crop as a multiple of the longer side of the detector's box.
        shift_y: how far the crop's centre lies below the box's centre, as a share of the
            box's longer side. Detectors differ in where they put forehead and chin.
        align: "eyes" turns the crop until the eyes are level; "none" keeps the photo's
            own rotation.
    """

    size: int = 48
    margin: float = 1.0
    shift_y: float = 0.0
    align: Literal["none", "eyes"] = "none"

    def __post_init__(self) -> None:
        if self.size < 8:
            raise ValueError(f"The input size must be at least 8 pixels, not {self.size}.")
        if not 0.5 <= self.margin <= 3.0:
            raise ValueError(f"The crop margin must lie in 0.5-3.0, not {self.margin}.")
        if self.align not in ("none", "eyes"):
            raise ValueError(f'align must be "none" or "eyes", not "{self.align}".')


def crop_face(
    image: NDArray[np.uint8],
    box: Box,
    landmarks: Mapping[str, Point] | None,
    preprocessing: Preprocessing,
) -> NDArray[np.uint8]:
    """Cut one face out of a photo, in grey, as the model wants it.

    The crop is a square about the box's centre; shift_y moves it down the face, which is down
    the photo unless the face is turned level. Shrinking averages all the pixels that fall
    into one of the crop's; where the square leaves the photo, its border is repeated.

    Args:
        image: (H, W, 3) RGB or (H, W) grey, 0-255.
        box: x, y, width, height in pixels of the photo; width and height at least 1.
        landmarks: "left_eye" and "right_eye" at least, when `preprocessing.align` is "eyes".
        preprocessing: the model's.

    Returns:
        (size, size) grey levels, 0-255.

    Raises:
        ValueError: an empty box, or eyes wanted and not given.
    """
    x, y, width, height = box
    if width < 1 or height < 1:
        raise ValueError(f"Expected a box with a width and a height of at least 1, got {box}.")
    longest = max(width, height)
    side = preprocessing.margin * longest
    angle = _roll(landmarks) if preprocessing.align == "eyes" else 0.0
    right = np.array([cos(angle), sin(angle)])
    down = np.array([-sin(angle), cos(angle)])
    centre = np.array([x + width / 2, y + height / 2]) + down * preprocessing.shift_y * longest
    # Sampled at the photo's own resolution or finer, then averaged: warpAffine alone would
    # pick single pixels out of a large face.
    oversampling = max(1, ceil(min(side, _MOST_SAMPLES) / preprocessing.size))
    samples = preprocessing.size * oversampling
    corner = centre - (right + down) * side / 2
    level = _sample(image, corner, right * side / samples, down * side / samples, samples)
    if oversampling > 1:
        target = (preprocessing.size, preprocessing.size)
        level = cv2.resize(level, target, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    return level


def _roll(landmarks: Mapping[str, Point] | None) -> float:
    """The angle from the left eye to the right, in radians, clockwise on the picture."""
    if landmarks is None:
        raise ValueError('align is "eyes", so the face needs its landmarks.')
    (left_x, left_y), (right_x, right_y) = landmarks["left_eye"], landmarks["right_eye"]
    if hypot(right_x - left_x, right_y - left_y) < 1:
        return 0.0  # Closer than a pixel, the direction is noise.
    return atan2(right_y - left_y, right_x - left_x)


def _sample(
    image: NDArray[np.uint8],
    corner: NDArray[np.float64],
    step_right: NDArray[np.float64],
    step_down: NDArray[np.float64],
    samples: int,
) -> NDArray[np.uint8]:
    """Grey (samples, samples) picture of a turned square that begins at `corner` (x, y)."""
    # Pixels are areas: the centre of the first one is half a step in, and the photo's pixel 0
    # has its centre at 0.5.
    origin = corner + (step_right + step_down) / 2 - 0.5
    ends = origin + np.outer([0, 1, 0, 1], step_right * samples)
    ends = ends + np.outer([0, 0, 1, 1], step_down * samples)
    height, width = image.shape[:2]
    left, top = np.clip(np.floor(ends.min(axis=0)).astype(int) - 1, 0, [width - 1, height - 1])
    stop = np.ceil(ends.max(axis=0)).astype(int) + 2
    right, bottom = np.clip(stop, [left + 1, top + 1], [width, height])
    grey = image[top:bottom, left:right]
    if grey.ndim == 3:
        grey = cv2.cvtColor(grey, cv2.COLOR_RGB2GRAY)  # type: ignore[assignment]
    matrix = np.column_stack([step_right, step_down, origin - [left, top]])
    sampled: NDArray[np.uint8] = cv2.warpAffine(  # type: ignore[assignment]
        grey,
        matrix,
        (samples, samples),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return sampled


def normalize(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Give every crop mean 0 and standard deviation 1, so that lighting matters less.

    Args:
        crops: (N, size, size) grey levels, 0-255.

    Returns:
        (N, size, size, 1) float32, the layout the exported networks take.
    """
    if crops.ndim != 3:
        raise ValueError(f"Expected crops of shape (N, size, size), got {crops.shape}.")
    pixels = crops.astype(np.float32)
    mean = pixels.mean(axis=(1, 2), keepdims=True)
    deviation = np.maximum(pixels.std(axis=(1, 2), keepdims=True), MIN_STANDARD_DEVIATION)
    normalized: NDArray[np.float32] = ((pixels - mean) / deviation)[..., np.newaxis]
    return normalized
