"""Optimisers by name, with their schedule. Importing this module imports TensorFlow."""

import keras
import tensorflow as tf

from recognizer.training.fitting.hyperparameters import Fitting


def make(how: Fitting, steps: int) -> keras.optimizers.Optimizer:
    """The optimiser that the settings ask for, with its schedule; `steps` make an epoch."""
    rate = _Rate(how, steps)
    decay = how.weight_decay
    match how.optimizer:
        case "adam":
            optimizer = keras.optimizers.AdamW(rate, weight_decay=decay)
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
