"""The eight emotions, in the one order of every array, vote and label; and how sure is said."""

from typing import Final

EMOTIONS: Final = (
    "anger",
    "contempt",
    "disgust",
    "fear",
    "happy",
    "neutral",
    "sad",
    "surprise",
)


def percent(probability: float) -> str:
    """0.934 as "93%"; what is nearly certain or nearly impossible is never written as if it were.

    Args:
        probability: 0-1.
    """
    if 0.995 <= probability < 1:
        return ">99%"
    if 0 < probability < 0.005:
        return "<1%"
    return f"{probability:.0%}"
