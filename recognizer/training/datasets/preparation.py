"""Which rows to learn from, and what to aim for on each."""

import hashlib
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from recognizer.training.datasets.backgrounds import Backgrounds
from recognizer.training.datasets.faces import (
    FER2013_LABELS,
    UNKNOWN,
    Faces,
    distribution,
    majority,
)
from recognizer.training.datasets.splitting import belonging
from recognizer.vision.emotions import EMOTIONS

HEADS = ("ferplus", "fer2013")
Probabilities = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class TrainingSet:
    """What the network sees; all arrays share the first axis.

    Attributes:
        images: (N, size, size) uint8.
        ferplus: (N, 8) float32, share of the votes for each of EMOTIONS; rows sum to 1.
        fer2013: (N, 7) float32, share of FER-2013's own labels; rows sum to 1, or to 0 where
            the data set has no such label.
        ambiguous: (N,) float32, 1 where the FER+ majority rule fails, else 0.
        left_out: why rows of the split were not used, and how many.
        non_faces: (M, size, size) uint8, the rows that show no face.
        backgrounds: crops of photos that show no face, if there are any.
        groups: (N,) int64, the same for images that a cross-validation must not tear apart; None
            where each is on its own.
    """

    images: NDArray[np.uint8]
    ferplus: NDArray[np.float32]
    fer2013: NDArray[np.float32]
    ambiguous: NDArray[np.float32]
    left_out: dict[str, int]
    non_faces: NDArray[np.uint8]
    backgrounds: Backgrounds | None = None
    groups: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.images)


def prepare_training(faces: Faces) -> TrainingSet:
    """The Training rows of a data set, kept apart from every other split: see `prepare`."""
    return prepare(faces.split("Training"), faces.images[faces.splits != "Training"])


def prepare(training: Faces, held_out: NDArray[np.uint8]) -> TrainingSet:
    """Drop non-faces, rows whose image is held out, and repeats (their votes are added up).

    Groups that show the same image become one.

    Args:
        training: the rows.
        held_out: (M, size, size) uint8, what must not be learned from.
    """
    digests = image_digests(training.images)
    leaking = np.isin(digests, image_digests(held_out))
    not_faces = training.non_face
    no_emotion = distribution(training.votes).sum(axis=1) == 0
    usable = ~leaking & ~not_faces & ~no_emotion
    kept = training.where(usable)
    _, first, group = np.unique(digests[usable], return_index=True, return_inverse=True)
    votes = np.zeros((len(first), kept.votes.shape[1]), np.int64)
    np.add.at(votes, group, kept.votes)
    own = np.zeros((len(first), len(FER2013_LABELS)), np.float32)
    labelled = kept.labels >= 0
    np.add.at(own, (group[labelled], kept.labels[labelled]), 1)
    order = np.argsort(first)
    first, votes, own = first[order], votes[order], own[order]
    winner = majority(votes)
    grouped = (kept.groups != "").any()
    together = belonging(group, kept.groups)[first] if grouped else None
    return TrainingSet(
        images=kept.images[first],
        ferplus=distribution(votes),
        fer2013=own / np.maximum(own.sum(axis=1, keepdims=True), 1),
        ambiguous=((winner < 0) | (winner == UNKNOWN)).astype(np.float32),
        left_out={
            "identical to a held-out image": int(leaking.sum()),
            "not a face": int((not_faces & ~leaking).sum()),
            "no vote for an emotion": int((no_emotion & ~not_faces & ~leaking).sum()),
            "identical to an earlier row (votes added to it)": len(kept) - len(first),
        },
        non_faces=_distinct(training.images[not_faces & ~leaking]),
        groups=together,
    )


def joined_rows(faces: Faces) -> NDArray[np.int64]:
    """(N,) numbers, the same for rows that show the same image or are of one group."""
    _, pictures = np.unique(image_digests(faces.images), return_inverse=True)
    return belonging(pictures, faces.groups)


def drawn_at_once(faces: Faces) -> NDArray[np.int64] | None:
    """`joined_rows` where groups are known; None where each row is a draw of its own."""
    return joined_rows(faces) if (faces.groups != "").any() else None


def _distinct(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    _, first = np.unique(image_digests(images), return_index=True)
    return images[np.sort(first)]


def image_digests(images: NDArray[np.uint8]) -> NDArray[np.bytes_]:
    """SHA-256 of each image's pixels: what two rows have in common when they show the same."""
    return np.array([hashlib.sha256(image.tobytes()).digest() for image in images], "S32")


def votes_per_emotion(training: TrainingSet) -> dict[str, float]:
    """How many pictures each emotion makes up, a picture counting by its shares."""
    shares = training.ferplus.sum(axis=0, dtype=np.float64)
    return dict(zip(EMOTIONS, shares.round(1).tolist(), strict=True))


def sampling_weights(training: TrainingSet, balance: float) -> NDArray[np.float64]:
    """How often each row is to be seen in an epoch, on average; (N,) with mean 1.

    A row counts by its emotions' shares, an emotion by its frequency to the power -`balance`:
    0 leaves the data set as it is, 0.5 is square-root sampling (Mahajan et al., 2018), 1 shows
    every emotion equally often.
    """
    frequency = np.maximum(training.ferplus.mean(axis=0, dtype=np.float64), 1e-6)
    weights: NDArray[np.float64] = training.ferplus @ frequency**-balance
    weights /= weights.mean()
    return weights


def epoch_order(weights: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Rows of one epoch in random order: each appears its weight's whole part, and once more
    with the probability of the rest, so that no row is lost to chance as in plain resampling.
    """
    counts = np.floor(weights + rng.random(len(weights))).astype(np.int64)
    order: NDArray[np.int64] = rng.permutation(np.repeat(np.arange(len(weights)), counts))
    return order


def distilled(
    training: TrainingSet,
    teacher: Probabilities,
    share: float,
) -> TrainingSet:
    """Targets mixed with a teacher's probabilities (Hinton et al., 2015).

    Args:
        training: the rows.
        teacher: (N, 8) "ferplus" and (N, 7) "fer2013" probabilities of the same rows; NaN
            where the teacher has nothing to say.
        share: how much of the target is the teacher's, 0-1.
    """
    return replace(
        training,
        ferplus=mixed(training.ferplus, teacher["ferplus"], share),
        fer2013=mixed(training.fer2013, teacher["fer2013"], share),
    )


def mixed(
    own: NDArray[np.float32], taught: NDArray[np.float32], share: float
) -> NDArray[np.float32]:
    """Targets of one head, (N, K): the data set's own, of which a teacher's replace a share."""
    targets: NDArray[np.float32] = ((1 - share) * own + share * taught).astype(np.float32)
    # Where the data set says nothing, the teacher does.
    unknown = own.sum(axis=1) == 0
    targets[unknown] = taught[unknown]
    untaught = np.isnan(taught).any(axis=1)
    targets[untaught] = own[untaught]
    return targets
