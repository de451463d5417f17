"""Fitted networks back from where they were left. Importing this module imports TensorFlow."""

from pathlib import Path

import keras
import tensorflow as tf

from recognizer.training.networks import Network, name_of, without_weights
from recognizer.training.settings import SettingsError

EXPORTED = "network.weights.h5"
"""Beside an exported model: its network before the export, to go on from."""


def load(weights: Path, network: Network, size: int = 48) -> keras.Model:
    """A fitted network in float32.

    Args:
        weights: a run folder of `fitting.fit`, finished or not, the folder of a model that
            `export.draft` has made, or a file .weights.h5.
        network: what the weights are of.
        size: side of its pictures.

    Raises:
        SettingsError: there are no weights, or they are of another network.
    """
    keras.mixed_precision.set_global_policy("float32")
    model = without_weights(network).build(size)
    try:
        _read(weights, model)
    except (OSError, ValueError, KeyError, tf.errors.OpError) as error:
        text = " ".join(str(error).split())[:300]
        raise SettingsError(
            f"The weights in {weights} cannot be taken for {name_of(network)}: {text}"
        ) from error
    return model


def _read(weights: Path, model: keras.Model) -> None:
    if not weights.is_dir():
        model.load_weights(weights)
        return
    for name in (EXPORTED, "best.weights.h5"):
        if (weights / name).exists():
            model.load_weights(weights / name)
            return
    latest = tf.train.latest_checkpoint(str(weights / "checkpoint"))
    if not latest:
        raise FileNotFoundError(f"the folder has neither a checkpoint nor {EXPORTED}")
    averaged = [tf.Variable(weight) for weight in model.weights]
    saved = tf.train.Checkpoint(averaged=averaged)
    saved.restore(latest).assert_existing_objects_matched().expect_partial()
    for weight, value in zip(model.weights, averaged, strict=True):
        weight.assign(value)
