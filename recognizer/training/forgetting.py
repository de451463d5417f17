"""What fine-tuning must not lose: what a network knew of faces, and when it says "no face".

Importing this module imports TensorFlow.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import keras
import numpy as np
from numpy.typing import NDArray

from recognizer.training.datasets.faces import Faces
from recognizer.training.fitted import logits
from recognizer.training.non_faces import background
from recognizer.vision.cards import NOT_A_FACE_HEAD, Head
from recognizer.vision.classification import calibrate

CALLED_NONE: Final = 0.005
"""Share of the faces that more than before may be called no face; one face always may."""
MISSED: Final = 0.05
"""Share of what is no face that may be missed and was not before; one picture always may."""
NOISE: Final = 100
BACKGROUNDS: Final = 300
"""Pictures made up for an `Exam`."""


@dataclass(frozen=True)
class NoFaceRule:
    """When a network with the head `not_a_face` says that there is no face.

    Attributes:
        head: the card's.
        threshold: probability above which it says so.
    """

    head: Head
    threshold: float

    def speaks(self, answers: Mapping[str, NDArray[np.float32]]) -> NDArray[np.bool_]:
        """(N,) whether it does, from every head's logits."""
        said = calibrate(answers[NOT_A_FACE_HEAD].astype(np.float64), self.head)[:, 0]
        spoken: NDArray[np.bool_] = said > self.threshold
        return spoken


@dataclass(frozen=True)
class Knowledge:
    """How an exam went, in pictures.

    Attributes:
        right: faces that are called what most annotators said.
        called_none: faces that are called no face.
        found: of each kind that is no face, those that are called so.
    """

    right: int
    called_none: int
    found: Mapping[str, int]


@dataclass(frozen=True)
class Exam:
    """Pictures that tell what a network knows.

    Attributes:
        faces: (N, size, size) uint8; there may be none.
        labels: (N,) what most annotators said.
        non_faces: by kind, (M, size, size) uint8 pictures without a face.
        rule: when the network says that there is none; None where it never does.
    """

    faces: NDArray[np.uint8]
    labels: NDArray[np.int64]
    non_faces: Mapping[str, NDArray[np.uint8]]
    rule: NoFaceRule | None

    def of(self, model: keras.Model) -> Knowledge:
        """What a network knows."""
        said = logits(model, self.faces)
        right = int((said["ferplus"].argmax(axis=1) == self.labels).sum())
        if self.rule is None:
            return Knowledge(right, 0, {})
        found = {
            kind: int(self.rule.speaks(logits(model, images)).sum())
            for kind, images in self.non_faces.items()
        }
        return Knowledge(right, int(self.rule.speaks(said).sum()), found)

    def lost(self, before: Knowledge, now: Knowledge, forgotten: float) -> str:
        """What is lost and may not be, after "Every fine-tuned model"; "" if nothing is.

        `forgotten` is the share of the faces that need not be known any more.
        """
        if now.right < before.right - forgotten * len(self.faces):
            points = f"{100 * forgotten:g} points"
            return f"forgets more than {points} of what the old one knew of the reference set"
        if too_many(before.called_none, now.called_none, len(self.faces)):
            return "takes more of the reference set's faces for none"
        for kind, images in self.non_faces.items():
            missed = before.found.get(kind, 0) - now.found.get(kind, 0)
            if missed > max(1.0, MISSED * len(images)):
                return f"takes {kind} for faces that the old one did not"
        return ""


def exam(
    images: NDArray[np.uint8], guard: Faces | None, rule: NoFaceRule | None, seed: int
) -> Exam:
    """The exam on held-out rows, if there are any, and on what is no face.

    Args:
        images: (N, size, size) uint8 faces to make backgrounds of; at least one.
        guard: held-out rows; those count that agree on an emotion, and those that show no face.
        rule: see `Exam`.
        seed: of what is made up.
    """
    rows = guard.agreed if guard else np.zeros(0, bool)
    non_faces = {}
    if rule:
        rng = np.random.default_rng(seed)
        size = images.shape[1]
        sources = images[rng.integers(0, len(images), BACKGROUNDS)]
        non_faces = {
            "noise": noise(NOISE, size, rng),
            "backgrounds": np.stack([background(image, rng) for image in sources]),
        }
        if guard:
            non_faces["rows marked as no face"] = guard.images[guard.non_face & ~rows]
    if guard is None:
        return Exam(images[:0], np.zeros(0, np.int64), non_faces, rule)
    return Exam(guard.images[rows], guard.majority[rows], non_faces, rule)


def too_many(before: int, now: int, faces: int) -> bool:
    """Are noticeably more of so many faces called no face than before?"""
    return now - before > max(1.0, CALLED_NONE * faces)


def noise(count: int, size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """(count, size, size) uint8 white noise."""
    return rng.integers(0, 256, (count, size, size), dtype=np.uint8)
