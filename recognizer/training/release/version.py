"""From an exported network to a model version: temperatures, crop, thresholds, its card.

Everything here is fitted on the even rows of the held-out split; the odd ones only report.
Imports no TensorFlow: a network from anywhere can be calibrated.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from tqdm import tqdm

from recognizer.training.affect.circumplex import with_affect
from recognizer.training.datasets.faces import FER2013_LABELS, Faces
from recognizer.training.datasets.halves import require_halves
from recognizer.training.datasets.journals import fingerprint
from recognizer.training.evaluation import scoring
from recognizer.training.evaluation.reporting import rule_in_words
from recognizer.training.release import calibration, framing
from recognizer.vision.cards import (
    AMBIGUITY_HEAD,
    MAIN_HEAD,
    NOT_A_FACE_HEAD,
    Head,
    ModelCard,
    UncertaintyRule,
)
from recognizer.vision.classification import LABELS_KEY, OnnxClassifier
from recognizer.vision.detection import MTCNN, Detector
from recognizer.vision.emotions import EMOTIONS
from recognizer.vision.preprocessing import Preprocessing, normalize

# So many scenes decide the framing; more would only take longer.
SCENES = 600
# Of fewer, the best crop is a matter of luck.
FEWEST_SCENES = 30
OUT_OF_FOLD: Final = "no_face_out_of_fold"
VOTES: Final = "votes_per_emotion"
"""What a card's data call how often each emotion was seen."""
SUSPICION: Final = "may_have_learned_held_out"
"""What a card's data call the sentence of `measured_elsewhere`."""
HELD_OUT: Final = "held_out_sha256"
"""What a card's metrics call the rows that they are of; the same for no others."""

LABELS: Final = {
    MAIN_HEAD: EMOTIONS,
    "fer2013": FER2013_LABELS,
    AMBIGUITY_HEAD: ("people would disagree",),
    NOT_A_FACE_HEAD: ("no face",),
}
NOTES: Final = (
    "Temperatures, bias, framing and thresholds were fitted on the even rows of PublicTest; the "
    "metrics named odd are of the other rows. An estimate of the visible expression, not of what "
    "a person feels."
)


def release(
    card: ModelCard,
    held_out: Faces,
    folder: Path,
    report: Callable[[str], None],
    detector: Detector | None = None,
    load: Callable[[Path], OnnxClassifier] = OnnxClassifier,
) -> OnnxClassifier:
    """Complete the card of an exported network and write it beside the weights.

    Args:
        card: names the weights and the heads, with temperature 1 each; `data` may hold
            "votes_per_emotion", which the adjustment for rare emotions needs. Its threshold for
            "no face" is kept.
        held_out: PublicTest; even rows fit, odd ones report.
        folder: holds the weights; card.json is written there.
        report: called with a line per step.
        detector: whose boxes the crops will come from; MTCNN, if not given.
        load: makes the model of its folder.
    """
    even, odd = require_halves(held_out)
    card = with_affect(card)
    card.save(folder / "card.json")
    card = replace(card, heads=_fit_heads(load(folder), even))
    card.save(folder / "card.json")
    for name, head in card.heads.items():
        report(_head_in_words(name, head))
    classifier = load(folder)

    def classify(images: NDArray[np.uint8]) -> NDArray[np.float64]:
        return classifier.probabilities(normalize(images))

    images, labels = _agreed(even)
    # Any of them: class folders are read class by class.
    some = np.random.default_rng(0).permutation(len(images))[:SCENES]
    found = framing.scenes(images[some], labels[some], detector or MTCNN())
    swept: list[tuple[float, Preprocessing]] = []
    preprocessing = card.preprocessing
    if len(found) < FEWEST_SCENES:
        report(
            f"The detector finds a face in {len(found)} of {len(some)} held-out "
            f"images; too few to fit the crop to, so it stays {_crop_in_words(preprocessing)}."
        )
    else:
        swept = framing.sweep(found, classify, preprocessing.size)
        preprocessing = framing.smoothed_best(swept)
        report(
            f"The crop, fitted to {len(found)} faces that the detector finds, is "
            f"{_crop_in_words(preprocessing)}."
        )
    lift = _lift(card.heads[MAIN_HEAD])
    choices = _choices(classifier, even, lift)
    with _counted(classify, "fitting the uncertain rule") as counted:
        rule = calibration.fit_rule(choices[0], counted, images, labels, preprocessing.margin, lift)
    rule = replace(rule, not_a_face=card.uncertainty.not_a_face)
    report(_rule_in_words(rule, choices[0]))
    card = replace(card, preprocessing=preprocessing, uncertainty=rule)
    card.save(folder / "card.json")
    metrics = {
        **card.metrics,
        **measured(load(folder), held_out, odd),
        "framing": _framing_table(found, swept),
        "uncertain_rule_on_even_rows": [asdict(choice) for choice in choices],
    }
    replace(card, metrics=metrics).save(folder / "card.json")
    return load(folder)


def measured(classifier: OnnxClassifier, held_out: Faces, odd: Faces) -> dict[str, Any]:
    """What a card claims of PublicTest.

    Args:
        classifier: the model, its card complete but for this.
        held_out: all rows, whether they had a say in the model or not.
        odd: those that had none.

    Raises:
        ValueError: the model takes another size, or no row of either has a FER+ majority.
    """
    answers = {
        name: scoring.answer(classifier, faces)
        for name, faces in (("PublicTest", held_out), ("PublicTest odd rows", odd))
    }
    return {
        **{name: scoring.scores(said) for name, said in answers.items()},
        "intervals_95": {name: scoring.intervals(said) for name, said in answers.items()},
        "no_face_on_odd_rows": _no_face(classifier, odd),
        HELD_OUT: held_out_hash(held_out),
    }


def held_out_hash(held_out: Faces) -> str:
    """SHA-256, in hex, of held-out pictures and what people said of them."""
    return fingerprint(held_out.images, held_out.votes, held_out.labels)


def measured_elsewhere(cards: Iterable[ModelCard], held_out: Faces) -> str:
    """A warning that models may have learned from held-out rows; empty where their cards say that
    it was these rows that they were measured on, and tell no such suspicion themselves.
    """
    known = held_out_hash(held_out)
    others = [
        f"{card.name} {card.version}"
        for card in cards
        if card.metrics.get(HELD_OUT) != known or SUSPICION in card.data
    ]
    if not others:
        return ""
    return (
        "These models, or what they learned from, may have learned from the rows held out here, as "
        f"other rows were held out for them: {', '.join(others)}. If so, what is measured here is "
        "too good."
    )


def write_labels(path: Path, labels: Mapping[str, Sequence[str]]) -> None:
    """Write into an ONNX file how its heads' classes are called, so that no card can differ."""
    network = onnx.load(path)
    network.ClearField("metadata_props")
    plain = {head: list(labels[head]) for head in sorted(labels)}
    onnx.helper.set_model_props(network, {LABELS_KEY: json.dumps(plain)})
    onnx.save(network, path)


def file_hash(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


@contextmanager
def _counted(classify: calibration.Classify, name: str) -> Iterator[calibration.Classify]:
    """The same, with a bar on stderr that counts the calls; how many there will be, none knows."""
    with tqdm(desc=name, unit=" rounds", leave=False, disable=None) as bar:

        def counted(images: NDArray[np.uint8]) -> NDArray[np.float64]:
            bar.update()
            return classify(images)

        yield counted


def _head_in_words(name: str, head: Head) -> str:
    told = f"Head {name}: temperature {head.temperature:g}"
    if not any(head.bias):
        return f"{told}."
    lifts = zip(head.labels, head.bias, strict=True)
    return f"{told}; logits moved by {', '.join(f'{label} {lift:+g}' for label, lift in lifts)}."


def _crop_in_words(how: Preprocessing) -> str:
    turned = "turned until the eyes are level" if how.align == "eyes" else "not turned"
    moved = f", moved {'down' if how.shift_y > 0 else 'up'} by {abs(how.shift_y):g} of it"
    return f"{how.margin:g} times the detector's box{moved if how.shift_y else ''}, and {turned}"


def _rule_in_words(rule: UncertaintyRule, choice: calibration.Choice) -> str:
    told = f"Uncertain where {rule_in_words(rule)}:"
    if not choice.coverage:
        return (
            f"{told} the model never commits itself on the even rows, so every face will be "
            f"uncertain. However sure it is, more than {calibration.TARGET_ERROR:.1%} of its "
            "answers are wrong; train it for longer, or on more images."
        )
    return (
        f"{told} on the even rows it commits itself on {choice.coverage:.1%}, and of those "
        f"{choice.error:.1%} are wrong."
    )


def _agreed(faces: Faces) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images and labels of the rows whose annotators agree on an emotion."""
    return faces.images[faces.agreed], faces.majority[faces.agreed]


def _asked(faces: Faces) -> tuple[Faces, NDArray[np.int64], NDArray[np.bool_]]:
    """Rows that show a face, their majority labels, and whether the annotators disagree."""
    asked = faces.agreed | faces.disputed
    return faces.where(asked), faces.majority[asked], faces.disputed[asked]


def _fit_heads(classifier: OnnxClassifier, even: Faces) -> dict[str, Head]:
    card = classifier.card
    images, labels = _agreed(even)
    logits = classifier.logits(normalize(images), [MAIN_HEAD])[MAIN_HEAD]
    bias = _bias(card, logits, labels)
    temperature = calibration.fit_temperature(logits + np.array(bias or 0.0), labels)
    heads = {**card.heads, MAIN_HEAD: Head(EMOTIONS, round(temperature, 4), bias)}
    labelled = even.where(even.labels >= 0)
    if "fer2013" in heads and len(labelled):
        own = classifier.logits(normalize(labelled.images), ["fer2013"])["fer2013"]
        names = heads["fer2013"].labels
        columns = np.array(heads["fer2013"].columns(FER2013_LABELS))
        temperature = calibration.fit_temperature(own, columns[labelled.labels])
        heads["fer2013"] = Head(names, round(temperature, 4))
    if AMBIGUITY_HEAD in heads:
        asked, _, disputed = _asked(even)
        doubt = classifier.logits(normalize(asked.images), [AMBIGUITY_HEAD])[AMBIGUITY_HEAD]
        # Yes or no is a choice of two, no being 0.
        pair = np.concatenate([np.zeros_like(doubt), doubt], axis=1)
        temperature = calibration.fit_temperature(pair, disputed.astype(np.int64))
        heads[AMBIGUITY_HEAD] = Head(LABELS[AMBIGUITY_HEAD], round(temperature, 4))
    return heads


def _bias(
    card: ModelCard, logits: NDArray[np.float64], labels: NDArray[np.int64]
) -> tuple[float, ...]:
    votes = card.data.get(VOTES)
    if not votes:
        return ()
    counts = np.array([votes[emotion] for emotion in EMOTIONS], np.float64)
    return calibration.adjust_for_rare(logits, labels, counts / counts.sum())


def _lift(head: Head) -> tuple[float, ...]:
    """What the head's bias adds to the logarithms of its probabilities."""
    return tuple(round(bias / head.temperature, 4) for bias in head.bias)


def _choices(
    classifier: OnnxClassifier, even: Faces, lift: tuple[float, ...]
) -> list[calibration.Choice]:
    asked, labels, disputed = _asked(even)
    answers = classifier.answers(normalize(asked.images))
    return calibration.choose_score(answers, labels, disputed, lift)


def _no_face(classifier: OnnxClassifier, faces: Faces) -> dict[str, Any] | None:
    """How often the non-face rule speaks, on faces and on rows that FER+ marks as none."""
    if NOT_A_FACE_HEAD not in classifier.card.heads:
        return None
    answers = classifier.answers(normalize(faces.images)).not_a_face
    assert answers is not None  # The head is there.
    called = answers > classifier.card.uncertainty.not_a_face
    marked, agreed = faces.non_face, faces.agreed & ~faces.non_face
    return {
        "faces": int(agreed.sum()),
        "faces_called_none": float(called[agreed].mean()) if agreed.any() else None,
        "marked_rows": int(marked.sum()),
        "marked_rows_found": float(called[marked].mean()) if marked.any() else None,
    }


def _framing_table(
    found: list[framing.Scene], swept: list[tuple[float, Preprocessing]]
) -> dict[str, Any]:
    table = [
        {
            "log_likelihood": round(likelihood, 4),
            "margin": tried.margin,
            "shift_y": tried.shift_y,
            "align": tried.align,
        }
        for likelihood, tried in swept
    ]
    return {"scenes": len(found), "table": table}
