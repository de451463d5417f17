"""Averages of a network's weights along its way. Importing this module imports TensorFlow."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import keras
import tensorflow as tf


class MovingAverage:
    """Exponential moving average of all weights of a model, its batch statistics included.

    It is smoother than the weights themselves and usually right more often (Polyak and Juditsky,
    1992; Tarvainen and Valpola, 2017).
    """

    def __init__(self, model: keras.Model, decay: float) -> None:
        """Begin with the weights as they are; `decay`, 0-1, is what stays at each update."""
        self._model = model
        self._decay = decay
        self.values = [tf.Variable(weight, trainable=False) for weight in model.weights]

    def update(self, seen: tf.Tensor) -> None:
        """Take the weights in after `seen` steps.

        The memory is short at first, so that the average does not drag the random start along.
        """
        decay = tf.minimum(self._decay, (1 + seen) / (10 + seen))
        for value, weight in zip(self.values, self._model.weights, strict=True):
            value.assign(decay * value + (1 - decay) * weight)


class MeanOfEnds:
    """The mean of the weights with which several finishes ended, batch statistics included."""

    def __init__(self, model: keras.Model) -> None:
        """Begin with no end."""
        self.values = [tf.Variable(tf.zeros_like(w), trainable=False) for w in model.weights]
        self.count = tf.Variable(0, trainable=False)

    def add(self, end: Sequence[tf.Variable]) -> None:
        """Count the weights of one more end in."""
        self.count.assign_add(1)
        for value, weight in zip(self.values, end, strict=True):
            value.assign_add((weight - value) / tf.cast(self.count, value.dtype))


def give(model: keras.Model, weights: Sequence[object]) -> None:
    """Give a model these weights, for good."""
    for variable, weight in zip(model.weights, weights, strict=True):
        variable.assign(weight)


@contextmanager
def given(model: keras.Model, weights: Sequence[object]) -> Iterator[None]:
    """The model has these weights inside, and its own again afterwards."""
    own = [variable.numpy() for variable in model.weights]
    give(model, weights)
    try:
        yield
    finally:
        give(model, own)
