"""What teachers think of the training images: the targets of distillation, in one small file.

Hinton et al., "Distilling the knowledge in a neural network" (2015). The file names images by
their pixels, so it fits the data set in whatever order it is read, and a student can be trained
without training its teachers again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from recognizer.training.datasets.faces import FER2013_LABELS, DatasetError
from recognizer.training.datasets.outputs import DAMAGED_ARCHIVE, whole_file
from recognizer.training.datasets.preparation import HEADS, Probabilities, image_digests
from recognizer.training.fitting.teachers import shares_of
from recognizer.vision.classification import OnnxClassifier
from recognizer.vision.emotions import EMOTIONS
from recognizer.vision.preprocessing import normalize

# Bytes of each image's SHA-256 that are kept: enough for billions of images.
DIGEST_BYTES = 8
# Images that are asked about at once: few, so that one sees slow teachers get on.
ASKED = 64


@dataclass(frozen=True)
class SoftLabels:
    """Probabilities by image.

    Attributes:
        digests: (N,) S8, the beginning of the SHA-256 of each image's pixels, sorted.
        ferplus: (N, 8) float32, in the order of EMOTIONS.
        fer2013: (N, 7) float32, in the order of FER2013_LABELS.
        teachers: names and versions of the models that were asked.
    """

    digests: NDArray[np.bytes_]
    ferplus: NDArray[np.float32]
    fer2013: NDArray[np.float32]
    teachers: tuple[str, ...]

    def of(self, images: NDArray[np.uint8]) -> Probabilities:
        """Probabilities by head for (N, size, size) uint8 images; NaN where no teacher saw one."""
        wanted = _short_digests(images)
        place = np.searchsorted(self.digests, wanted).clip(max=max(0, len(self.digests) - 1))
        seen = np.isin(wanted, self.digests)
        place[~seen] = 0
        found = {"ferplus": self.ferplus[place], "fer2013": self.fer2013[place]}
        for probabilities in found.values():
            probabilities[~seen] = np.nan
        return found

    def about(self, images: NDArray[np.uint8]) -> bool:
        """Whether these are the answers to (N, size, size) uint8 images, and to no others."""
        return np.array_equal(self.digests, np.unique(_short_digests(images)))

    def save(self, path: Path) -> None:
        """Write a compressed .npz; probabilities become whole 255ths."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as draft:
            np.savez_compressed(
                draft,
                digests=self.digests,
                ferplus=np.round(self.ferplus * 255).astype(np.uint8),
                fer2013=np.round(self.fer2013 * 255).astype(np.uint8),
                teachers=np.array(self.teachers),
            )

    @classmethod
    def load(cls, path: Path) -> "SoftLabels":
        """Read what `save` has written.

        Raises:
            DatasetError: the file is missing or is something else.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                return cls(
                    file["digests"],
                    _shares(file["ferplus"]),
                    _shares(file["fer2013"]),
                    tuple(file["teachers"].tolist()),
                )
        except OSError as error:
            raise DatasetError(f"{path} cannot be read: {error.strerror or error}.") from error
        except (KeyError, *DAMAGED_ARCHIVE) as error:
            raise DatasetError(
                f"{path} holds no soft labels: expected a file that `manage.py teach` has written."
            ) from error


def teach(teachers: Sequence[OnnxClassifier], images: NDArray[np.uint8]) -> SoftLabels:
    """Average the teachers' answers to each image and to its mirror image; a bar counts the images.

    Args:
        teachers: each with the heads "ferplus" and "fer2013".
        images: (N, size, size) uint8.

    Raises:
        ModelError: a teacher lacks a head or takes another size.
    """
    shares = {
        "ferplus": np.zeros((len(images), len(EMOTIONS)), np.float32),
        "fer2013": np.zeros((len(images), len(FER2013_LABELS)), np.float32),
    }
    # An average of models may look at both sides by itself; then one is enough.
    views = [1 if _sees_both_sides(teacher) else 2 for teacher in teachers]
    with tqdm(total=len(images), desc="teaching", unit=" images", leave=False, disable=None) as bar:
        for start in range(0, len(images), ASKED):
            rows = slice(start, start + ASKED)
            for teacher, count in zip(teachers, views, strict=True):
                for pictures in (images[rows], images[rows, :, ::-1])[:count]:
                    for head, part in shares_of(teacher, normalize(pictures)).items():
                        shares[head][rows] += part / (count * len(teachers))
            bar.update(len(images[rows]))
    digests, first = np.unique(_short_digests(images), return_index=True)
    return SoftLabels(
        digests,
        shares["ferplus"][first],
        shares["fer2013"][first],
        tuple(teacher.name for teacher in teachers),
    )


def _sees_both_sides(teacher: OnnxClassifier) -> bool:
    side = teacher.card.preprocessing.size
    images = np.random.default_rng(0).integers(0, 256, (2, side, side), dtype=np.uint8)
    one, other = (
        shares_of(teacher, normalize(pictures)) for pictures in (images, images[:, :, ::-1])
    )
    return all(np.allclose(one[head], other[head], atol=1e-5) for head in HEADS)


def _shares(quantised: NDArray[np.uint8]) -> NDArray[np.float32]:
    shares = quantised.astype(np.float32)
    total: NDArray[np.float32] = shares / np.maximum(shares.sum(axis=1, keepdims=True), 1)
    return total


def _short_digests(images: NDArray[np.uint8]) -> NDArray[np.bytes_]:
    return image_digests(images).astype(f"S{DIGEST_BYTES}")
