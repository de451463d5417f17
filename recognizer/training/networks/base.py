"""What every network has in common: one input, the same heads, a name in the registry."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from typing import Any, Protocol, TypeVar

import keras
from keras import layers

from recognizer.training.settings import SettingsError, plain, read, shown

HEAD_WIDTHS = {"ferplus": 8, "fer2013": 7, "ambiguous": 1}
FEATURES = "features"
# The layer that averages over the maps (N, side, side, C) of the last stage but one, in a network
# that has stages. What is no face differs from faces there, too.
LEVEL = "level"


class Network(Protocol):
    """The configuration of an architecture: a frozen dataclass of numbers and names.

    Those that can begin with somebody else's weights have `weights` besides.
    """

    @property
    def dropout(self) -> float:
        """Share of what the heads see that is dropped, see `with_heads`."""
        ...

    @property
    def hidden(self) -> int:
        """Width of the dense layer before the heads, see `with_heads`."""
        ...

    def build(self, size: int = 48) -> keras.Model:
        """Return a model from `faces` (N, size, size, 1) to the logits of every head.

        Raises:
            SettingsError: weights are wanted that cannot be had.
        """
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


def settings_of(network: Network) -> dict[str, object]:
    """Its settings as plain data: `network_from(name_of(n), settings_of(n)) == n`."""
    return plain(network)


def network_from(name: str, settings: Mapping[str, object], where: str = "") -> Network:
    """The configuration of an architecture, from plain data.

    Args:
        name: of the architecture.
        settings: by name, as TOML or JSON gives them; the others keep their defaults.
        where: put before the names in messages.

    Raises:
        SettingsError: an unknown architecture or setting, a wrong type, a value out of range.
    """
    if name not in ARCHITECTURES:
        raise SettingsError(
            f'There is no architecture "{name}"; there are {", ".join(sorted(ARCHITECTURES))}.'
        )
    return read(ARCHITECTURES[name], settings, where)


def named_network(given: object) -> Network:
    """The configuration that a table of TOML describes: its `name` and any of its settings.

    Raises:
        SettingsError: as `network_from`, or it is no table with a name.
    """
    if not isinstance(given, Mapping):
        raise SettingsError(f"network = {shown(given)}: input should be a table.")
    name = given.get("name")
    if not isinstance(name, str):
        known = ", ".join(sorted(ARCHITECTURES))
        raise SettingsError(f"network.name must be the name of an architecture: {known}.")
    settings = {key: value for key, value in given.items() if key != "name"}
    return network_from(name, settings, "network.")


def changed(network: Network, **settings: object) -> Network:
    """The same architecture with other settings."""
    return network_from(name_of(network), {**settings_of(network), **settings})


def without_weights(network: Network) -> Network:
    """The same layers, begun at random: for weights that are set right afterwards."""
    kind: Any = type(network)
    if all(field.name != "weights" for field in fields(kind)):
        return network
    return changed(network, weights="none")


def with_heads(
    faces: keras.KerasTensor, features: keras.KerasTensor, dropout: float, hidden: int = 0
) -> keras.Model:
    """Close a network: its (N, F) features, named so, lead to every head.

    Args:
        faces: the network's input.
        features: (N, F), of any float type.
        dropout: share of what the heads see that is dropped in training.
        hidden: width of a dense layer between the features and the heads; 0 has none.
    """
    features = layers.Identity(name=FEATURES)(features)
    return keras.Model(faces, _heads(features, dropout, hidden))


def _heads(
    features: keras.KerasTensor, dropout: float, hidden: int = 0
) -> dict[str, keras.KerasTensor]:
    """The logits of every head from (N, F) features, see `with_heads`.

    The heads stay in float32: softmax over bfloat16 logits loses calibration.
    """
    x = layers.Dense(hidden, activation="relu", name="hidden")(features) if hidden else features
    x = layers.Dropout(dropout)(x)
    return {
        name: layers.Dense(width, dtype="float32", name=name)(x)
        for name, width in HEAD_WIDTHS.items()
    }


def at_size(model: keras.Model, size: int) -> keras.Model:
    """The same layers, with the same variables, for pictures of another size.

    Raises:
        ValueError: a layer is tied to the size.
    """
    faces = keras.Input((size, size, 1), name="faces")
    try:
        return keras.models.clone_model(model, faces, clone_function=lambda layer: layer)
    except ValueError as error:
        raise ValueError(
            f"This network cannot begin on pictures of {size} pixels (small_epochs, small_size): "
            f"one of its layers is tied to the full size, or to even sides. {error}"
        ) from error


def count_macs(model: keras.Model) -> int:
    """Multiply-accumulates of one forward pass for one face: convolutions and dense layers."""
    return sum(_macs_of(layer) for layer in _all_layers(model))


def _all_layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _all_layers(layer)
        else:
            yield layer


def _macs_of(layer: keras.layers.Layer) -> int:
    """Outputs times what each one sees: a window of so many channels."""
    if isinstance(layer, layers.Dense):
        return _outputs(layer) * int(layer.input.shape[-1])
    if isinstance(layer, layers.SeparableConv2D):
        # Every channel by itself first, then 1x1 across all of them.
        _, height, width, filters = layer.output.shape
        deep = int(layer.input.shape[-1]) * int(layer.depth_multiplier)
        return int(height) * int(width) * deep * (_window(layer) + int(filters))
    if isinstance(layer, layers.DepthwiseConv2D):
        return _outputs(layer) * _window(layer)
    if isinstance(layer, layers.Conv2D):
        return _outputs(layer) * _window(layer) * (int(layer.input.shape[-1]) // int(layer.groups))
    return 0


def _outputs(layer: keras.layers.Layer) -> int:
    return math.prod(int(side) for side in layer.output.shape[1:])


def _window(layer: keras.layers.Layer) -> int:
    return math.prod(int(side) for side in layer.kernel_size)
