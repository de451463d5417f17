"""Muon: what it does to a kernel, and what it leaves to Adam."""

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="TensorFlow is needed to train")

import keras

from recognizer.training.optimizers import Muon, decay_kernels_only, orthogonal

SHAPES = [(200, 50), (50, 200), (64, 64)]


@pytest.mark.parametrize("shape", SHAPES)
def test_singular_values_end_near_one_and_directions_stay(shape: tuple[int, int]) -> None:
    matrix = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    left, _, right = np.linalg.svd(matrix, full_matrices=False)
    made = np.asarray(orthogonal(keras.ops.convert_to_tensor(matrix)))
    values = np.diag(left.T @ made @ right.T)
    assert values.min() > 0.5
    assert values.max() < 1.3
    np.testing.assert_allclose(made, left @ np.diag(values) @ right, atol=1e-3)


def test_the_size_of_the_gradient_does_not_matter_for_a_kernel() -> None:
    gradient = np.random.default_rng(0).normal(size=(3, 3, 8, 60)).astype(np.float32)
    step = _moved(gradient * 1e-3)
    np.testing.assert_allclose(step, _moved(gradient * 1e3), atol=1e-5)
    # Orthogonal: 60 directions of about the learning rate's length.
    assert np.linalg.norm(step) == pytest.approx(0.02 * np.sqrt(60), rel=0.2)


@pytest.mark.parametrize("shape", [(10,), (30, 5), (3, 3, 60, 1), (1, 1, 60, 7)])
def test_what_is_no_large_kernel_moves_as_with_adam(shape: tuple[int, ...]) -> None:
    gradients = np.random.default_rng(0).normal(size=(3, *shape)).astype(np.float32)
    ours, theirs = (keras.Variable(np.ones(shape, np.float32)) for _ in range(2))
    _apply(Muon(0.02, weight_decay=0.0), ours, gradients)
    _apply(keras.optimizers.Adam(0.002), theirs, gradients)
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), atol=1e-5)


def test_decay_shrinks_by_its_share_of_the_learning_rate() -> None:
    kernel = keras.Variable(np.ones((3, 3, 8, 60), np.float32))
    _apply(Muon(0.02, weight_decay=0.5), kernel, np.zeros((1, 3, 3, 8, 60), np.float32))
    np.testing.assert_allclose(kernel.numpy(), 0.99, atol=1e-5)


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


def _moved(gradient: np.ndarray) -> np.ndarray:
    kernel = keras.Variable(np.zeros(gradient.shape, np.float32))
    _apply(Muon(0.02, weight_decay=0.0), kernel, gradient[None])
    return np.asarray(kernel.numpy())


def _apply(
    optimizer: keras.optimizers.Optimizer, variable: keras.Variable, gradients: np.ndarray
) -> None:
    optimizer.build([variable])
    for gradient in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(gradient)], [variable])


def test_muon_comes_back_from_its_settings() -> None:
    muon = Muon(0.02, 0.01, momentum=0.9, adam_ratio=0.2)
    again = Muon.from_config(muon.get_config())
    assert again.get_config() == muon.get_config()
    assert (again.momentum, again.adam_ratio, again.weight_decay) == (0.9, 0.2, 0.01)
