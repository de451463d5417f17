"""What data sets call the emotions, in our words."""

from collections.abc import Iterable
from typing import Final

from recognizer.training.datasets.faces import FER2013_LABELS
from recognizer.vision.emotions import EMOTIONS

CLASSES: Final = (*EMOTIONS, "unknown", "not_a_face")
"""The columns of `Faces.votes`, by name."""

_SYNONYMS: Final = {
    "anger": ("angry", "angriness", "mad"),
    "contempt": ("contemptuous", "scorn"),
    "disgust": ("disgusted", "disgusting"),
    "fear": ("fearful", "afraid", "scared"),
    "happy": ("happiness", "joy", "joyful"),
    "neutral": ("neutrality",),
    "sad": ("sadness", "unhappy"),
    "surprise": ("surprised", "surprising"),
    "unknown": ("uncertain", "cant_tell", "unclear"),
    "not_a_face": ("notaface", "non_face", "nonface", "no_face", "noface", "nf"),
}
_BY_NAME: Final = {
    **{name: CLASSES.index(name) for name in CLASSES},
    **{other: CLASSES.index(name) for name, others in _SYNONYMS.items() for other in others},
}
_DIGITS: Final = {str(digit): EMOTIONS.index(name) for digit, name in enumerate(FER2013_LABELS)}
_FER2013_OF_CLASS: Final = [
    FER2013_LABELS.index(name) if name in FER2013_LABELS else -1 for name in CLASSES
]


def class_index(name: str) -> int | None:
    """The column of `Faces.votes` that a class name means, None for a name nobody knows.

    Upper and lower case, spaces and hyphens make no difference: "Can't tell" is "cant_tell".
    """
    word = name.strip().casefold().replace("'", "").replace("’", "")
    return _BY_NAME.get("_".join(word.replace("-", " ").replace("_", " ").split()))


def class_indices(names: Iterable[str]) -> dict[str, int | None]:
    """`class_index` of every class name of one data set.

    Digits are read in FER-2013's order (0 anger … 6 neutral) only if the names are 0-6, all
    seven and nothing else: RAF-DB counts from 1 and the eight of AffectNet and FER+ to 7, each
    in another order, so other digits stay unknown.
    """
    names = set(names)
    if only_digits(names):
        return {name: _DIGITS[name] for name in names}
    return {name: class_index(name) for name in names}


def only_digits(names: Iterable[str]) -> bool:
    """Whether class names are FER-2013's digits: 0-6, all of them and nothing else."""
    return set(names) == set(_DIGITS)


def fer2013_label(index: int) -> int:
    """FER-2013's own label for a column of `Faces.votes`; -1 where it has none."""
    return _FER2013_OF_CLASS[index]
