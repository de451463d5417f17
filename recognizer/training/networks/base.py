"""What every network has in common: one input, the same heads, a name in the registry."""

from collections.abc import Callable
from typing import Protocol, TypeVar

import keras
from keras import layers

HEAD_WIDTHS = {"ferplus": 8, "fer2013": 7, "ambiguous": 1}
FEATURES = "features"


class Network(Protocol):
    """The configuration of an architecture: a frozen dataclass of numbers and names."""

    def build(self, size: int = 48) -> keras.Model:
        """Return a model from `faces` (N, size, size, 1) to the logits of every head."""
        ...


ARCHITECTURES: dict[str, type[Network]] = {}
N = TypeVar("N", bound=Network)


def register(name: str) -> Callable[[type[N]], type[N]]:
    """Make an architecture known by its name."""

    def add(network: type[N]) -> type[N]:
        ARCHITECTURES[name] = network
        return network

    return add


def name_of(network: Network) -> str:
    """The name under which a configuration's architecture is registered."""
    return next(name for name, kind in ARCHITECTURES.items() if kind is type(network))


def with_heads(
    faces: keras.KerasTensor, features: keras.KerasTensor, dropout: float
) -> keras.Model:
    """Close a network: its (N, F) features, named so, lead to every head.

    The heads stay in float32: softmax over bfloat16 logits loses calibration.
    """
    features = layers.Identity(name=FEATURES)(features)
    x = layers.Dropout(dropout)(features)
    heads = {
        name: layers.Dense(width, dtype="float32", name=name)(x)
        for name, width in HEAD_WIDTHS.items()
    }
    return keras.Model(faces, heads)


def count_macs(model: keras.Model) -> int:
    """Multiply-accumulates of one forward pass for one face: convolutions and dense layers."""
    macs = 0
    for layer in model.layers:
        if isinstance(layer, layers.Conv2D):
            _, height, width, channels = layer.output.shape
            inputs = layer.input.shape[-1]
            macs += height * width * channels * inputs * layer.kernel_size[0] * layer.kernel_size[1]
        elif isinstance(layer, layers.Dense):
            macs += layer.input.shape[-1] * layer.units
    return int(macs)
