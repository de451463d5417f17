"""A small network, fine-tuned for real on drawn faces that are strange to it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from recognizer.training.datasets.faces import Faces
from recognizer.training.datasets.preparation import TrainingSet, prepare

pytest.importorskip("tensorflow", reason="TensorFlow is needed to train")

import keras

from recognizer.training.fitting.fitted import logits
from recognizer.training.networks import ResNet9
from recognizer.training.reviews import candidates, finetuning
from recognizer.training.reviews.finetuning import (
    FEWEST_FACES,
    FineTuned,
    Origin,
    fine_tune,
    size_of_weights,
)
from recognizer.training.reviews.forgetting import AS_FITTED, exam
from recognizer.training.reviews.ways import NothingLearned, Way
from recognizer.vision.classification import OnnxClassifier, softmax
from recognizer.vision.emotions import EMOTIONS
from tests.training.fitted_model import QUICK, negatives

Network = Callable[[], keras.Model]


@pytest.fixture
def network(fitted_model: Path) -> Network:
    """`network()` gives the fitted network as it was."""
    card = OnnxClassifier(fitted_model).card
    return lambda: candidates.ancestor(fitted_model, card)


@pytest.fixture(scope="module")
def familiar(faces: Faces) -> TrainingSet:
    """What the network was fitted on."""
    return prepare(faces.split("Training"), faces.split("PublicTest").images)


def quiet(_: str) -> None:
    return None


def loss(model: keras.Model, faces: Faces) -> float:
    """Mean cross-entropy with the votes, in nats."""
    said = softmax(logits(model, faces.images)["ferplus"].astype(np.float64))
    votes = faces.votes[:, :8] / faces.votes[:, :8].sum(axis=1, keepdims=True)
    return float(-(votes * np.log(said)).sum(axis=1).mean())


def accuracy(model: keras.Model, faces: Faces) -> float:
    said = logits(model, faces.images)["ferplus"].argmax(axis=1)
    return float((said == faces.votes.argmax(axis=1)).mean())


def same(one: list[NDArray[np.float32]], other: list[NDArray[np.float32]]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.fixture(scope="module")
def tuned(
    fitted_model: Path, reviewed: TrainingSet
) -> tuple[FineTuned, list[NDArray[np.float32]], list[str]]:
    """What came of fine-tuning, the weights before, and what was reported."""
    model = candidates.ancestor(fitted_model, OnnxClassifier(fitted_model).card)
    before = model.get_weights()
    lines: list[str] = []
    return fine_tune(model, reviewed, None, QUICK, lines.append), before, lines


# --- What is learned ---------------------------------------------------------------------------


def test_the_loss_falls_on_faces_of_the_new_kind_that_it_has_not_seen(
    network: Network, tuned: tuple[FineTuned, list[NDArray[np.float32]], list[str]], strange: Faces
) -> None:
    before, now = network(), tuned[0].model
    assert loss(now, strange) < loss(before, strange) / 2
    assert accuracy(now, strange) > accuracy(before, strange) + 0.3


def test_it_says_how_each_share_of_the_way_did(
    tuned: tuple[FineTuned, list[NDArray[np.float32]], list[str]],
) -> None:
    found, _, lines = tuned
    assert [way.share for way in found.ways] == [0.0, *QUICK.ways]
    assert found.way in found.ways[1:]
    assert found.way.loss < found.ways[0].loss
    assert found.way.accuracy > found.ways[0].accuracy
    assert lines[:2] == ["Fold 1 of 2 is done.", "Fold 2 of 2 is done."]
    assert lines[2].startswith(f"{found.way.share:.0%} of the way to the fine-tuned weights")


def test_the_old_network_is_judged_on_the_same_faces(
    network: Network,
    tuned: tuple[FineTuned, list[NDArray[np.float32]], list[str]],
    reviewed: TrainingSet,
) -> None:
    said = softmax(logits(network(), reviewed.images)["ferplus"].astype(np.float64))
    expected = float(-(reviewed.ferplus * np.log(said)).sum(axis=1).mean())
    assert tuned[0].ways[0].loss == pytest.approx(expected, rel=1e-4)


def test_batch_statistics_stay_as_they_are(
    tuned: tuple[FineTuned, list[NDArray[np.float32]], list[str]],
) -> None:
    found, before, _ = tuned
    moved = {}
    for weight, old in zip(found.model.weights, before, strict=True):
        moved[weight.path] = not np.allclose(weight.numpy(), old, rtol=1e-5, atol=1e-7)
    statistics = {path for path in moved if "moving_" in path}
    assert len(statistics) == 4
    assert not any(moved[path] for path in statistics)
    assert sum(moved.values()) > len(moved) / 2


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_no_two_fits_draw_the_same(seed: int) -> None:
    streams = [np.random.default_rng(seed), *(finetuning._stream(seed, fit) for fit in range(4))]
    assert len({stream.bit_generator.random_raw() for stream in streams}) == 5


def test_the_other_heads_go_on_as_before(
    network: Network, reviewed: TrainingSet, strange: Faces
) -> None:
    old = softmax(logits(network(), strange.images)["fer2013"].astype(np.float64))

    def strayed(keep: float) -> float:
        model = network()
        how = replace(QUICK, steps=10, learning_rate=1e-1, keep=keep, ways=(1.0,))
        fine_tune(model, reviewed, None, how, quiet)
        new = softmax(logits(model, strange.images)["fer2013"].astype(np.float64))
        return float(np.abs(new - old).sum(axis=1).mean() / 2)

    assert strayed(5.0) < strayed(0.0) / 2


def test_weights_decay_in_kernels_only(network: Network, reviewed: TrainingSet) -> None:
    def after_a_step(decay: float) -> list[NDArray[np.float32]]:
        how = replace(QUICK, steps=1, weight_decay=decay)
        tuner = finetuning._Tuner(network(), None, how)
        return tuner.tuned(reviewed, np.arange(len(reviewed)), fit=0)

    without, decayed = after_a_step(0.0), after_a_step(10.0)
    unlike = {
        weight.path.rpartition("/")[2]
        for weight, one, other in zip(network().weights, without, decayed, strict=True)
        if not np.allclose(one, other, rtol=1e-3, atol=1e-6)
    }
    assert unlike == {"kernel"}


def test_what_it_came_from_is_forgotten_less_when_it_is_seen_again(
    network: Network, reviewed: TrainingSet, familiar: TrainingSet, faces: Faces
) -> None:
    held_out = faces.split("PublicTest")
    how = replace(QUICK, ways=(1.0,), forgotten=1.0)

    def remembered(origin: Origin | None) -> float:
        model = network()
        fine_tune(model, reviewed, origin, how, quiet)
        return loss(model, held_out)

    assert remembered(Origin(familiar, held_out)) < 0.7 * remembered(None)


def test_the_way_ends_where_too_much_would_be_forgotten(network: Network, faces: Faces) -> None:
    model, guard = network(), faces.split("PublicTest")
    old, before = model.get_weights(), accuracy(model, guard)
    # At the end of the way it takes every face for one thing; they give in one after the other.
    head = model.get_layer("ferplus")
    kernel, bias = head.get_weights()
    head.set_weights([0 * kernel, 0 * bias + 10 * (np.arange(8) == EMOTIONS.index("contempt"))])
    new = model.get_weights()
    ways = [Way(share, 0.0, 0.0) for share in np.linspace(0, 1, 11).tolist()]
    questions = exam(guard.images, guard, AS_FITTED, seed=0)
    lost = []
    for way in ways:
        model.set_weights(finetuning._between(old, new, way.share))
        lost.append(before - accuracy(model, guard))
    assert len(set(lost)) > 2
    for allowed in (0.0, *lost):
        longest = max(number for number, one in enumerate(lost) if one <= allowed)
        if longest:
            found = finetuning._short_enough(model, old, new, ways, questions, allowed + 1e-9)
            assert found == ways[longest]
    with pytest.raises(NothingLearned, match=r"forgets more than 0\.25 points"):
        finetuning._short_enough(model, old, new, [ways[0], ways[-1]], questions, 0.0025)


def test_what_it_came_from_has_a_word_in_how_far_it_goes(
    network: Network, reviewed: TrainingSet, familiar: TrainingSet, faces: Faces
) -> None:
    origin = Origin(familiar, faces.split("PublicTest"))
    with pytest.raises(NothingLearned, match="of what the old one knew of the reference set"):
        fine_tune(network(), reviewed, origin, replace(QUICK, steps=5, forgotten=-1.0), quiet)


def test_folds_tear_no_group_apart(reviewed: TrainingSet) -> None:
    groups = np.arange(len(reviewed)) // 4
    folds = finetuning._folds(replace(reviewed, groups=groups), replace(QUICK, folds=3))
    assert sorted(set(folds.tolist())) == [0, 1, 2]
    assert all(len(set(folds[groups == group].tolist())) == 1 for group in groups)
    # In no order that the photos came in.
    assert np.any(np.diff(folds) < 0)


def test_fewer_groups_make_fewer_folds(reviewed: TrainingSet) -> None:
    two = replace(reviewed, groups=np.arange(len(reviewed)) % 2)
    assert set(finetuning._folds(two, replace(QUICK, folds=5)).tolist()) == {0, 1}
    alone = finetuning._folds(reviewed, replace(QUICK, folds=5))
    assert set(np.bincount(alone).tolist()) <= {9, 10}
    one = replace(reviewed, groups=np.zeros(len(reviewed), np.int64))
    with pytest.raises(NothingLearned, match="are all of one photo or person"):
        finetuning._folds(one, QUICK)


# --- Nothing is learned ------------------------------------------------------------------------


def test_too_few_faces_are_not_learned_from(network: Network, strange: Faces) -> None:
    few = prepare(negatives(seed=3, count=FEWEST_FACES - 1), strange.images)
    model = network()
    with pytest.raises(NothingLearned, match=f"There are {FEWEST_FACES - 1} faces to learn from"):
        fine_tune(model, few, None, QUICK, quiet)
    assert same(model.get_weights(), network().get_weights())


def noise(reviewed: TrainingSet) -> TrainingSet:
    """The same faces, each called whatever came up."""
    emotions = np.random.default_rng(4).integers(0, 8, len(reviewed))
    return replace(reviewed, ferplus=np.eye(8, dtype=np.float32)[emotions])


def test_noise_teaches_nothing_to_a_network_that_claims_nothing(
    network: Network, reviewed: TrainingSet
) -> None:
    model = network()
    head = model.get_layer("ferplus")
    head.set_weights([np.zeros_like(weight) for weight in head.get_weights()])
    before = model.get_weights()
    with pytest.raises(NothingLearned, match="no fine-tuned model does better"):
        fine_tune(model, noise(reviewed), None, QUICK, quiet)
    assert same(model.get_weights(), before)


def test_noise_may_take_its_certainty_but_gives_no_accuracy(
    network: Network, reviewed: TrainingSet
) -> None:
    found = fine_tune(network(), noise(reviewed), None, replace(QUICK, steps=40), quiet)
    # Chance is an eighth; whoever saw the faces that they are judged by would do far better.
    assert max(way.accuracy for way in found.ways) < 0.3


def test_pictures_without_a_face_say_nothing_of_emotions() -> None:
    model = ResNet9(widths=(4, 8), entry=0, blocks=(1, 1), dropout=0.0, squeeze=2).build()
    before = keras.models.clone_model(model)
    before.set_weights(model.get_weights())
    step = finetuning._step(model, before, keras.optimizers.SGD(0.5), keep=0.0)
    step(np.random.default_rng(0).normal(size=(4, 48, 48, 1)), np.zeros((4, 8), np.float32))
    for weight, old in zip(model.get_weights(), before.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, old)


def test_a_step_is_as_long_as_the_weights_are_large(network: Network) -> None:
    model = network()
    size = size_of_weights(model)
    assert size > 0
    for variable in model.trainable_variables:
        if variable.name == "kernel":
            variable.assign(variable / 2)
    assert size_of_weights(model) == pytest.approx(size / 2, rel=1e-5)
