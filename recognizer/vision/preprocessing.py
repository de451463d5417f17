"""From a face in a photo to the classifier's input, the same way in training and in serving."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

# Below this standard deviation (in grey levels of 0-255) a crop is flat: dividing by
# less would blow sensor noise up into a face.
MIN_STANDARD_DEVIATION = 4.0


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
