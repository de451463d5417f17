"""The average of a network's weights along its way. Importing this module imports TensorFlow."""

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

    def take(self) -> None:
        """Give the model the average, for good."""
        self._give(self.values)

    @contextmanager
    def taken(self) -> Iterator[None]:
        """The model has the average inside, and its own weights again afterwards."""
        current = [weight.numpy() for weight in self._model.weights]
        self.take()
        try:
            yield
        finally:
            self._give(current)

    def _give(self, values: Sequence[object]) -> None:
        for weight, value in zip(self._model.weights, values, strict=True):
            weight.assign(value)
