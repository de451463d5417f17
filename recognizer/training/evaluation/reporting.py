"""What an evaluation report says, as data; the commands turn it into tables and pages."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from recognizer.training.datasets.faces import EMOTION_OF_LABEL, FER2013_LABELS, Faces
from recognizer.training.datasets.labelling import Labelling
from recognizer.training.datasets.preparation import drawn_at_once
from recognizer.training.evaluation import bootstrap, metrics
from recognizer.training.evaluation.bootstrap import Interval
from recognizer.training.evaluation.charts import ClassBars, Series
from recognizer.training.evaluation.corruptions import Corrupted
from recognizer.training.evaluation.leaks import ByHeart, Leaks, by_heart
from recognizer.training.evaluation.metrics import Chance, Reliability
from recognizer.training.evaluation.scoring import SplitAnswers, face_times, intervals, scores
from recognizer.vision.cards import ModelCard, UncertaintyRule
from recognizer.vision.classification import OnnxClassifier
from recognizer.vision.emotions import EMOTIONS

MISTAKES: Final = 24

# Headline numbers in their order: name in the result, label, whether a share, what is better.
HEADLINES: Final = (
    ("accuracy", "accuracy", True, "higher"),
    ("top2_accuracy", "top-2 accuracy", True, "higher"),
    ("macro_f1", "macro-F1", False, "higher"),
    ("mean_recall", "mean recall", True, "higher"),
    ("ece", "ECE", False, "lower"),
    ("nll", "NLL, nats", False, "lower"),
    ("coverage", "coverage", True, "higher"),
    ("selective_error", "selective error", True, "lower"),
    ("aurc", "AURC", False, "lower"),
    ("disagreement_auroc", "AUROC, disagreement", False, "higher"),
)
# How well the model tells what people disagree about: of no meaning where they had no say.
_DISAGREEMENT: Final = "disagreement_auroc"
_VOTED: Final = (*EMOTIONS, "unknown", "not a face")
# The scalars that a rule may threshold, in words.
_SCORES: Final = {
    "confidence": "1 − the highest probability",
    "margin": "1 − the lead of the highest probability over the next",
    "entropy": "the entropy of the probabilities, as a share of the highest possible,",
}


@dataclass(frozen=True, slots=True)
class Number:
    """A headline number with its 95% interval; None where it is not defined.

    Attributes:
        name: its key in the command's JSON.
        label: for people.
        share: written as a percentage.
        better: "higher" or "lower".
    """

    name: str
    label: str
    share: bool
    better: str
    value: float | None
    interval: Interval | None

    @property
    def text(self) -> str:
        """The value, such as "86.71%"."""
        return "–" if self.value is None else self._write(self.value)

    @property
    def range(self) -> str:
        """The interval, such as "85.5–87.9%"; empty where there is none."""
        if self.interval is None:
            return ""
        low, high = self.interval
        if self.share:
            return f"{100 * low:.1f}–{100 * high:.1f}%"
        return f"{self._write(low)}–{self._write(high)}"

    def _write(self, value: float) -> str:
        if self.share:
            return f"{value:.2%}"
        # What is far below 1 needs another digit.
        return f"{value:.4f}" if self.better == "lower" else f"{value:.3f}"


@dataclass(frozen=True, slots=True, eq=False)
class Protocol:
    """One label set: the headline numbers and what the charts show.

    Attributes:
        key: "ferplus" or "fer2013".
        rows: how many were scored.
        labels: K class names.
        confusion: (K, K), rows are true classes.
    """

    key: str
    rows: int
    numbers: tuple[Number, ...]
    labels: tuple[str, ...]
    confusion: NDArray[np.int64]
    classes: tuple[ClassBars, ...]
    reliability: Reliability
    chance: Chance

    def number(self, name: str) -> Number:
        return next(one for one in self.numbers if one.name == name)


@dataclass(frozen=True, slots=True)
class Selection:
    """How the uncertain rule does: the curve and where the card's threshold lies on it."""

    curve: Series
    ideal: Series
    coverage: float
    risk: float | None
    aurc: float
    rule: str


@dataclass(frozen=True, slots=True, eq=False)
class Mistake:
    """A row that the model got wrong, and how sure it was.

    Attributes:
        row: its 1-based place in the split.
        image: (size, size) uint8.
        true, predicted: emotions.
        probability: of the predicted emotion.
        probability_of_true: of the true one.
        votes: who voted for what, the most votes first.
    """

    row: int
    image: NDArray[np.uint8]
    true: str
    predicted: str
    probability: float
    probability_of_true: float
    votes: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Evaluated:
    """One model on one split, with everything that a table or a page says about it.

    Attributes:
        labelling: whom it is measured against, in words.
        rows: of the whole split.
        scores: as `scoring.scores` gives them.
        right: (rows of ferplus,) whether the answer is the majority's.
        agreement: share of those rows, as far as they have a label of FER-2013's own, on which
            it is the majority's.
        corrupted: how it does on spoilt pictures, if that was asked; the first are as they are.
        by_heart: what knowing the split's pictures that are in Training would be worth; None
            where there are none.
    """

    card: ModelCard
    split: str
    labelling: Labelling
    rows: int
    scores: dict[str, Any]
    ferplus: Protocol
    fer2013: Protocol | None
    selection: Selection
    right: NDArray[np.bool_]
    agreement: float
    corrupted: tuple[Corrupted, ...]
    by_heart: ByHeart | None

    @property
    def headlines(self) -> tuple[Number, ...]:
        """The numbers of the eight emotions that mean something with this labelling."""
        return tuple(
            one for one in self.ferplus.numbers if self.labelling.voted or one.name != _DISAGREEMENT
        )

    @property
    def own(self) -> Protocol | None:
        """The numbers of the head for FER-2013's labels, if these are FER-2013's labels."""
        return self.fer2013 if self.labelling.own else None


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """A model beside others: what it costs, and how far it is from the first.

    Attributes:
        evaluated: the model.
        milliseconds: median time for one face on one core.
        milliseconds_middle: the middle half of the times.
        difference: of its accuracy to the first model's, with the paired 95% interval; None
            for the first itself.
    """

    evaluated: Evaluated
    milliseconds: float
    milliseconds_middle: Interval
    difference: tuple[float, Interval] | None

    @property
    def name(self) -> str:
        return self.evaluated.card.name


def evaluated(
    card: ModelCard,
    split: str,
    labelling: Labelling,
    answers: SplitAnswers,
    corrupted: tuple[Corrupted, ...] = (),
    leaks: Leaks | None = None,
) -> Evaluated:
    """Everything that a table or a page says about one model's answers."""
    found, ranges = scores(answers), intervals(answers)
    agreed, own, labelled = answers.agreed, answers.own, answers.own_labels >= 0
    return Evaluated(
        card=card,
        split=split,
        labelling=labelling,
        rows=len(answers.labels),
        scores=found,
        ferplus=_protocol(
            "ferplus",
            found["ferplus"],
            ranges["ferplus"] or {},
            EMOTIONS,
            metrics.reliability(answers.probabilities[agreed], answers.labels[agreed]),
        ),
        fer2013=None
        if own is None or found["fer2013"] is None
        else _protocol(
            "fer2013",
            found["fer2013"],
            ranges["fer2013"] or {},
            FER2013_LABELS,
            metrics.reliability(own[labelled], answers.own_labels[labelled]),
        ),
        selection=_selection(card, answers, found["ferplus"]),
        right=~answers.wrong[agreed],
        agreement=_agreement(answers),
        corrupted=corrupted,
        by_heart=by_heart(answers, leaks, own=bool(labelling.own)) if leaks else None,
    )


def _agreement(answers: SplitAnswers) -> float:
    own = EMOTION_OF_LABEL[answers.own_labels]
    both = answers.agreed & (answers.own_labels >= 0)
    return float((own == answers.labels)[both].mean()) if both.any() else 0.0


def compare(
    models: Sequence[Evaluated], single_threaded: Sequence[OnnxClassifier], faces: Sequence[Faces]
) -> list[Compared]:
    """Put models side by side that were evaluated on the same rows.

    Args:
        models: at least one; the first is what the others are compared with.
        single_threaded: the same models with one thread each, to be timed.
        faces: the rows, as each model sees them.
    """
    times = face_times(single_threaded, faces)
    quarters = np.quantile(times, [0.25, 0.5, 0.75], axis=1).T
    first = models[0].right
    joined = drawn_at_once(faces[0])
    if joined is not None:
        joined = joined[faces[0].agreed]
    return [
        Compared(
            evaluated=one,
            milliseconds=float(middle),
            milliseconds_middle=(float(low), float(high)),
            difference=_difference(first, one.right, joined) if place else None,
        )
        for place, (one, (low, middle, high)) in enumerate(zip(models, quarters, strict=True))
    ]


def _difference(
    first: NDArray[np.bool_], second: NDArray[np.bool_], joined: NDArray[np.int64] | None
) -> tuple[float, Interval]:
    value = float(second.mean() - first.mean())
    return value, bootstrap.gain_interval(first, second, joined)


def mistakes(answers: SplitAnswers, faces: Faces, most: int = MISTAKES) -> list[Mistake]:
    """The wrong answers that the model was surest of, the surest first."""
    wrong = np.flatnonzero(answers.agreed & answers.wrong)
    confidence = answers.probabilities.max(axis=1)
    surest = wrong[np.argsort(-confidence[wrong], kind="stable")][:most]
    return [_mistake(int(row), answers, faces) for row in surest]


def _mistake(row: int, answers: SplitAnswers, faces: Faces) -> Mistake:
    probabilities, true = answers.probabilities[row], int(answers.labels[row])
    predicted = int(probabilities.argmax())
    votes = sorted(zip(_VOTED, faces.votes[row].tolist(), strict=True), key=lambda one: -one[1])
    return Mistake(
        row=row + 1,
        image=faces.images[row],
        true=EMOTIONS[true],
        predicted=EMOTIONS[predicted],
        probability=float(probabilities[predicted]),
        probability_of_true=float(probabilities[true]),
        votes=tuple(one for one in votes if one[1]),
    )


def _protocol(
    key: str,
    found: dict[str, Any],
    ranges: dict[str, Interval | None],
    labels: tuple[str, ...],
    reliability: Reliability,
) -> Protocol:
    confusion = np.array(found["confusion"], np.int64)
    lows, highs = metrics.wilson_interval(np.diag(confusion), confusion.sum(axis=1))
    return Protocol(
        key=key,
        rows=found["n"],
        numbers=tuple(
            Number(name, label, share, better, found[name], ranges.get(name))
            for name, label, share, better in HEADLINES
            if name in found
        ),
        labels=labels,
        confusion=confusion,
        classes=tuple(
            ClassBars(name=name, low=float(low), high=float(high), **found["per_class"][name])
            for name, low, high in zip(labels, lows, highs, strict=True)
        ),
        reliability=reliability,
        chance=Chance(**found["ece_by_chance"]),
    )


def _selection(card: ModelCard, answers: SplitAnswers, found: dict[str, Any]) -> Selection:
    agreed = answers.agreed
    score, wrong = answers.score[agreed], answers.wrong[agreed]
    coverage, risk = metrics.risk_coverage(score, wrong)
    # The best that any score could do: all wrong answers come last.
    _, least = metrics.risk_coverage(wrong.astype(np.float64), wrong)
    rule = card.uncertainty
    return Selection(
        curve=Series(card.name, coverage, risk),
        ideal=Series("a perfect order", coverage, least),
        coverage=found["coverage"],
        risk=found["selective_error"],
        aurc=found["aurc"],
        rule=rule_in_words(rule),
    )


def rule_in_words(rule: UncertaintyRule) -> str:
    """When a model is uncertain, to follow "where" in a sentence."""
    measure = _SCORES.get(rule.score, f"the {rule.score} score")
    if any(rule.lift):
        measure += " without the lift of rare emotions"
    if rule.ambiguity_weight:
        measure += f", {rule.ambiguity_weight:.0%} of it replaced by the ambiguity head's answer,"
    return f"{measure} is above {rule.threshold:g}"
