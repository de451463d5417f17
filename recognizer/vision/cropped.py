"""A second detector, for pictures that are faces already, as those of most data sets are.

It is also the shortest example of a detector of one's own: a class made with `min_face` and
`threads`, and one method. DETECTOR (docs/configuration.md) or `Recognizer(detector)` takes it.
"""

from typing import Final

import numpy as np

from recognizer.vision.detection import Detection, Image

# Roughly where they are in a tight crop of an upright face, as shares of its sides.
_LAYOUT: Final = {
    "left_eye": (0.31, 0.36),
    "right_eye": (0.69, 0.36),
    "nose": (0.50, 0.58),
    "mouth_left": (0.36, 0.77),
    "mouth_right": (0.64, 0.77),
}


class CroppedFaces:
    """Takes every picture for one upright face that fills it."""

    def __init__(self, min_face: int | None = None, threads: int = 0) -> None:
        """Set up.

        Args:
            min_face: shorter side of the smallest picture that still counts as a face, in pixels.
            threads: not used; here so that any detector is made alike.
        """
        if min_face is not None and min_face < 1:
            raise ValueError(f"min_face must be at least 1 pixel, not {min_face}.")
        del threads
        self.min_face = min_face or 1

    def detect(self, image: Image) -> list[Detection]:
        """The whole (H, W, 3) RGB uint8 picture, with the landmarks of an average face."""
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ValueError(f"Expected (H, W, 3) uint8, got {image.shape} {image.dtype}.")
        height, width = image.shape[:2]
        if min(height, width) < self.min_face:
            return []
        landmarks = {
            name: (right * width, down * height) for name, (right, down) in _LAYOUT.items()
        }
        return [Detection((0, 0, width, height), landmarks, 1.0)]
