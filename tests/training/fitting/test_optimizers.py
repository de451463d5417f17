import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="TensorFlow is needed to train")

import keras

from recognizer.training.fitting.optimizers import decay_kernels_only


def test_decay_can_be_for_kernels_only() -> None:
    optimizer = keras.optimizers.AdamW(0.1, weight_decay=0.5)
    decay_kernels_only(optimizer)
    dense = keras.layers.Dense(2)
    norm = keras.layers.BatchNormalization()
    norm.build(dense.compute_output_shape((1, 3)))
    dense.build((1, 3))
    variables = [*dense.trainable_variables, *norm.trainable_variables]
    for variable in variables:
        variable.assign(np.ones(variable.shape))
    optimizer.build(variables)
    optimizer.apply([keras.ops.zeros(variable.shape) for variable in variables], variables)
    left = {variable.name: float(variable.numpy().mean()) for variable in variables}
    assert left == pytest.approx({"kernel": 0.95, "bias": 1.0, "gamma": 1.0, "beta": 1.0})
