"""One step of a fitting: loss, gradients, update, averaged weights. Imports TensorFlow."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from recognizer.training.fitting.hyperparameters import Fitting
from recognizer.training.fitting.losses import cross_entropy
from recognizer.training.fitting.weight_averages import MovingAverage
from recognizer.training.networks import HEAD_WIDTHS

_LONG = 1000  # steps; fewer are done before XLA's half minute has paid


def training_step(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    average: MovingAverage,
    how: Fitting,
    prior: NDArray[np.float32],
    *,
    jit_compile: bool,
) -> Callable[..., tf.Tensor]:
    """One step on one batch; gives its loss.

    Args:
        model, optimizer, average: what is changed.
        how: the settings.
        prior: (8,) how frequent each emotion is in the training set.
        jit_compile: compile with XLA, which takes half a minute first.
    """
    # What is never shown counts as common, so that its logit is trained down and not excused.
    adjustment = how.logit_adjustment * np.log(np.where(prior > 0, prior, 1))

    def step(
        faces: tf.Tensor, ferplus: tf.Tensor, fer2013: tf.Tensor, ambiguous: tf.Tensor
    ) -> tf.Tensor:
        smooth = how.label_smoothing
        ferplus = (1 - smooth) * ferplus + smooth / HEAD_WIDTHS["ferplus"]
        with tf.GradientTape() as tape:
            output = model(faces, training=True)
            votes = cross_entropy(ferplus, output["ferplus"] + adjustment)
            own = cross_entropy(fer2013, output["fer2013"])
            doubt = tf.nn.sigmoid_cross_entropy_with_logits(
                ambiguous[:, None], output["ambiguous"]
            )[:, 0]
            loss = tf.reduce_mean(
                (1 - how.fer2013_weight) * votes
                + how.fer2013_weight * own
                + how.ambiguous_weight * doubt
            )
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        average.update(tf.cast(optimizer.iterations, tf.float32))
        return loss

    compiled: Callable[..., tf.Tensor] = tf.function(step, jit_compile=jit_compile)
    return compiled


def worth_compiling(model: keras.Model, how: Fitting, steps: int) -> bool:
    """Does XLA pay? It saves up to a quarter of a step's time in float32, after half a minute.

    It triples that time where there is max-pooling, whose gradient it computes naively on a CPU;
    and it was not measured in bfloat16, where TensorFlow's own kernels are quick.
    """
    long = steps * how.all_epochs > _LONG
    return how.mixed_precision == "float32" and long and not _has_max_pooling(model)


def _has_max_pooling(model: keras.Model) -> bool:
    return any(
        isinstance(layer, keras.layers.MaxPooling2D)
        or (isinstance(layer, keras.Model) and _has_max_pooling(layer))
        for layer in model.layers
    )
