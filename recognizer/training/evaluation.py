"""Score a model on FER-2013 and FER+, the way `manage.py evaluate` reports it."""

from typing import Any

import numpy as np

from recognizer.training import metrics
from recognizer.training.datasets.faces import FER2013_LABELS, NOT_A_FACE, Faces, majority
from recognizer.vision.classification import OnnxClassifier
from recognizer.vision.emotions import EMOTIONS
from recognizer.vision.preprocessing import normalize
from recognizer.vision.uncertainty import doubt


def evaluate(classifier: OnnxClassifier, faces: Faces) -> dict[str, Any]:
    """Score every row as the classifier's input.

    Returns:
        `fer2013` (null for a model without that head) and `ferplus`, as docs describe them.

    Raises:
        ValueError: the model takes another size, or no row has a FER+ majority.
    """
    size = classifier.card.preprocessing.size
    if size != faces.images.shape[1]:
        raise ValueError(
            f"{classifier.name} takes faces of {size}x{size} pixels; FER-2013 has 48x48."
        )
    inputs = normalize(faces.images)
    return {
        "fer2013": _fer2013(classifier, inputs, faces),
        "ferplus": _ferplus(classifier, inputs, faces),
    }


def _fer2013(classifier: OnnxClassifier, inputs: Any, faces: Faces) -> dict[str, Any] | None:
    head = classifier.card.heads.get("fer2013")
    if head is None:
        return None
    probabilities = classifier.probabilities(inputs, "fer2013")
    order = [head.labels.index(name) for name in FER2013_LABELS]
    return metrics.summary(probabilities[:, order], faces.labels, FER2013_LABELS)


def _ferplus(classifier: OnnxClassifier, inputs: Any, faces: Faces) -> dict[str, Any]:
    rule = classifier.card.uncertainty
    answers = classifier.answers(inputs)
    probabilities = answers.probabilities
    labels = majority(faces.votes)
    agreed = (labels >= 0) & (labels < len(EMOTIONS))
    if not agreed.any():
        raise ValueError("No row of this split has a FER+ majority; there is nothing to score.")
    score = doubt(probabilities, rule, answers.ambiguity)
    answered = agreed & (score <= rule.threshold)
    if answers.not_a_face is not None:
        answered &= answers.not_a_face <= rule.not_a_face
    wrong = probabilities.argmax(axis=1) != labels
    # People disagreed: a named row that is no majority non-face, and yet no emotion won.
    disputed = faces.named & (labels != NOT_A_FACE) & ~agreed
    asked = agreed | disputed
    return {
        **metrics.summary(probabilities[agreed], labels[agreed], EMOTIONS),
        "coverage": float(answered.sum() / agreed.sum()),
        "selective_error": float(wrong[answered].mean()) if answered.any() else None,
        "aurc": metrics.aurc(score[agreed], wrong[agreed]),
        "disagreement_auroc": metrics.auroc(score[asked], disputed[asked]),
    }


def even_and_odd(faces: Faces) -> tuple[Faces, Faces]:
    """Split one split's rows by their place in it: even ones to fit on, odd ones to report."""
    even = np.arange(len(faces)) % 2 == 0
    return faces.where(even), faces.where(~even)
