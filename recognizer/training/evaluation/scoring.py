"""Score a model on FER-2013 and FER+, the way `manage.py evaluate` reports it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from recognizer.training.datasets.faces import FER2013_LABELS, Faces
from recognizer.training.datasets.preparation import drawn_at_once
from recognizer.training.evaluation import bootstrap, metrics
from recognizer.training.evaluation.metrics import Floats, Labels
from recognizer.vision.cards import AMBIGUITY_HEAD, MAIN_HEAD, NOT_A_FACE_HEAD, ModelCard
from recognizer.vision.classification import OnnxClassifier, calibrate
from recognizer.vision.emotions import EMOTIONS
from recognizer.vision.preprocessing import normalize
from recognizer.vision.uncertainty import against, doubt, sharpness, without_lift

OWN_HEAD: Final = "fer2013"
_CHUNK: Final = 512


@dataclass(frozen=True, eq=False)
class SplitAnswers:
    """What a model says about every row of a split, beside what people said.

    Attributes:
        probabilities: (N, 8) of the FER+ head.
        own: (N, 7) of the FER-2013 head, in the order of FER2013_LABELS; None without one.
        unlifted: (N, 8) `probabilities` without the lift of rare emotions; None without one.
        score: (N,) the scalar that the uncertain rule thresholds.
        threshold: scores above it are uncertain.
        answered: (N,) bool, the model commits: its score is not above the threshold, and it
            takes the picture for a face.
        labels: (N,) the FER+ majority, see `Faces`.
        own_labels: (N,) FER-2013's own labels.
        agreed: (N,) bool, an emotion has the majority; there is at least one such row.
        disputed: (N,) bool, see `Faces`.
        joined: (N,) the same for rows that belong together; None where each is on its own.
    """

    probabilities: Floats
    own: Floats | None
    unlifted: Floats | None
    score: Floats
    threshold: float
    answered: NDArray[np.bool_]
    labels: Labels
    own_labels: Labels
    agreed: NDArray[np.bool_]
    disputed: NDArray[np.bool_]
    joined: Labels | None = None

    @cached_property
    def wrong(self) -> NDArray[np.bool_]:
        """(N,) whether the FER+ head's answer is not the majority's."""
        wrong: NDArray[np.bool_] = self.probabilities.argmax(axis=1) != self.labels
        return wrong

    @property
    def coverage(self) -> float:
        """Share of the agreed rows that the model answers."""
        return float((self.agreed & self.answered).sum() / self.agreed.sum())

    @property
    def selective_error(self) -> float | None:
        """Share of those answers that is wrong; None where there is none."""
        answered = self.agreed & self.answered
        return float(self.wrong[answered].mean()) if answered.any() else None

    @cached_property
    def asked(self) -> NDArray[np.bool_]:
        """(N,) the rows of the AUROC: agreed ones against disputed ones."""
        return self.agreed | self.disputed


def answer(
    classifier: OnnxClassifier, faces: Faces, sides: NDArray[np.float64] | None = None
) -> SplitAnswers:
    """Run the model over every row; a progress bar on stderr.

    Args:
        classifier: the model.
        faces: its input.
        sides: (N,) longer side of each face's box in pixels, where the faces come out of photos:
            then small and blurred ones are not answered, as on the site.

    Raises:
        ValueError: the model takes another size, or no row shows an emotion that most agree on.
    """
    _check_size(classifier, faces)
    if not faces.agreed.any():
        raise ValueError(
            "No row of this split shows an emotion that most agree on; there is nothing to score."
        )
    rule = classifier.card.uncertainty
    by_head = _calibrated(classifier, faces)
    score = doubt(by_head[MAIN_HEAD], rule, _yes(by_head, AMBIGUITY_HEAD))
    sharp = None if sides is None else sharpness(normalize(faces.images))
    reasons = against(score, rule, sides, sharp, _yes(by_head, NOT_A_FACE_HEAD))
    return SplitAnswers(
        probabilities=by_head[MAIN_HEAD],
        own=_own(classifier.card, by_head),
        unlifted=without_lift(by_head[MAIN_HEAD], rule).astype(np.float64)
        if any(rule.lift)
        else None,
        score=score,
        threshold=rule.threshold,
        answered=~np.any(list(reasons.values()), axis=0),
        labels=faces.majority,
        own_labels=faces.labels,
        agreed=faces.agreed,
        disputed=faces.disputed,
        joined=drawn_at_once(faces),
    )


def scores(answers: SplitAnswers) -> dict[str, Any]:
    """The numbers of both protocols, as JSON types."""
    own, labelled = answers.own, answers.own_labels >= 0
    return {
        "fer2013": None
        if own is None or not labelled.any()
        else _summary(own[labelled], answers.own_labels[labelled], FER2013_LABELS),
        "ferplus": _ferplus(answers),
    }


def _ferplus(answers: SplitAnswers) -> dict[str, Any]:
    agreed, asked, wrong = answers.agreed, answers.asked, answers.wrong
    return {
        **_summary(answers.probabilities[agreed], answers.labels[agreed], EMOTIONS),
        "coverage": answers.coverage,
        "selective_error": answers.selective_error,
        "aurc": metrics.aurc(answers.score[agreed], wrong[agreed]),
        "disagreement_auroc": metrics.auroc(answers.score[asked], answers.disputed[asked]),
        "without_lift": _without_lift(answers),
    }


def _without_lift(answers: SplitAnswers) -> dict[str, float] | None:
    """What the lift of rare emotions costs and brings: the numbers without it, if there is one."""
    if answers.unlifted is None:
        return None
    found = metrics.summary(
        answers.unlifted[answers.agreed], answers.labels[answers.agreed], EMOTIONS
    )
    return {name: found[name] for name in ("accuracy", "mean_recall", "macro_f1", "ece", "nll")}


def _summary(probabilities: Floats, labels: Labels, names: tuple[str, ...]) -> dict[str, Any]:
    return {
        **metrics.summary(probabilities, labels, names),
        "ece_by_chance": metrics.ece_by_chance(probabilities)._asdict(),
    }


def intervals(answers: SplitAnswers) -> dict[str, dict[str, bootstrap.Interval | None] | None]:
    """95% bootstrap intervals of the headline numbers of `scores`, under the same names.

    What belongs together, such as a person's faces, is drawn at once.
    """
    agreed, asked, own = answers.agreed, answers.asked, answers.own
    labelled = answers.own_labels >= 0

    def joined(rows: NDArray[np.bool_]) -> Labels | None:
        return None if answers.joined is None else answers.joined[rows]

    return {
        "fer2013": None
        if own is None or not labelled.any()
        else {
            **bootstrap.summary_intervals(
                own[labelled], answers.own_labels[labelled], joined(labelled)
            )
        },
        "ferplus": {
            **bootstrap.summary_intervals(
                answers.probabilities[agreed], answers.labels[agreed], joined(agreed)
            ),
            **bootstrap.selective_intervals(
                answers.score[agreed],
                answers.wrong[agreed],
                answers.answered[agreed],
                joined(agreed),
            ),
            "disagreement_auroc": bootstrap.auroc_interval(
                answers.score[asked], answers.disputed[asked], joined(asked)
            ),
        },
    }


def face_times(
    classifiers: Sequence[OnnxClassifier], faces: Sequence[Faces], rounds: int = 200
) -> Floats:
    """How long each model takes for one face, in milliseconds: (models, rounds).

    The models take turns, so that whatever else the machine does falls on all of them alike.

    Args:
        classifiers: give them one thread each for the time on one core.
        faces: of each model, taken in turn; at least one.
        rounds: turns each.
    """
    inputs = [normalize(own.images[:rounds]) for own in faces]
    times = np.empty((len(classifiers), rounds))
    for turn in range(-5, rounds):  # The first few only warm up.
        for place, classifier in enumerate(classifiers):
            face = inputs[place][turn % len(inputs[place])][np.newaxis]
            started = time.perf_counter()
            classifier.logits(face, [MAIN_HEAD])
            if turn >= 0:
                times[place, turn] = 1000 * (time.perf_counter() - started)
    return times


def _check_size(classifier: OnnxClassifier, faces: Faces) -> None:
    size, given = classifier.card.preprocessing.size, faces.images.shape[1]
    if size != given:
        raise ValueError(
            f"{classifier.name} takes faces of {size}x{size} pixels, and these have "
            f"{given}x{given}; only models of one size can be scored together."
        )


def _calibrated(classifier: OnnxClassifier, faces: Faces) -> dict[str, Floats]:
    """Probabilities by head, all heads in one run."""
    heads = list(classifier.card.heads)
    starts = range(0, len(faces), _CHUNK)
    bar = tqdm(starts, classifier.card.name, leave=False, disable=None, unit="chunk")
    parts = [
        classifier.logits(normalize(faces.images[start : start + _CHUNK]), heads) for start in bar
    ]
    return {
        head: calibrate(np.concatenate([part[head] for part in parts]), described)
        for head, described in classifier.card.heads.items()
    }


def _yes(by_head: dict[str, Floats], head: str) -> Floats | None:
    """(N,) the answer of a head that says yes or no; None without it."""
    return by_head[head][:, 0] if head in by_head else None


def _own(card: ModelCard, by_head: dict[str, Floats]) -> Floats | None:
    if OWN_HEAD not in by_head:
        return None
    return by_head[OWN_HEAD][:, card.heads[OWN_HEAD].columns(FER2013_LABELS)]
