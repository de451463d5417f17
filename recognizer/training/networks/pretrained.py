"""A backbone of `keras.applications` between our grey faces and our heads."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

import keras
from keras import layers
from pydantic import NonNegativeInt

from recognizer.training.networks.base import Network, name_of, with_heads
from recognizer.training.settings import Settings, SettingsError, ShareBelow1

# ImageNet in grey levels of 0-255: what a face of mean 0 and deviation 1 is brought to, since
# its own lighting is gone for good.
MEAN: Final = 117.4
DEVIATION: Final = 57.0
# What `preprocess_input` of both backbones takes off blue, green and red.
CHANNEL_MEANS: Final = (103.939, 116.779, 123.68)
# They cannot see less: five times their pictures are halved.
SMALLEST_SIDE: Final = 32


@dataclass(frozen=True, slots=True)
class Pretrained(Settings):
    """The configuration of a network on such a backbone.

    Attributes:
        weights: to begin with: "none" at random, "imagenet" from the internet, or the path of
            a file of the backbone's weights without its top, .weights.h5 or .h5.
        unfrozen: how many of the backbone's last layers learn; those before keep the weights
            they began with, so with "none" all of them must learn, see `require_taught`.
        dropout, hidden: of what leads to the heads, see `with_heads`.
        application: of `keras.applications`, by name.
        layers: of the backbone, from the first that has weights on.
    """

    weights: str = "none"
    unfrozen: NonNegativeInt = 0
    dropout: ShareBelow1 = 0.5
    hidden: NonNegativeInt = 0
    application: ClassVar[str]
    layers: ClassVar[int]

    def build(self, size: int = 48) -> keras.Model:
        """Return a model from `faces` (N, size, size, 1) to the logits of every head.

        Raises:
            SettingsError: the weights cannot be fetched, or are not the backbone's.
        """
        application = getattr(keras.applications, self.application)
        return build_on(application, self.weights, self.unfrozen, size, self.dropout, self.hidden)


def require_taught(network: Network) -> None:
    """Refuse to begin with layers that are random and stay so.

    Only where training begins: a network without weights is also built to load fitted ones.

    Raises:
        SettingsError: the network has such layers; the message says what to set.
    """
    if not isinstance(network, Pretrained) or network.weights != "none":
        return
    if network.unfrozen < network.layers:
        raise SettingsError(
            f"All but the last {network.unfrozen} layers of {name_of(network)} would stay random: "
            'they are frozen, and network.weights is "none". Set network.weights to "imagenet" or '
            "to the path of a file of the backbone's weights, or let all layers learn with "
            f"network.unfrozen = {network.layers}."
        )


def build_on(
    application: Callable[..., keras.Model],
    weights: str,
    unfrozen: int,
    size: int,
    dropout: float,
    hidden: int,
) -> keras.Model:
    """Return a model from `faces` (N, size, size, 1) to the logits of every head.

    Args:
        application: of `keras.applications`, for pictures prepared in its "caffe" mode.
        weights: "none", "imagenet", or the path of a file of the backbone's weights.
        unfrozen: how many of the backbone's last layers learn. Frozen batch normalisation
            keeps the statistics it came with, in training too.
        size: side of the faces; those below SMALLEST_SIDE are enlarged inside.
        dropout, hidden: see `with_heads`.

    Raises:
        SettingsError: the weights cannot be fetched, or are not the backbone's.
    """
    faces = keras.Input((size, size, 1), name="faces")
    side = max(size, SMALLEST_SIDE)
    backbone = _backbone(application, weights, side)
    for layer in backbone.layers[: max(0, len(backbone.layers) - unfrozen)]:
        layer.trainable = False
    x = layers.GlobalAveragePooling2D()(backbone(_prepared(faces, side)))
    return with_heads(faces, x, dropout, hidden)


def _prepared(faces: keras.KerasTensor, side: int) -> keras.KerasTensor:
    """(N, size, size, 1) of mean 0 and deviation 1 to (N, side, side, 3) as on ImageNet."""
    x = faces
    if faces.shape[1] != side:
        # Not the layer Resizing: it puts all that follows into training mode when exported.
        x = keras.ops.image.resize(x, (side, side))
    # In float32: a whole grey level is lost at bfloat16's eight bits.
    x = layers.Rescaling(DEVIATION, MEAN, dtype="float32")(x)
    x = layers.ReLU(max_value=255.0, dtype="float32")(x)
    x = layers.Concatenate(dtype="float32")([x, x, x])
    return layers.Rescaling(1.0, [-mean for mean in CHANNEL_MEANS], dtype="float32")(x)


def _backbone(application: Callable[..., keras.Model], weights: str, side: int) -> keras.Model:
    shape = (side, side, 3)
    if weights == "none":
        return application(include_top=False, weights=None, input_shape=shape)
    if weights != "imagenet":
        path = _weights_file(weights)
        return _loaded(application(include_top=False, weights=None, input_shape=shape), path)
    try:
        return application(include_top=False, weights="imagenet", input_shape=shape)
    except Exception as error:  # Keras raises nothing more precise.
        raise SettingsError(
            f"The ImageNet weights cannot be fetched ({error}). They come from the internet once, "
            "into ~/.keras/models. Connect this machine, or set weights to the path of a file of "
            "the backbone's weights (…_notop.h5) brought from another machine."
        ) from error


def _weights_file(weights: str) -> Path:
    path = Path(weights)
    if not path.is_file():
        raise SettingsError(
            f'weights must be "none", "imagenet" or the path of a file; there is no file {path}.'
        )
    if path.suffix != ".h5":
        raise SettingsError(f"{path} must be a file of Keras weights, .weights.h5 or .h5.")
    return path


def _loaded(backbone: keras.Model, path: Path) -> keras.Model:
    try:
        with warnings.catch_warnings(action="ignore"):  # What matters is in the error.
            backbone.load_weights(path)
    except (ValueError, OSError, KeyError) as error:
        raise SettingsError(
            f"{path} does not hold the weights of {backbone.name} without its top for pictures "
            f"of three channels: {_in_a_line(error)} Save them with "
            "`backbone.save_weights(...)`, or take Keras' own …_notop.h5."
        ) from error
    return backbone


def _in_a_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 300 else text[:299] + "…"
