"""How far to go from the old weights of a network to its fine-tuned ones.

Some of the way keeps what the network knew (robust fine-tuning, Wortsman et al., 2022); which
share is chosen by how the ways do on faces that had no say in them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

CALLED_NONE: Final = 0.005
"""Share of the faces that more than before may be called no face; one face always may."""
Losses = Mapping[float, NDArray[np.float64]]
"""(N,) cross-entropy of each face, by the share of the way."""


class NothingLearned(ValueError):
    """No network came of it that does better than the old one; the message says why."""


@dataclass(frozen=True, slots=True)
class Way:
    """How a share of the way did in cross-validation, beside the old network on the same faces.

    Attributes:
        share: 0 for the old network, 1 for the fine-tuned one.
        loss: mean cross-entropy with the reviewers' votes, in nats.
        accuracy: share of the faces that are called what most reviewers said, before rare
            emotions are lifted.
        called_none: share of the faces that are called no face.
    """

    share: float
    loss: float
    accuracy: float
    called_none: float = 0.0


def way_of(
    share: float,
    losses: NDArray[np.float64],
    named: NDArray[np.int64],
    none: NDArray[np.bool_],
    votes: NDArray[np.float32],
) -> Way:
    """A way, by its losses, what it calls each face, and what it calls no face: (N,) each."""
    right = named == votes.argmax(axis=1)
    return Way(share, float(losses.mean()), float(right.mean()), float(none.mean()))


def too_many(before: int, now: int, faces: int) -> bool:
    """Are noticeably more of so many faces called no face than before?"""
    return now - before > max(1.0, CALLED_NONE * faces)


def losses_of(said: NDArray[np.float64], votes: NDArray[np.float32]) -> NDArray[np.float64]:
    """(N,) cross-entropy of each row's logits with its votes."""
    shifted = said - said.max(axis=1, keepdims=True)
    log_probabilities = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    losses: NDArray[np.float64] = -(votes * log_probabilities).sum(axis=1)
    return losses


def worth_trying(
    ways: Sequence[Way], losses: Losses, groups: NDArray[np.int64] | None = None
) -> list[Way]:
    """The old network and the ways up to the one that cross-validation chooses.

    Args:
        ways: by the share of the way, the old network first.
        losses: of the same shares.
        groups: (N,) as in `TrainingSet`.

    Raises:
        NothingLearned: it chooses none.
    """
    faces = len(losses[0.0])
    before = round(ways[0].called_none * faces)
    seen = [way for way in ways if not too_many(before, round(way.called_none * faces), faces)]
    if len(seen) == 1:
        raise NothingLearned(
            f"Cross-validation among the {faces} reviewed faces: every fine-tuned model takes "
            "more of them for no face than the old one. Review more faces."
        )
    chosen = _shortest({way.share: losses[way.share] for way in seen}, groups)
    if chosen == 0:
        raise NothingLearned(
            f"Cross-validation among the {faces} reviewed faces: no fine-tuned model "
            "does better than the old one, so there is nothing to gain from them yet. Review "
            "more faces, best of all a random sample."
        )
    return [way for way in seen if way.share <= chosen]


def _shortest(losses: Losses, groups: NDArray[np.int64] | None) -> float:
    """The shortest way whose loss is within a standard error of the best one's.

    The rule of Breiman et al. (1984): what lies nearer to the old weights forgets less.
    """
    best = min(losses, key=lambda share: float(losses[share].mean()))
    for share in sorted(losses):
        behind = losses[share] - losses[best]
        if behind.mean() <= _standard_error(behind, groups):
            return share
    return best


def _standard_error(values: NDArray[np.float64], groups: NDArray[np.int64] | None) -> float:
    """Of the mean of (N,) values, of which those of one group are no separate draws.

    The usual one where each is on its own; else that of Liang and Zeger (1986) for clusters.
    """
    if groups is None:
        groups = np.arange(len(values))
    _, group = np.unique(groups, return_inverse=True)
    sums = np.bincount(group, values - values.mean())
    return float(np.sqrt((sums**2).sum() * len(sums) / (len(sums) - 1))) / len(values)
