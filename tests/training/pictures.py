"""Pictures with a face that a detector finds, and pictures without."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray


def tight_crop(portrait: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The face of `astronaut` as FER-2013 cuts faces: (48, 48) grey."""
    grey = cv2.cvtColor(portrait[50:190, 155:295], cv2.COLOR_RGB2GRAY)
    return cv2.resize(grey, (48, 48), interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def faceless(seed: int = 0) -> NDArray[np.uint8]:
    """(48, 48) grey noise."""
    return np.random.default_rng(seed).integers(90, 160, (48, 48), dtype=np.uint8)


def write_picture(path: Path, image: NDArray[np.uint8]) -> Path:
    """Write a grey or an RGB picture, and the folders it lies in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if image.ndim == 3:
        image = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)  # type: ignore[assignment]
    path.write_bytes(cv2.imencode(path.suffix, image)[1].tobytes())
    return path


def read_grey(path: Path) -> NDArray[np.uint8]:
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    assert image is not None
    return image  # type: ignore[return-value]
