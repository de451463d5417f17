"""Fitted networks: back from where they were left, and what they say.

Importing this module imports TensorFlow.
"""

import math
import warnings
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from recognizer.training.datasets.faces import Faces
from recognizer.training.fitting.checkpoints import DAMAGED, newest_first
from recognizer.training.fitting.run_folders import CHECKPOINT, KEPT
from recognizer.training.networks import Network, name_of, without_weights
from recognizer.training.settings import SettingsError
from recognizer.vision.preprocessing import normalize

EXPORTED = "network.weights.h5"
"""Beside an exported model: its network before the export, to go on from."""


def load(weights: Path, network: Network, size: int = 48) -> keras.Model:
    """A fitted network in float32.

    Args:
        weights: a run folder of `loop.fit`, finished or not, the folder of a model that
            `export.draft` has made, or a file .weights.h5.
        network: what the weights are of.
        size: side of its pictures.

    Raises:
        SettingsError: there are no weights, or they are of another network.
    """
    keras.mixed_precision.set_global_policy("float32")
    model = without_weights(network).build(size)
    try:
        with warnings.catch_warnings():
            # Keras warns of every layer that does not fit before it says that one does not.
            warnings.filterwarnings("ignore", module="keras")
            _read(weights, model)
    except (OSError, ValueError, KeyError, AssertionError, *DAMAGED) as error:
        raise SettingsError(
            f"The weights in {weights} cannot be taken for {name_of(network)}: {_why(error)}"
        ) from error
    return model


def logits(model: keras.Model, images: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    """Every output's logits for (N, size, size) uint8 pictures: (N, its width)."""
    parts: dict[str, list[NDArray[np.float32]]] = {
        head: [np.empty((0, output.shape[-1]), np.float32)] for head, output in model.output.items()
    }
    for start in range(0, len(images), 256):
        said = model(normalize(images[start : start + 256]), training=False)
        for head, part in parts.items():
            part.append(said[head].numpy())
    return {head: np.concatenate(part) for head, part in parts.items()}


def accuracies(model: keras.Model, faces: Faces) -> dict[str, float]:
    """The shares of right answers, 0-1: on the rows with a FER+ majority as "ferplus_accuracy",
    on those with a label of FER-2013's own as "fer2013_accuracy"; NaN where there are none.

    Raises:
        ValueError: the answers are no numbers any more.
    """
    said = logits(model, faces.images)
    # As float32 squares them on the way to the calibration.
    if not all(np.isfinite(np.square(one)).all() for one in said.values()):
        raise ValueError(
            "The network's answers are no numbers any more, or huge ones: the learning rate is "
            "too high for this network or this data."
        )
    best = {head: one.argmax(axis=1) for head, one in said.items()}
    labelled = faces.labels >= 0
    return {
        "ferplus_accuracy": _share((best["ferplus"] == faces.majority)[faces.agreed]),
        "fer2013_accuracy": _share((best["fer2013"] == faces.labels)[labelled]),
    }


def _why(error: Exception) -> str:
    """The reason in a sentence: Keras has pages to say about layers that do not fit."""
    if isinstance(error, DAMAGED):
        return "the file is damaged."
    text = " ".join(str(error).split())
    if any(
        words in text
        for words in ("could not be loaded", "does not match", "incompatible", "Received:")
    ):
        return "its layers are others, or of other widths; give the settings that it was made with."
    return text[:300].rstrip(".") + "."


def _share(right: NDArray[np.bool_]) -> float:
    return float(right.mean()) if len(right) else math.nan


def _read(weights: Path, model: keras.Model) -> None:
    if not weights.is_dir():
        model.load_weights(weights)
        return
    for name in (EXPORTED, KEPT):
        if (weights / name).exists():
            model.load_weights(weights / name)
            return
    found = newest_first(weights / CHECKPOINT)
    if not found:
        raise FileNotFoundError(f"the folder has neither a checkpoint nor {EXPORTED}.")
    averaged = [tf.Variable(weight) for weight in model.weights]
    saved = tf.train.Checkpoint(averaged=averaged)
    for path in found:
        try:
            saved.restore(str(path)).assert_existing_objects_matched().expect_partial()
        except DAMAGED:
            if path == found[-1]:
                raise
        else:
            break
    for weight, value in zip(model.weights, averaged, strict=True):
        weight.assign(value)
