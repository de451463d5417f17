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

from recognizer.training.datasets.faces import Faces
from recognizer.training.datasets.halves import even_and_odd
from recognizer.training.datasets.preparation import TrainingSet
from recognizer.training.fitting import fitted
from recognizer.training.fitting.fitted import logits
from recognizer.training.networks import network_from
from recognizer.training.release import export, version
from recognizer.training.reviews.finetuning import FineTuned, FineTuning, Origin, fine_tune
from recognizer.training.reviews.forgetting import Serving, noise
from recognizer.training.settings import SettingsError
from recognizer.vision.cards import NOT_A_FACE_HEAD, ModelCard
from recognizer.vision.classification import OnnxClassifier
from recognizer.vision.preprocessing import normalize

# How far the exported network's logits may lie from the fitted one's on average, as a share of
# how they spread.
_APART: Final = {"float32": 0.002, "int8": 0.15}
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
    whole = model
    if NOT_A_FACE_HEAD in old.card.heads:
        whole = _with_no_face_head(model, old, reviewed.images)
    tuned = fine_tune(whole, reviewed, origin, how, report, Serving.of(old.card))
    folder.mkdir(parents=True, exist_ok=True)
    # The layers are the same; a network that is loaded again has no head that was added.
    model.save_weights(folder / fitted.EXPORTED)
    ranges = _learned_from(reviewed, origin) if old.card.weights.precision == "int8" else None
    weights = export.write_weights(_only(whole, old.card), folder, report, ranges)
    card = replace(
        old.card,
        name=name,
        version=f"{datetime.now(UTC):%Y.%m.%d}",
        weights=weights,
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
    _, odd = even_and_odd(reference)
    if not odd.agreed.any():
        return classifier
    metrics = version.measured(classifier, reference, odd)
    folder = classifier.weights.parent
    replace(classifier.card, metrics=metrics).save(folder / "card.json")
    return OnnxClassifier(folder)


def _with_no_face_head(
    model: keras.Model, old: OnnxClassifier, faces: NDArray[np.uint8]
) -> keras.Model:
    """The network with the head that the exported one has and the Keras weights have not, frozen.

    Raises:
        SettingsError: with it, the network answers otherwise than the exported one.
    """
    whole = export.with_head(model, NOT_A_FACE_HEAD, export.head_of(old.weights, NOT_A_FACE_HEAD))
    whole.get_layer(NOT_A_FACE_HEAD).trainable = False
    pictures = np.concatenate([faces[:100], noise(20, faces.shape[1], np.random.default_rng(0))])
    expected = old.logits(normalize(pictures), [NOT_A_FACE_HEAD])[NOT_A_FACE_HEAD]
    apart = np.abs(logits(whole, pictures)[NOT_A_FACE_HEAD] - expected)
    if apart.mean() > _APART[old.card.weights.precision] * max(1.0, float(expected.std())):
        raise SettingsError(
            f"{old.card.name} can't go on learning: {fitted.EXPORTED} holds other weights than "
            f"{old.weights.name}. Restore both files of the model, or promote another one."
        )
    return whole


def _learned_from(reviewed: TrainingSet, origin: Origin | None) -> NDArray[np.uint8]:
    known = [origin.replay.images] if origin else []
    return np.concatenate([reviewed.images, *known])


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
