"""A model version that learned from reviews: the fine-tuned network with its ancestor's card.

Importing this module imports TensorFlow.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
from numpy.typing import NDArray

from recognizer.training import evaluation, export, fitted, release
from recognizer.training.datasets.faces import Faces
from recognizer.training.finetuning import FineTuned, FineTuning, Origin, fine_tune
from recognizer.training.networks import network_from
from recognizer.training.non_faces import LinearHead
from recognizer.training.preparation import TrainingSet
from recognizer.training.settings import SettingsError
from recognizer.vision.cards import NOT_A_FACE_HEAD, ModelCard, Weights
from recognizer.vision.classification import OnnxClassifier
from recognizer.vision.preprocessing import normalize

NOTES: Final = (
    "Fine-tuned on faces that this site's reviewers judged. Temperatures, bias, framing and "
    "thresholds are those of the model that it came from. If it has metrics, the even rows of "
    "PublicTest said how far to go, and those named odd are of the other rows. An estimate of the "
    "visible expression, not of what a person feels."
)


def ancestor(folder: Path, card: ModelCard) -> keras.Model:
    """The fitted network of an exported model, to go on from.

    Raises:
        SettingsError: its Keras weights are not beside it, or it is no single network.
    """
    network = card.training.get("network")
    if not isinstance(network, dict) or not (folder / fitted.EXPORTED).exists():
        raise SettingsError(
            f"{card.name} can't go on learning: its folder holds no {fitted.EXPORTED}, or it is "
            "the average of several models. Promote one that `manage.py train` has made."
        )
    # The place of a setting in the card says nothing of where a person could mend it.
    return fitted.load(
        folder / fitted.EXPORTED,
        network_from(card.architecture, network, f"{card.name}: network."),
        card.preprocessing.size,
    )


def learn(
    old: OnnxClassifier,
    reviewed: TrainingSet,
    origin: Origin | None,
    folder: Path,
    name: str,
    report: Callable[[str], None],
    how: FineTuning | None = None,
) -> OnnxClassifier:
    """Fine-tune an exported model on reviewed faces, and write the new model into a folder.

    Args:
        old: the model to go on from.
        reviewed: what reviewers said.
        origin: what the model came from, if it is at hand.
        folder: where to write: model.onnx, card.json and the Keras weights.
        name: the new model's.
        report: called with a line per step.
        how: the settings.

    Raises:
        SettingsError: the old model can't go on learning.
        NothingLearned: nothing better came of it.
    """
    how = how or FineTuning()
    model = ancestor(old.weights.parent, old.card)
    no_face = _no_face_head(old, model, reviewed.images) if _has_no_face(old.card) else None
    tuned = fine_tune(model, reviewed, origin, how, report)
    folder.mkdir(parents=True, exist_ok=True)
    model.save_weights(folder / fitted.EXPORTED)
    served = export.with_head(model, NOT_A_FACE_HEAD, no_face) if no_face else model
    export.write_onnx(_only(served, old.card), folder / "model.onnx")
    card = replace(
        old.card,
        name=name,
        version=f"{datetime.now(UTC):%Y.%m.%d}",
        weights=Weights("model.onnx", release.file_hash(folder / "model.onnx")),
        metrics={},
        data={**old.card.data, "reviewed_faces": len(reviewed)},
        training={**old.card.training, "fine_tuning": _noted(old, tuned, origin, how)},
        notes=NOTES,
    )
    card.save(folder / "card.json")
    return OnnxClassifier(folder)


def with_metrics(classifier: OnnxClassifier, reference: Faces) -> OnnxClassifier:
    """The model with what the reference set's held-out rows say of it in its card.

    The even rows said how far to go, so what the odd ones say stands beside what all do. Where
    none of the odd ones shows an emotion that most agree on, the card claims nothing.
    """
    _, odd = evaluation.even_and_odd(reference)
    if not odd.agreed.any():
        return classifier
    metrics = release.measured(classifier, reference, odd)
    folder = classifier.weights.parent
    replace(classifier.card, metrics=metrics).save(folder / "card.json")
    return OnnxClassifier(folder)


def _has_no_face(card: ModelCard) -> bool:
    return NOT_A_FACE_HEAD in card.heads


def _no_face_head(old: OnnxClassifier, model: keras.Model, images: NDArray[np.uint8]) -> LinearHead:
    """The head that the exported network has and the Keras weights have not.

    It is linear in the features, so enough pictures with both its answers and the features give
    it back; noise besides faces makes the features point everywhere.
    """
    size = images.shape[1]
    noise = np.random.default_rng(0).integers(0, 256, (1000, size, size), dtype=np.uint8)
    mixed = np.concatenate([images[:1000], noise, _half_noise(images, noise)])
    features = export.features_of(model)(mixed).astype(np.float64)
    answers = old.logits(normalize(mixed), [NOT_A_FACE_HEAD])[NOT_A_FACE_HEAD][:, 0]
    solution, *_ = np.linalg.lstsq(np.column_stack([features, np.ones(len(mixed))]), answers)
    return LinearHead(np.asarray(solution[:-1], np.float64), float(solution[-1]))


def _half_noise(images: NDArray[np.uint8], noise: NDArray[np.uint8]) -> NDArray[np.uint8]:
    repeated = np.resize(images, noise.shape)
    mixed: NDArray[np.uint8] = ((repeated.astype(np.uint16) + noise) // 2).astype(np.uint8)
    return mixed


def _only(model: keras.Model, card: ModelCard) -> keras.Model:
    """The network with the heads that the card names."""
    return keras.Model(
        model.input, {head: out for head, out in model.output.items() if head in card.heads}
    )


def _noted(
    old: OnnxClassifier, tuned: FineTuned, origin: Origin | None, how: FineTuning
) -> dict[str, Any]:
    """How it was made, for the card."""
    noted = {
        "from": f"{old.card.name} {old.card.version}",
        "from_weights": old.card.weights.sha256,
        "replayed_faces": len(origin.replay) if origin else 0,
        "cross_validation": [asdict(way) for way in tuned.ways],
        "share_of_the_way": tuned.way.share,
        "settings": asdict(how),
    }
    plain: dict[str, Any] = json.loads(json.dumps(noted))
    return plain
