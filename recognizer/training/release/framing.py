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

from recognizer.training.datasets.borders import SEARCHED_SIDE, bordered
from recognizer.training.datasets.progress import bar
from recognizer.training.release.calibration import Classify
from recognizer.vision.detection import Detection, Detector, largest
from recognizer.vision.preprocessing import Preprocessing, crop_face

# People hold their heads and phones askew: the spread of the turn of a face, in degrees.
ROLL = 12.0
MARGINS = (0.8, 0.85, 0.9, 0.95, 1.0, 1.1, 1.2)
LEAST = 1e-6
"""A smaller probability counts as this: no single scene is to decide."""
SHIFTS = (-0.1, -0.05, 0.0, 0.05)


@dataclass(frozen=True)
class Scene:
    """One training image in a larger picture, as a photo would show it, and the face found.

    Attributes:
        image: (H, W) grey.
        face: what the detector found.
        label: the emotion of most votes.
    """

    image: NDArray[np.uint8]
    face: Detection
    label: int


def scenes(
    images: NDArray[np.uint8], labels: NDArray[np.int64], detector: Detector, seed: int = 0
) -> list[Scene]:
    """Scenes of the (N, side, side) images whose face the detector finds, turned at random.

    A progress bar on stderr, as in `sweep`.
    """
    rng = np.random.default_rng(seed)
    found = []
    pairs = zip(images, labels, strict=True)
    for image, label in bar(pairs, "looking for faces", "images", len(images)):
        photo = _photo(image, float(rng.normal(0, ROLL)))
        faces = detector.detect(photo)
        if faces:
            found.append(Scene(np.ascontiguousarray(photo[..., 0]), largest(faces), int(label)))
    return found


def _photo(image: NDArray[np.uint8], roll: float) -> NDArray[np.uint8]:
    large = bordered(image, max(1.0, SEARCHED_SIDE / len(image)))
    height, width = large.shape[:2]
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), roll, 1.0)
    return cv2.warpAffine(  # type: ignore[return-value]
        large, turn, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )


def sweep(
    found: Sequence[Scene], classify: Classify, size: int = 48
) -> list[tuple[float, Preprocessing]]:
    """Mean log-likelihood of every margin, shift and alignment on the scenes, the best first.

    Accuracy would do for thousands of scenes; for hundreds, which crop gets a few more right is
    luck, while the probabilities of what is right agree, also between models.

    Raises:
        ValueError: there is no scene.
    """
    if not found:
        raise ValueError(
            "The detector finds a face in none of the held-out images, so the crop can't be "
            "fitted to it. Are these pictures of faces?"
        )
    rows, labels = np.arange(len(found)), np.array([scene.label for scene in found])
    results = []
    for preprocessing in bar(list(_candidates(size)), "fitting the crop", "crops"):
        crops = np.stack(
            [crop_face(s.image, s.face.box, s.face.landmarks, preprocessing) for s in found]
        )
        right = classify(crops)[rows, labels]
        results.append((float(np.log(np.maximum(right, LEAST)).mean()), preprocessing))
    return sorted(results, key=lambda result: -result[0])


def _candidates(size: int) -> Iterator[Preprocessing]:
    for margin in MARGINS:
        for shift_y in SHIFTS:
            yield Preprocessing(size, margin, shift_y, "none")
            yield Preprocessing(size, margin, shift_y, "eyes")


def smoothed_best(results: Sequence[tuple[float, Preprocessing]]) -> Preprocessing:
    """The setting that does best once noise is smoothed away: a lucky cell of a grid is no reason.

    A quadratic response surface over margin and shift (Box and Wilson, 1951) is fitted for each
    alignment; the grid's cell with the highest fitted value wins.
    """
    fitted = []
    for align in ("none", "eyes"):
        cells = [(value, p) for value, p in results if p.align == align]
        terms = np.array([_quadratic(p.margin, p.shift_y) for _, p in cells])
        values = np.array([value for value, _ in cells])
        surface, *_ = np.linalg.lstsq(terms, values, rcond=None)
        fitted += list(zip((terms @ surface).tolist(), (p for _, p in cells), strict=True))
    best: Preprocessing = max(fitted, key=lambda cell: cell[0])[1]
    return best


def _quadratic(x: float, y: float) -> list[float]:
    return [1.0, x, y, x * x, x * y, y * y]
