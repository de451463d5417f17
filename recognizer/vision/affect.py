"""Valence and arousal of a face, read off the calibrated probabilities as its card says."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from recognizer.vision.cards import Axis, Head, ModelCard

Floats = NDArray[np.float64]


def heads_of(card: ModelCard) -> list[str]:
    """The heads whose probabilities `read_affect` needs; none where the card has no affect."""
    return [card.affect.valence.head, card.affect.arousal.head] if card.affect else []


def read_affect(
    card: ModelCard, probabilities: Mapping[str, Floats], count: int
) -> list[tuple[float, float] | tuple[None, None]]:
    """Valence and arousal of `count` faces, each -1 to 1, or None if the card has no affect.

    Args:
        card: whose heads they are.
        probabilities: (count, K) calibrated, of each of `heads_of(card)`.
        count: how many faces there are.
    """
    if card.affect is None:
        return [(None, None)] * count
    valence, arousal = (
        expectation(axis, card.heads[axis.head], probabilities[axis.head])
        for axis in (card.affect.valence, card.affect.arousal)
    )
    return list(zip(valence.tolist(), arousal.tolist(), strict=True))


def expectation(axis: Axis, head: Head, probabilities: Floats) -> Floats:
    """(N,) the mean coordinate under (N, K) probabilities in the order of the head's labels."""
    places = np.array([axis.coordinates[label] for label in head.labels])
    # Shares that add up to a hair more than 1 must not leave the range.
    expected: Floats = np.clip(probabilities @ places, -1.0, 1.0)
    return expected
