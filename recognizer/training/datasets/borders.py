"""Room around a tight crop, so that a detector finds the face in it."""

import cv2
import numpy as np
from numpy.typing import NDArray

SEARCHED_SIDE = 192
"""The side at which pictures are searched, four times FER-2013's; smaller ones are enlarged."""


def bordered(image: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    """A tight crop as part of a larger picture: MTCNN finds no face that fills all there is.

    Args:
        image: (H, W) grey or (H, W, 3) RGB, 0-255.
        scale: how often the crop's side; below 1 it is shrunk.

    Returns:
        RGB, twice the side of the scaled crop, which lies in the middle; its border is repeated
        around it.
    """
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    scaled = cv2.resize(image, (width, height), interpolation=how)
    x, y = width // 2, height // 2
    whole = cv2.copyMakeBorder(scaled, y, y, x, x, borderType=cv2.BORDER_REPLICATE)
    if whole.ndim == 2:
        whole = cv2.cvtColor(whole, cv2.COLOR_GRAY2RGB)
    return whole  # type: ignore[return-value]
