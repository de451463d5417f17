"""Labelled faces, whatever file they come from; every reader gives these.

The votes follow FER+: Barsoum et al., "Training deep networks for facial expression recognition
with crowd-sourced label distribution" (2016); ten annotators voted on every image.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recognizer.vision.emotions import EMOTIONS

SPLITS: Final = ("Training", "PublicTest", "PrivateTest")

# The order of FER-2013's own numeric labels 0-6, in our words.
FER2013_LABELS: Final = ("anger", "disgust", "fear", "happy", "sad", "surprise", "neutral")
EMOTION_OF_LABEL: Final = np.array([EMOTIONS.index(name) for name in FER2013_LABELS])
"""(7,) int64, where each of these stands in EMOTIONS."""

# The two columns of the votes that follow those of EMOTIONS.
UNKNOWN: Final = len(EMOTIONS)
NOT_A_FACE: Final = len(EMOTIONS) + 1
ANNOTATORS: Final = 10
"""Votes of a row of FER+; a label without votes, as a folder's name, counts as so many."""
MOST_VOTES: Final = 1_000_000
"""Of one kind in one row; as many as any crowd has, and no sum overflows."""
# Of a row's annotators, as many as make it a labelled non-face: six of FER+'s ten.
NON_FACE_SHARE: Final = 0.6


class DatasetError(ValueError):
    """A data set is not what it should be; the message names the file, the row and the mend."""


@dataclass(frozen=True)
class Faces:
    """Labelled faces; all arrays share the first axis.

    Attributes:
        images: (N, size, size) uint8 grey levels; FER-2013's are 48x48.
        labels: (N,) int64, FER-2013's own label, an index into FER2013_LABELS; -1 where there is
            none, as for contempt.
        votes: (N, 10) int64, FER+ votes: the eight EMOTIONS, then unknown, then not-a-face.
        named: (N,) bool, whether FER+ gives the row an image name (it drops non-faces).
        splits: (N,) str, Training, PublicTest or PrivateTest.
        groups: (N,) str, the same for rows that no split may tear apart, as they show one
            character or come from one owner; "" where nothing is known.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    votes: NDArray[np.int64]
    named: NDArray[np.bool_]
    splits: NDArray[np.str_]
    groups: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def majority(self) -> NDArray[np.int64]:
        """(N,) the FER+ majority label, see the function `majority`."""
        return majority(self.votes)

    @cached_property
    def agreed(self) -> NDArray[np.bool_]:
        """(N,) whether an emotion has the majority: the rows that accuracy is measured on."""
        agreed: NDArray[np.bool_] = (self.majority >= 0) & (self.majority < len(EMOTIONS))
        return agreed

    @cached_property
    def disputed(self) -> NDArray[np.bool_]:
        """(N,) a named row that is no majority non-face, and yet no emotion wins."""
        disputed: NDArray[np.bool_] = self.named & (self.majority != NOT_A_FACE) & ~self.agreed
        return disputed

    @cached_property
    def most_say_non_face(self) -> NDArray[np.bool_]:
        """(N,) whether NON_FACE_SHARE of the votes or more say that it is no face."""
        most = NON_FACE_SHARE * np.maximum(self.votes.sum(axis=1), 1)
        say_so: NDArray[np.bool_] = self.votes[:, NOT_A_FACE] >= most
        return say_so

    @cached_property
    def non_face(self) -> NDArray[np.bool_]:
        """(N,) labelled as no face: by its votes, or by having no name."""
        labelled: NDArray[np.bool_] = ~self.named | self.most_say_non_face
        return labelled

    def where(self, rows: NDArray[np.bool_]) -> "Faces":
        """The rows for which `rows` (N,) is true, in order."""
        return Faces(
            self.images[rows],
            self.labels[rows],
            self.votes[rows],
            self.named[rows],
            self.splits[rows],
            self.groups[rows],
        )

    def split(self, name: str) -> "Faces":
        """The rows of one split; DatasetError when there are none."""
        rows = self.splits == name
        if not rows.any():
            present = ", ".join(sorted(set(self.splits.tolist()))) or "no rows at all"
            raise DatasetError(f"The data set has no {name} rows; it holds {present}.")
        return self.where(rows)


def majority(votes: NDArray[np.int64]) -> NDArray[np.int64]:
    """The FER+ majority label of every row, or -1 where the annotators do not agree.

    Single votes are taken for slips and dropped; the winner needs more than half of what
    remains, unknown and not-a-face included. This is the rule of Barsoum et al. (2016).

    Args:
        votes: (N, 10) as in `Faces.votes`.

    Returns:
        (N,) int64: 0-7 into EMOTIONS, UNKNOWN, NOT_A_FACE, or -1 for no majority.
    """
    kept = np.where(votes == 1, 0, votes)
    winner = kept.argmax(axis=1)
    wins = 2 * kept.max(axis=1, initial=0) > kept.sum(axis=1)
    return np.where(wins, winner, -1)


def distribution(votes: NDArray[np.int64]) -> NDArray[np.float32]:
    """The share of each emotion among a row's votes: (N, 8), rows sum to 1 (or 0: no such vote).

    Single votes are dropped as in `majority` unless nothing else is left.
    """
    emotions = votes[:, : len(EMOTIONS)]
    kept = np.where(emotions == 1, 0, emotions)
    kept = np.where(kept.sum(axis=1, keepdims=True) > 0, kept, emotions)
    shares: NDArray[np.float32] = (kept / np.maximum(kept.sum(axis=1, keepdims=True), 1)).astype(
        np.float32
    )
    return shares
