"""From a fitted network to a model version: calibrate, frame, export, and write its card."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from recognizer.training import calibration, evaluation, export, framing, metrics
from recognizer.training.datasets.faces import FER2013_LABELS, Faces, majority
from recognizer.training.fitting import Fitting
from recognizer.training.networks import count_macs, name_of
from recognizer.training.preparation import TrainingSet
from recognizer.vision.cards import Head, ModelCard, UncertaintyRule, Weights
from recognizer.vision.classification import OnnxClassifier
from recognizer.vision.detection import MTCNN, Detector
from recognizer.vision.emotions import EMOTIONS
from recognizer.vision.preprocessing import Preprocessing, normalize

# So many scenes decide the framing; more would only take longer.
SCENES = 600


def release(
    model: keras.Model,
    how: Fitting,
    training: TrainingSet,
    held_out: Faces,
    folder: Path,
    report: Callable[[str], None],
    detector: Detector | None = None,
) -> OnnxClassifier:
    """Write `folder`/model.onnx and card.json; everything fitted here sees even rows only.

    Args:
        model: fitted, as `fitting.fit` returns it.
        how: its settings, for the card.
        training: what it learned from, for the card.
        held_out: PublicTest; even rows fit temperatures, framing and thresholds, odd ones report.
        folder: of the model version; its name becomes the model's.
        report: called with a line per step.
        detector: whose boxes the crops will come from; MTCNN, if not given.

    Raises:
        ValueError: the detector finds no face in the held-out images.
    """
    plain = export.in_float32(model, how.network)
    sha256 = export.write_onnx(plain, folder / "model.onnx")
    card = _draft(model, how, training, folder.name, sha256)
    card = _save(card, folder)
    even, odd = evaluation.even_and_odd(held_out)
    card = _save(replace(card, heads=_fit_temperatures(OnnxClassifier(folder), even)), folder)
    report(f"Temperatures: { ({name: head.temperature for name, head in card.heads.items()}) }")
    classifier = OnnxClassifier(folder)

    def classify(images: NDArray[np.uint8]) -> NDArray[np.float64]:
        return classifier.probabilities(normalize(images))

    images, labels = _agreed(even)
    found = framing.scenes(images[:SCENES], labels[:SCENES], detector or MTCNN())
    swept = framing.sweep(found, classify)
    preprocessing = framing.smoothed_best(swept)
    report(f"Framing on {len(found)} scenes: {preprocessing}; of all, {swept[0]} did best.")
    choices = calibration.choose_score(classify(images), labels)
    for choice in choices:
        report(f"Uncertain rule: {choice}")
    rule = calibration.fit_rule(choices[0], classify, images, labels, preprocessing.margin)
    card = _save(replace(card, preprocessing=preprocessing, uncertainty=rule), folder)
    classifier = OnnxClassifier(folder)
    measured = {
        "PublicTest": evaluation.evaluate(classifier, held_out),
        "PublicTest odd rows": evaluation.evaluate(classifier, odd),
        "accuracy_interval_95": _intervals(classifier, held_out),
        "framing": _framing_table(found, swept),
        "uncertain_rule_on_even_rows": [asdict(choice) for choice in choices],
    }
    _save(replace(card, metrics=measured), folder)
    return OnnxClassifier(folder)


def _save(card: ModelCard, folder: Path) -> ModelCard:
    card.save(folder / "card.json")
    return card


def _draft(
    model: keras.Model, how: Fitting, training: TrainingSet, name: str, sha256: str
) -> ModelCard:
    """The card of a network that is exported and not calibrated yet."""
    return ModelCard(
        name=name,
        version=f"{datetime.now(UTC):%Y.%m}",
        architecture=name_of(how.network),
        parameters=int(model.count_params()),
        macs=count_macs(model),
        weights=Weights("model.onnx", sha256),
        preprocessing=Preprocessing(),
        heads={"ferplus": Head(EMOTIONS, 1.0), "fer2013": Head(FER2013_LABELS, 1.0)},
        uncertainty=UncertaintyRule("confidence", 1.0, calibration.CLOSE_CALL_MARGIN),
        data=_data(training),
        training=json.loads(json.dumps(asdict(how))),
        notes=(
            "Temperatures, framing and thresholds were fitted on the even rows of PublicTest; "
            "the metrics named odd are of the other rows. An estimate of the visible "
            "expression, not of what a person feels."
        ),
    )


def _agreed(faces: Faces) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images and labels of the rows whose annotators agree on an emotion."""
    labels = majority(faces.votes)
    agreed = (labels >= 0) & (labels < len(EMOTIONS))
    return faces.images[agreed], labels[agreed]


def _fit_temperatures(classifier: OnnxClassifier, even: Faces) -> dict[str, Head]:
    images, labels = _agreed(even)
    ferplus = classifier.logits(normalize(images), ["ferplus"])["ferplus"]
    fer2013 = classifier.logits(normalize(even.images), ["fer2013"])["fer2013"]
    return {
        "ferplus": Head(EMOTIONS, round(calibration.fit_temperature(ferplus, labels), 4)),
        "fer2013": Head(
            FER2013_LABELS, round(calibration.fit_temperature(fer2013, even.labels), 4)
        ),
    }


def _data(training: TrainingSet) -> dict[str, Any]:
    return {
        "training": "FER-2013 Training with FER+ votes",
        "validation": "FER-2013 PublicTest with FER+ votes",
        "images": len(training),
        "left_out": training.left_out,
        "targets": "shares of the votes for the eight emotions, single votes dropped",
        "votes_per_emotion": dict(
            zip(EMOTIONS, training.ferplus.sum(axis=0).round(1).tolist(), strict=True)
        ),
    }


def _framing_table(
    found: list[framing.Scene], swept: list[tuple[float, Preprocessing]]
) -> dict[str, Any]:
    table = [
        {
            "accuracy": round(accuracy, 4),
            "margin": tried.margin,
            "shift_y": tried.shift_y,
            "align": tried.align,
        }
        for accuracy, tried in swept
    ]
    return {"scenes": len(found), "table": table}


def _intervals(classifier: OnnxClassifier, faces: Faces) -> dict[str, Any]:
    images, labels = _agreed(faces)
    ferplus = classifier.probabilities(normalize(images)).argmax(axis=1) == labels
    own = classifier.probabilities(normalize(faces.images), "fer2013").argmax(axis=1)
    return {
        "ferplus": metrics.bootstrap_interval(ferplus),
        "fer2013": metrics.bootstrap_interval(own == faces.labels),
    }
