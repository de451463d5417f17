"""Valence and arousal from emotions: where each lies on the circumplex, and the card's entry.

Emotions lie around a circle of pleasure and arousal: Russell, "A circumplex model of affect"
(1980). The numbers are Russell and Mehrabian's, "Evidence for a three-factor theory of emotions"
(1977): mean pleasure and arousal, -1 to 1, of people who thought of being angry, disgusted,
fearful, happy, sad and surprised. Neutral is the origin. Their table is not known to us to have
contempt; it is put halfway between anger and disgust, of which it is made according to Plutchik,
"Emotion: A psychoevolutionary synthesis" (1980).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recognizer.vision.cards import MAIN_HEAD, Affect, Axis, ModelCard

CIRCUMPLEX: Final[Mapping[str, tuple[float, float]]] = {
    "anger": (-0.51, 0.59),
    "contempt": (-0.555, 0.47),
    "disgust": (-0.60, 0.35),
    "fear": (-0.64, 0.60),
    "happy": (0.81, 0.51),
    "neutral": (0.0, 0.0),
    "sad": (-0.63, -0.27),
    "surprise": (0.40, 0.67),
}

# What agrees best with people; `manage.py affect` shows it. FER+ calls many faces neutral that
# people rate as unpleasant; FER-2013's own labels commit themselves more.
VALENCE_HEAD: Final = "fer2013"
AROUSAL_HEAD: Final = MAIN_HEAD

_SOURCE: Final = (
    "Russell and Mehrabian (1977), mean pleasure and arousal of the emotion terms; "
    "neutral at the origin, contempt halfway between anger and disgust"
)


def places(labels: Sequence[str]) -> NDArray[np.float64]:
    """(K, 2) valence and arousal of each label on the circumplex, -1 to 1."""
    return np.array([CIRCUMPLEX[label] for label in labels], np.float64)


def with_affect(card: ModelCard, arousal_experimental: bool = True) -> ModelCard:
    """The card with an entry that says how to read valence and arousal off its heads.

    Nothing is fitted: the coordinates are published ones. A card without the FER-2013 head reads
    both off FER+'s.

    Args:
        card: any.
        arousal_experimental: False only once people's ratings have shown otherwise.
    """
    return replace(
        card,
        affect=Affect(
            valence=_axis(card, VALENCE_HEAD, 0),
            arousal=_axis(card, AROUSAL_HEAD, 1),
            arousal_experimental=arousal_experimental,
            source=_SOURCE,
        ),
    )


def _axis(card: ModelCard, head: str, column: int) -> Axis:
    head = head if head in card.heads else MAIN_HEAD
    return Axis(head, {label: CIRCUMPLEX[label][column] for label in card.heads[head].labels})
