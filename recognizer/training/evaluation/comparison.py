"""An old and a new model on the same faces: who is right more often, and is that chance?

Imports no TensorFlow.
"""

from typing import Any

import numpy as np

from recognizer.training.datasets.faces import Faces
from recognizer.training.evaluation import bootstrap, scoring
from recognizer.training.evaluation.scoring import SplitAnswers
from recognizer.vision.classification import OnnxClassifier
from recognizer.vision.emotions import EMOTIONS


def compare(old: OnnxClassifier, new: OnnxClassifier, faces: Faces) -> dict[str, Any] | None:
    """Both models' numbers on the same faces, and the gain with its paired 95% interval.

    The interval counts groups, such as a person's faces, as one draw each.

    Returns:
        JSON types: `faces` (how many have a majority for an emotion), `old` and `new` as
        `manage.py evaluate` names them, with `intervals_95`; `gain`, `low` and `high` of the
        accuracy; `mended` and `spoilt`, how many faces only the new or only the old one is right
        about; `recalls`, by emotion: how many faces show it, and both models' recalls. None
        when no face has such a majority.

    Raises:
        ValueError: a model takes another size.
    """
    if not faces.agreed.any():
        return None
    before, after = scoring.answer(old, faces), scoring.answer(new, faces)
    agreed = before.agreed
    old_right, new_right = ~before.wrong[agreed], ~after.wrong[agreed]
    joined = None if before.joined is None else before.joined[agreed]
    low, high = bootstrap.gain_interval(old_right, new_right, joined)
    return {
        "faces": int(agreed.sum()),
        "old": _numbers(before),
        "new": _numbers(after),
        "gain": float(new_right.mean() - old_right.mean()),
        "low": low,
        "high": high,
        "mended": int((new_right & ~old_right).sum()),
        "spoilt": int((old_right & ~new_right).sum()),
        "recalls": _recalls(before, after),
    }


def _numbers(answers: SplitAnswers) -> dict[str, Any]:
    intervals = scoring.intervals(answers)["ferplus"]
    return {**scoring.scores(answers)["ferplus"], "intervals_95": intervals}


def _recalls(before: SplitAnswers, after: SplitAnswers) -> dict[str, dict[str, float | int]]:
    table = {}
    for place, emotion in enumerate(EMOTIONS):
        shown = before.agreed & (before.labels == place)
        if shown.any():
            table[emotion] = {
                "faces": int(shown.sum()),
                "old": float(np.mean(~before.wrong[shown])),
                "new": float(np.mean(~after.wrong[shown])),
            }
    return table
