"""What teachers think of the training images: the targets of distillation, in one small file.

Hinton et al., "Distilling the knowledge in a neural network" (2015). The file names images by
their pixels, so it fits the data set in whatever order it is read, and a student can be trained
without training its teachers again.
"""

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from recognizer.training.datasets.faces import FER2013_LABELS, DatasetError
from recognizer.training.datasets.journals import Journal, fingerprint
from recognizer.training.preparation import HEADS, image_digests
from recognizer.vision.classification import OnnxClassifier, softmax
from recognizer.vision.emotions import EMOTIONS
from recognizer.vision.preprocessing import normalize

# Bytes of each image's SHA-256 that are kept: enough for billions of images.
DIGEST_BYTES = 8
# Images that are asked about at once: few, so that one sees slow teachers get on.
ASKED = 64
Probabilities = dict[str, NDArray[np.float32]]


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

    def save(self, path: Path) -> None:
        """Write a compressed .npz; probabilities become whole 255ths."""
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(
            path,
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
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            raise DatasetError(f"{path} cannot be read as soft labels: {error}.") from error


def teach(
    teachers: Sequence[OnnxClassifier], images: NDArray[np.uint8], partial: Path | None = None
) -> SoftLabels:
    """Average the teachers' answers to each image and to its mirror image; a bar counts the images.

    The logits are taken as they are, without the card's temperature: the networks were fitted
    to shares of votes, and the temperature to winners.

    Args:
        teachers: each with the heads "ferplus" and "fer2013".
        images: (N, size, size) uint8.
        partial: a file for the answers so far, to be removed once the labels are saved. What a
            killed call left there is gone on with, if these teachers were asked about these
            images, and else cleared away.

    Raises:
        ModelError: a teacher lacks a head or takes another size.
        OSError: `partial` cannot be written.
    """
    journal = _journal(partial, teachers, images) if partial else None
    shares = {
        "ferplus": np.zeros((len(images), len(EMOTIONS)), np.float32),
        "fer2013": np.zeros((len(images), len(FER2013_LABELS)), np.float32),
    }
    with tqdm(total=len(images), desc="teaching", unit=" images", leave=False, disable=None) as bar:
        for start in range(0, len(images), ASKED):
            rows = slice(start, start + ASKED)
            known = journal.entries.get(str(start)) if journal else None
            answers = known or _answers(teachers, images[rows])
            for head in HEADS:
                shares[head][rows] = answers[head]
            if journal and not known:
                journal.add({str(start): {head: answers[head].tolist() for head in HEADS}})
            bar.update(len(images[rows]))
    digests, first = np.unique(_short_digests(images), return_index=True)
    return SoftLabels(
        digests,
        shares["ferplus"][first],
        shares["fer2013"][first],
        tuple(teacher.name for teacher in teachers),
    )


def _journal(path: Path, teachers: Sequence[OnnxClassifier], images: NDArray[np.uint8]) -> Journal:
    asked = [[teacher.name, teacher.card.weights.sha256] for teacher in teachers]
    about = {"teachers": asked, "images": fingerprint(images), "at once": ASKED}
    try:
        return Journal(path, about)
    except DatasetError:  # About something else.
        path.unlink()
        return Journal(path, about)


def _answers(teachers: Sequence[OnnxClassifier], images: NDArray[np.uint8]) -> Probabilities:
    sums: Probabilities = {}
    for teacher in teachers:
        for pictures in (images, images[:, :, ::-1]):
            logits = dict(teacher.logits(normalize(pictures), HEADS))
            logits["fer2013"] = _in_order(teacher, logits["fer2013"])
            for head in HEADS:
                share = (softmax(logits[head]) / (2 * len(teachers))).astype(np.float32)
                sums[head] = sums[head] + share if head in sums else share
    return sums


def _in_order(teacher: OnnxClassifier, logits: NDArray[np.float64]) -> NDArray[np.float64]:
    labels = teacher.card.heads["fer2013"].labels
    ordered: NDArray[np.float64] = logits[:, [labels.index(name) for name in FER2013_LABELS]]
    return ordered


def _shares(quantised: NDArray[np.uint8]) -> NDArray[np.float32]:
    shares = quantised.astype(np.float32)
    total: NDArray[np.float32] = shares / np.maximum(shares.sum(axis=1, keepdims=True), 1)
    return total


def _short_digests(images: NDArray[np.uint8]) -> NDArray[np.bytes_]:
    return image_digests(images).astype(f"S{DIGEST_BYTES}")
