"""One step, against the same in NumPy."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="TensorFlow is needed to train")

import keras

from recognizer.training.fitting.batches import Batch
from recognizer.training.fitting.hyperparameters import Fitting
from recognizer.training.fitting.steps import training_step
from recognizer.training.fitting.weight_averages import MovingAverage, given
from recognizer.training.networks import ResNet9

HOW = Fitting(
    fer2013_weight=0.3,
    ambiguous_weight=0.2,
    network=ResNet9(widths=(4, 8), entry=0, blocks=(1, 1), dropout=0.0, squeeze=2),
)
PRIOR = np.array([0.1, 0.0, 0.1, 0.1, 0.3, 0.2, 0.1, 0.1], np.float32)


@pytest.fixture
def batch() -> Batch:
    rng = np.random.default_rng(0)
    return (
        rng.normal(size=(6, 48, 48, 1)).astype(np.float32),
        rng.dirichlet(np.ones(8), 6).astype(np.float32),
        np.eye(7, dtype=np.float32)[rng.integers(0, 7, 6)],
        np.array([0, 1, 0, 0, 1, 0], np.float32),
    )


def log_softmax(logits: np.ndarray) -> np.ndarray:
    logits = logits.astype(np.float64)
    shares: np.ndarray = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return shares


@pytest.mark.parametrize(("tau", "smooth"), [(0.0, 0.0), (0.7, 0.0), (0.0, 0.1), (0.7, 0.1)])
def test_the_loss_is_the_one_that_the_settings_describe(
    batch: Batch, tau: float, smooth: float
) -> None:
    how = replace(HOW, logit_adjustment=tau, label_smoothing=smooth)
    model = how.network.build()
    faces, ferplus, fer2013, ambiguous = batch
    said = {head: np.asarray(one) for head, one in model(faces, training=True).items()}
    # An emotion that is never shown is not excused by its rarity.
    adjusted = said["ferplus"] + tau * np.log(np.where(PRIOR > 0, PRIOR, 1))
    votes = -((1 - smooth) * ferplus + smooth / 8) * log_softmax(adjusted)
    own = -fer2013 * log_softmax(said["fer2013"])
    doubt = np.log1p(np.exp(said["ambiguous"][:, 0])) - ambiguous * said["ambiguous"][:, 0]
    expected = 0.7 * votes.sum(axis=1) + 0.3 * own.sum(axis=1) + 0.2 * doubt
    still = keras.optimizers.SGD(0.0)
    step = training_step(model, still, MovingAverage(model, 0.9), how, PRIOR, jit_compile=False)
    assert float(step(*batch)) == pytest.approx(expected.mean(), rel=1e-4)


def test_pictures_without_a_label_of_their_own_teach_that_head_nothing(batch: Batch) -> None:
    model = HOW.network.build()
    head = model.get_layer("fer2013")
    begun = [weight.copy() for weight in head.get_weights()]
    optimizer, average = keras.optimizers.SGD(0.5), MovingAverage(model, 0.9)
    step = training_step(model, optimizer, average, HOW, PRIOR, jit_compile=False)
    faces, ferplus, fer2013, ambiguous = batch
    step(faces, ferplus, np.zeros_like(fer2013), ambiguous)
    for weight, before in zip(head.get_weights(), begun, strict=True):
        np.testing.assert_array_equal(weight, before)
    step(*batch)
    assert not np.array_equal(head.get_weights()[0], begun[0])


def test_a_compiled_step_does_the_same(batch: Batch) -> None:
    begun = HOW.network.build()
    ends = []
    for compiled in (False, True):
        model = HOW.network.build()
        model.set_weights(begun.get_weights())
        average = MovingAverage(model, 0.9)
        optimizer = keras.optimizers.SGD(0.05)
        step = training_step(model, optimizer, average, HOW, PRIOR, jit_compile=compiled)
        losses = [float(step(*batch)) for _ in range(2)]
        assert losses[1] < losses[0]
        ends.append([*model.get_weights(), *(value.numpy() for value in average.values)])
    for plain, compiled_too in zip(*ends, strict=True):
        np.testing.assert_allclose(plain, compiled_too, rtol=1e-3, atol=1e-4)


def test_the_average_forgets_slowly_and_the_start_quickly() -> None:
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    expected = float(model.get_weights()[0][0, 0])
    average = MovingAverage(model, 0.5)
    for seen in range(1, 30):
        model.set_weights([np.full((1, 1), seen, np.float32)])
        average.update(np.float32(seen))
        decay = min(0.5, (1 + seen) / (10 + seen))
        expected = decay * expected + (1 - decay) * seen
    assert float(average.values[0][0, 0]) == pytest.approx(expected, rel=1e-5)
    with given(model, average.values):
        assert float(model.get_weights()[0][0, 0]) == pytest.approx(expected, rel=1e-5)
    assert float(model.get_weights()[0][0, 0]) == 29
