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
from recognizer.training.fitting.fitted import logits
from recognizer.training.release.non_faces import background
from recognizer.training.reviews.ways import too_many
from recognizer.vision.cards import MAIN_HEAD, NOT_A_FACE_HEAD, Head, ModelCard
from recognizer.vision.classification import calibrate

MISSED: Final = 0.05
"""Share of what is no face that may be missed and was not before; one picture always may."""
NOISE: Final = 100
BACKGROUNDS: Final = 300
"""Pictures made up for an `Exam`."""


Logits = Mapping[str, NDArray[np.float32]]
"""(N, K) of each head."""


@dataclass(frozen=True)
class Serving:
    """What a network's logits mean where its model is served, but for the lift of rare emotions.

    The lift turns answers that hang in the balance. On a thousand faces, how many of these are
    right is luck, which is to decide nothing.

    Attributes:
        not_a_face: the card's head; None for a model without it.
        threshold: probability of "no face" above which there is none.
    """

    not_a_face: Head | None = None
    threshold: float = 1.0

    @classmethod
    def of(cls, card: ModelCard) -> "Serving":
        return cls(card.heads.get(NOT_A_FACE_HEAD), card.uncertainty.not_a_face)

    def named(self, said: Logits) -> NDArray[np.int64]:
        """(N,) the emotion that each face is called, if rare ones are not lifted."""
        named: NDArray[np.int64] = said[MAIN_HEAD].argmax(axis=1)
        return named

    def none(self, said: Logits) -> NDArray[np.bool_]:
        """(N,) whether each picture is called no face."""
        if self.not_a_face is None:
            return np.zeros(len(said[MAIN_HEAD]), bool)
        none = calibrate(said[NOT_A_FACE_HEAD].astype(np.float64), self.not_a_face)[:, 0]
        called: NDArray[np.bool_] = none > self.threshold
        return called


AS_FITTED: Final = Serving()
"""Everything is a face."""


@dataclass(frozen=True)
class Knowledge:
    """How an exam went, in pictures.

    Attributes:
        right: faces that are called what most annotators said, see `Serving.named`.
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
        serving: what the network's logits mean.
    """

    faces: NDArray[np.uint8]
    labels: NDArray[np.int64]
    non_faces: Mapping[str, NDArray[np.uint8]]
    serving: Serving

    def of(self, model: keras.Model) -> Knowledge:
        """What a network knows."""
        said = logits(model, self.faces)
        found = {
            kind: int(self.serving.none(logits(model, images)).sum())
            for kind, images in self.non_faces.items()
        }
        right = int((self.serving.named(said) == self.labels).sum())
        return Knowledge(right, int(self.serving.none(said).sum()), found)

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


def exam(images: NDArray[np.uint8], guard: Faces | None, serving: Serving, seed: int) -> Exam:
    """The exam on held-out rows, if there are any, and on what is no face.

    Args:
        images: (N, size, size) uint8 faces to make backgrounds of; at least one.
        guard: held-out rows; those count that agree on an emotion, and those that show no face.
        serving: see `Exam`; without the head `not_a_face`, nothing is asked about what is no face.
        seed: of what is made up.
    """
    rows = guard.agreed if guard else np.zeros(0, bool)
    non_faces = {}
    if serving.not_a_face:
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
        return Exam(images[:0], np.zeros(0, np.int64), non_faces, serving)
    return Exam(guard.images[rows], guard.majority[rows], non_faces, serving)


def noise(count: int, size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """(count, size, size) uint8 white noise."""
    return rng.integers(0, 256, (count, size, size), dtype=np.uint8)
