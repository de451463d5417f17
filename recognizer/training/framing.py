"""Find out how a detector's box must be cropped so that the face sits as in the training images.

The training images are cut by somebody else's detector. Here each is put back into a larger
picture, found by ours, and the crop margin, its shift and its alignment are chosen by how well
the classifier then does: a wrong margin is the most common error of systems like this one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from recognizer.training.calibration import Classify
from recognizer.vision.detection import Detection, Detector
from recognizer.vision.preprocessing import Preprocessing, crop_face

ENLARGE = 4
# People hold their heads and phones askew: the spread of the turn of a face, in degrees.
ROLL = 12.0
MARGINS = (0.8, 0.85, 0.9, 0.95, 1.0, 1.1, 1.2)
SHIFTS = (-0.1, -0.05, 0.0, 0.05)


@dataclass(frozen=True)
class Scene:
    """One training image in a larger picture, as a photo would show it, and the face found."""

    image: NDArray[np.uint8]
    face: Detection
    label: int


def scenes(
    images: NDArray[np.uint8], labels: NDArray[np.int64], detector: Detector, seed: int = 0
) -> list[Scene]:
    """Scenes of the (N, 48, 48) images whose face the detector finds, turned at random."""
    rng = np.random.default_rng(seed)
    found = []
    for image, label in zip(images, labels, strict=True):
        photo = _photo(image, float(rng.normal(0, ROLL)))
        faces = detector.detect(photo)
        if faces:
            largest = max(faces, key=lambda face: face.box[2] * face.box[3])
            found.append(Scene(photo, largest, int(label)))
    return found


def _photo(image: NDArray[np.uint8], roll: float) -> NDArray[np.uint8]:
    side = image.shape[0] * ENLARGE
    large = cv2.resize(image, (side, side), interpolation=cv2.INTER_CUBIC)
    around = side // 2
    large = cv2.copyMakeBorder(
        large, around, around, around, around, borderType=cv2.BORDER_REPLICATE
    )
    middle = (large.shape[0] - 1) / 2
    turn = cv2.getRotationMatrix2D((middle, middle), roll, 1.0)
    turned = cv2.warpAffine(
        large, turn, large.shape[::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.repeat(turned[..., None].astype(np.uint8), 3, axis=2)


def sweep(
    found: Sequence[Scene], classify: Classify, size: int = 48
) -> list[tuple[float, Preprocessing]]:
    """Accuracy of every margin, shift and alignment on the scenes, the best first.

    Raises:
        ValueError: there is no scene.
    """
    if not found:
        raise ValueError(
            "The detector finds a face in none of the held-out images, so the crop can't be "
            "fitted to it. Are these pictures of faces?"
        )
    labels = np.array([scene.label for scene in found])
    results = []
    for preprocessing in _candidates(size):
        crops = np.stack(
            [crop_face(s.image, s.face.box, s.face.landmarks, preprocessing) for s in found]
        )
        accuracy = float((classify(crops).argmax(axis=1) == labels).mean())
        results.append((accuracy, preprocessing))
    return sorted(results, key=lambda result: -result[0])


def _candidates(size: int) -> Iterator[Preprocessing]:
    for margin in MARGINS:
        for shift_y in SHIFTS:
            yield Preprocessing(size, margin, shift_y, "none")
            yield Preprocessing(size, margin, shift_y, "eyes")


def smoothed_best(results: Sequence[tuple[float, Preprocessing]]) -> Preprocessing:
    """The setting that does best once noise is smoothed away: a lucky cell of a grid is no reason.

    A quadratic response surface over margin and shift (Box and Wilson, 1951) is fitted for each
    alignment; the grid's cell with the highest fitted accuracy wins.
    """
    fitted = []
    for align in ("none", "eyes"):
        cells = [(accuracy, p) for accuracy, p in results if p.align == align]
        terms = np.array([_quadratic(p.margin, p.shift_y) for _, p in cells])
        accuracies = np.array([accuracy for accuracy, _ in cells])
        surface, *_ = np.linalg.lstsq(terms, accuracies, rcond=None)
        fitted += list(zip((terms @ surface).tolist(), (p for _, p in cells), strict=True))
    best: Preprocessing = max(fitted, key=lambda cell: cell[0])[1]
    return best


def _quadratic(x: float, y: float) -> list[float]:
    return [1.0, x, y, x * x, x * y, y * y]
