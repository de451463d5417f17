"""Which rows to learn from, and what to aim for on each."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recognizer.training.fer2013 import NOT_A_FACE, Faces, distribution


@dataclass(frozen=True)
class TrainingSet:
    """What the network sees; all arrays share the first axis.

    Attributes:
        images: (N, 48, 48) uint8.
        targets: (N, 8) float32, share of the votes for each of EMOTIONS; rows sum to 1.
        labels: (N,) int64, FER-2013's own label.
        left_out: why rows of the split were not used, and how many.
    """

    images: NDArray[np.uint8]
    targets: NDArray[np.float32]
    labels: NDArray[np.int64]
    left_out: dict[str, int]

    def __len__(self) -> int:
        return len(self.labels)


def prepare(training: Faces, held_out: Faces) -> TrainingSet:
    """Drop non-faces, rows that leak into `held_out`, and repeats (their votes are added up)."""
    digests = _digests(training.images)
    leaking = np.isin(digests, _digests(held_out.images))
    not_faces = ~training.named | (training.votes[:, NOT_A_FACE] >= 6)
    no_emotion = distribution(training.votes).sum(axis=1) == 0
    usable = ~leaking & ~not_faces & ~no_emotion
    kept = training.where(usable)
    _, first, group = np.unique(digests[usable], return_index=True, return_inverse=True)
    votes = np.zeros((len(first), kept.votes.shape[1]), np.int64)
    np.add.at(votes, group, kept.votes)
    order = np.argsort(first)
    first, votes = first[order], votes[order]
    return TrainingSet(
        images=kept.images[first],
        targets=distribution(votes),
        labels=kept.labels[first],
        left_out={
            "identical to a held-out image": int(leaking.sum()),
            "not a face": int((not_faces & ~leaking).sum()),
            "no vote for an emotion": int((no_emotion & ~not_faces & ~leaking).sum()),
            "identical to an earlier row (votes added to it)": len(kept) - len(first),
        },
    )


def _digests(images: NDArray[np.uint8]) -> NDArray[np.bytes_]:
    return np.array([hashlib.sha256(image.tobytes()).digest() for image in images], "S32")
