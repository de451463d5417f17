"""Optimisers by name, and one that Keras lacks. Importing this module imports TensorFlow."""

import math
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from recognizer.training.hyperparameters import Fitting

# Newton-Schulz coefficients and steps of Jordan et al.: singular values end within about 0.7-1.2.
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_STEPS = 5
# Below this, a matrix has too few directions for their balance to matter: the first convolution,
# squeeze-and-excitation, depthwise kernels.
_SMALLEST_SIDE = 48


def make(how: Fitting, steps: int) -> keras.optimizers.Optimizer:
    """The optimiser that the settings ask for, with its schedule; `steps` make an epoch."""
    rate = _Rate(how, steps)
    decay = how.weight_decay
    match how.optimizer:
        case "adam":
            optimizer = keras.optimizers.AdamW(rate, weight_decay=decay)
        case "muon":
            optimizer = Muon(rate, decay, how.momentum)
        case "sgd":
            sgd = keras.optimizers.SGD
            optimizer = sgd(rate, momentum=how.momentum, nesterov=True, weight_decay=decay)
    decay_kernels_only(optimizer)
    return optimizer


def decay_kernels_only(optimizer: keras.optimizers.Optimizer) -> None:
    """Spare biases and batch-normalisation scales the weight decay, which only hurts them.

    Raises:
        ValueError: the optimiser has been built already.
    """
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])


class _Rate(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]  # untyped
    """The learning rate of `Fitting`, step by step."""

    def __init__(self, how: Fitting, steps: int) -> None:
        schedules = keras.optimizers.schedules
        self.warm_up = min(2, how.epochs) * steps
        self.turn = how.epochs * steps
        self.peak = how.learning_rate
        falling = max(1, self.turn - self.warm_up)
        self.main = (
            schedules.ExponentialDecay(how.learning_rate, falling, decay_rate=0.01)
            if how.schedule == "exponential"
            else schedules.CosineDecay(how.learning_rate, falling)
        )
        self.finishing = max(1, how.finish_epochs * steps)
        self.finish = schedules.CosineDecay(how.finish_learning_rate, self.finishing)

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        step = tf.cast(step, tf.float32)
        rising = self.peak * (step + 1) / max(1, self.warm_up)
        main = tf.where(step < self.warm_up, rising, self.main(step - self.warm_up))
        return tf.where(step < self.turn, main, self.finish((step - self.turn) % self.finishing))


class Muon(keras.optimizers.Optimizer):  # type: ignore[misc]  # untyped
    """Momentum made orthogonal, for convolutions: every direction learns at the same pace.

    After "Muon: An optimizer for hidden layers in neural networks" (Jordan et al., 2024): a
    kernel is seen as a matrix, and the step is its Nesterov momentum with all singular values
    moved towards 1. Keras' own Muon leaves everything but dense layers to Adam. Here, as with
    the authors, biases, scales, dense layers and small kernels are left to Adam (Kingma and
    Ba, 2015).
    """

    def __init__(
        self,
        learning_rate: float | keras.optimizers.schedules.LearningRateSchedule,
        weight_decay: float,
        momentum: float = 0.95,
        adam_ratio: float = 0.1,
        name: str = "muon",
        **kwargs: Any,
    ) -> None:
        """Set up.

        Args:
            learning_rate: of the convolutions, about 0.02.
            weight_decay: decoupled; see `exclude_from_weight_decay`.
            momentum: of the convolutions' gradients.
            adam_ratio: what Adam learns with, as a share of `learning_rate`.
            name, kwargs: as of every Keras optimiser.
        """
        super().__init__(learning_rate, weight_decay=weight_decay, name=name, **kwargs)
        self.momentum = momentum
        self.adam_ratio = adam_ratio

    def get_config(self) -> dict[str, Any]:
        """What `from_config` makes the same optimiser of."""
        own = {"momentum": self.momentum, "adam_ratio": self.adam_ratio}
        return {**super().get_config(), **own}

    def build(self, variables: list[keras.Variable]) -> None:
        """Make the moments of every variable."""
        if self.built:
            return
        super().build(variables)
        self._means = [self.add_variable_from_reference(one, "mean") for one in variables]
        self._squares = [
            None if _is_matrix(one.shape) else self.add_variable_from_reference(one, "square")
            for one in variables
        ]

    def update_step(
        self, gradient: keras.KerasTensor, variable: keras.Variable, learning_rate: float
    ) -> None:
        """Change one variable."""
        index = self._get_variable_index(variable)
        mean, square = self._means[index], self._squares[index]
        rate = ops.cast(learning_rate, variable.dtype)
        if square is not None:
            self._adam(gradient, variable, rate * self.adam_ratio, mean, square)
            return
        self.assign_add(mean, (gradient - mean) * (1 - self.momentum))
        ahead = gradient + (mean - gradient) * self.momentum
        rows, columns = _matrix(variable.shape)
        step = ops.reshape(orthogonal(ops.reshape(ahead, (rows, columns))), variable.shape)
        self.assign_sub(variable, rate * math.sqrt(max(1, columns / rows)) * step)

    def _adam(
        self,
        gradient: keras.KerasTensor,
        variable: keras.Variable,
        rate: keras.KerasTensor,
        mean: keras.Variable,
        square: keras.Variable,
        betas: tuple[float, float] = (0.9, 0.999),
    ) -> None:
        seen = ops.cast(self.iterations + 1, variable.dtype)
        self.assign_add(mean, (gradient - mean) * (1 - betas[0]))
        self.assign_add(square, (ops.square(gradient) - square) * (1 - betas[1]))
        unbiased = mean / (1 - betas[0] ** seen)
        spread = ops.sqrt(square / (1 - betas[1] ** seen))
        self.assign_sub(variable, rate * unbiased / (spread + 1e-8))


def orthogonal(matrix: keras.KerasTensor) -> keras.KerasTensor:
    """About U V^T of the (M, N) matrix U S V^T, by Newton-Schulz iteration."""
    a, b, c = _COEFFICIENTS
    tall = matrix.shape[0] > matrix.shape[1]
    x = ops.transpose(matrix) if tall else matrix
    # The iteration converges from singular values of at most 1.
    x = x / (ops.norm(x) + 1e-7)
    for _ in range(_STEPS):
        square = x @ ops.transpose(x)
        x = a * x + (b * square + c * (square @ square)) @ x
    return ops.transpose(x) if tall else x


def _matrix(shape: tuple[int, ...]) -> tuple[int, int]:
    """Rows and columns of a kernel (height, width, inputs, outputs) as inputs times outputs."""
    return math.prod(shape[:-1]), shape[-1]


def _is_matrix(shape: tuple[int, ...]) -> bool:
    return len(shape) == 4 and min(_matrix(shape)) >= _SMALLEST_SIDE
