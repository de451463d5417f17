"""Held-out pictures that are in Training, too, and what knowing them by heart would be worth.

FER-2013 has hundreds of them. Training here leaves them out; who trains on all of Training learns
their labels, so accuracies can only be compared with this in mind.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recognizer.training.datasets.faces import Faces
from recognizer.training.datasets.preparation import image_digests, prepare
from recognizer.training.evaluation.scoring import SplitAnswers

_NONE: Final = -1


@dataclass(frozen=True, slots=True, eq=False)
class Leaks:
    """What Training says about the pictures of a split that are in it, pixel by pixel.

    Attributes:
        pictures: how many rows of the split are concerned.
        labels: (N,) the emotion that most votes are for there; -1 where there is none.
        own_labels: (N,) the most frequent one of FER-2013's own labels there, or -1.
    """

    pictures: int
    labels: NDArray[np.int64]
    own_labels: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ByHeart:
    """How often a model would be right if it knew the leaks by heart and were otherwise the same.

    Attributes:
        pictures: how many there are.
        accuracy: of the FER+ head.
        own_accuracy: of the head for FER-2013's own labels; None without one or the other.
    """

    pictures: int
    accuracy: float
    own_accuracy: float | None

    @property
    def in_words(self) -> str:
        """What that means, in sentences."""
        one = self.pictures == 1
        are, them = ("is", "it") if one else ("are", "them")
        own = self.own_accuracy
        by_own = "" if own is None else f", and on {own:.2%} by FER-2013’s own labels"
        return (
            f"Of the split’s pictures {self.pictures:,} {are} in Training, too, pixel by pixel. A "
            f"model that knew {them} by heart, and were otherwise like this one, would be right on "
            f"{self.accuracy:.2%}{by_own}."
        )


def find_leaks(held_out: Faces, training: Faces) -> Leaks | None:
    """The leaks of a split; None where no picture of it can be learned in Training."""
    wanted = image_digests(held_out.images)
    known = image_digests(training.images)
    leaking = np.isin(known, wanted)
    if not leaking.any():
        return None
    # As it would be learned: votes of repeats added up, and nothing of what is no face.
    taught = prepare(training.where(leaking), training.images[:0])
    if not len(taught):
        return None
    digests = image_digests(taught.images)
    order = np.argsort(digests)
    place = order[np.searchsorted(digests[order], wanted).clip(max=len(order) - 1)]
    found = digests[place] == wanted
    labelled = taught.fer2013.sum(axis=1)[place] > 0
    return Leaks(
        pictures=int(np.isin(wanted, known).sum()),
        labels=np.where(
            found & (taught.ambiguous[place] == 0), taught.ferplus.argmax(axis=1)[place], _NONE
        ),
        own_labels=np.where(found & labelled, taught.fer2013.argmax(axis=1)[place], _NONE),
    )


def by_heart(answers: SplitAnswers, leaks: Leaks, own: bool = True) -> ByHeart:
    """How often a model would be right that answers the leaks as Training labels them.

    Args:
        answers: of a model to the split.
        leaks: of the same split.
        own: whether the labels of the data set itself are FER-2013's own.
    """
    labelled = answers.own_labels >= 0
    return ByHeart(
        pictures=leaks.pictures,
        accuracy=_accuracy(answers.probabilities, leaks.labels, answers.labels, answers.agreed),
        own_accuracy=_accuracy(answers.own, leaks.own_labels, answers.own_labels, labelled)
        if own and answers.own is not None and labelled.any()
        else None,
    )


def _accuracy(
    probabilities: NDArray[np.float64],
    known: NDArray[np.int64],
    labels: NDArray[np.int64],
    rows: NDArray[np.bool_],
) -> float:
    said = np.where(known == _NONE, probabilities.argmax(axis=1), known)
    return float((said == labels)[rows].mean())
