"""Make a fitted network better with a few hundred reviewed faces, without forgetting the rest.

Three things keep what the network knew: its batch statistics stay as they are, its other heads
go on giving the old answers on the new faces (learning without forgetting, Li and Hoiem, 2016),
and the result lies only part of the way from the old weights to the fine-tuned ones (robust
fine-tuning, Wortsman et al., 2022). How far is decided by cross-validation among the reviewed
faces themselves, which tears no photo or person apart. Where the data set that the network came
from is at hand, half of each batch is taken from it, and some of its held-out rows stop the way
where too much would be forgotten. A network that says "no face" is shown pictures without one
besides, to go on saying so; the way also ends where it would say so of faces, or no more of what
is none.

Importing this module imports TensorFlow.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold  # type: ignore[import-untyped, unused-ignore]

from recognizer.training.augmentation import Augmentation, augment
from recognizer.training.datasets.faces import Faces
from recognizer.training.datasets.preparation import TrainingSet
from recognizer.training.fitting.fitted import logits
from recognizer.training.fitting.losses import cross_entropy
from recognizer.training.fitting.optimizers import decay_kernels_only
from recognizer.training.networks import HEAD_WIDTHS
from recognizer.training.presets import PRESETS
from recognizer.training.release.non_faces import background
from recognizer.training.reviews.forgetting import AS_FITTED, Exam, Serving, exam, noise
from recognizer.training.reviews.ways import (
    Losses,
    NothingLearned,
    Way,
    losses_of,
    way_of,
    worth_trying,
)
from recognizer.vision.cards import MAIN_HEAD, NOT_A_FACE_HEAD
from recognizer.vision.preprocessing import normalize

Weights = list[NDArray[np.float32]]

FEWEST_FACES: Final = 20
"""With fewer there is nothing to cross-validate."""
SLIGHTLY: Final = PRESETS["strong"].scaled(0.5)
"""Weaker than in training: the faces look as the site's do already."""


@dataclass(frozen=True, slots=True)
class FineTuning:
    """Every number that decides how a network is fine-tuned.

    Attributes:
        seed: drives the folds, the order and the augmentation.
        steps: of the optimiser, AdamW.
        batch: faces per step.
        learning_rate: at first, as a share of the size of the network's weights, see
            `size_of_weights`; it falls to 0 along a cosine.
        weight_decay: decoupled, of kernels only.
        keep: weight of the other heads' old answers.
        non_faces: pictures without a face per step, as a share of `batch`; only of a network that
            says "no face".
        folds: of the cross-validation; fewer where there are fewer groups.
        forgotten: share of the guard's faces, see `Origin`, that may be lost.
        ways: shares of the way from the old weights to the fine-tuned ones to choose from. Of
            all the way, most of what is forgotten is forgotten in its last third.
        augmentation: how the faces are varied.
    """

    seed: int = 1
    steps: int = 100
    batch: int = 48
    learning_rate: float = 3e-3
    weight_decay: float = 1e-3
    keep: float = 1.0
    non_faces: float = 0.25
    folds: int = 3
    forgotten: float = 0.0025
    ways: tuple[float, ...] = (0.2, 0.4, 0.6)
    augmentation: Augmentation = SLIGHTLY


@dataclass(frozen=True)
class Origin:
    """The data set that a network came from.

    Attributes:
        replay: what it learned from.
        guard: held-out rows on which it must not lose more than `FineTuning.forgotten`; those
            count whose annotators agree on an emotion.
    """

    replay: TrainingSet
    guard: Faces


@dataclass(frozen=True)
class FineTuned:
    """A fine-tuned network, and how it was chosen.

    Attributes:
        model: the network, with the weights that lie `way.share` of the way.
        way: the chosen one.
        ways: all that were tried, the old network first.
    """

    model: keras.Model
    way: Way
    ways: tuple[Way, ...]


def fine_tune(
    model: keras.Model,
    reviewed: TrainingSet,
    origin: Origin | None,
    how: FineTuning,
    report: Callable[[str], None],
    serving: Serving = AS_FITTED,
) -> FineTuned:
    """Fine-tune a network on reviewed faces.

    Args:
        model: the fitted network in float32, as `fitted.load` gives it; its weights are changed.
            It may have the head `not_a_face` besides, frozen.
        reviewed: what reviewers said.
        origin: what the network came from, if it is at hand.
        how: the settings.
        report: called with a line per fit.
        serving: what the network's logits mean where its model is served.

    Raises:
        NothingLearned: too few faces, or all of one group, or no way from the old weights lowers
            the loss without losing too much of what the network knew.
    """
    if len(reviewed) < FEWEST_FACES:
        raise NothingLearned(
            f"There are {len(reviewed)} faces to learn from, and it takes at least "
            f"{FEWEST_FACES}. Review more faces of owners who lend theirs."
        )
    old = model.get_weights()
    tuner = _Tuner(model, origin.replay if origin else None, how)
    ways, losses = _cross_validated(model, tuner, reviewed, how, report, serving)
    tried = worth_trying(ways, losses, reviewed.groups)
    new = tuner.tuned(reviewed, np.arange(len(reviewed)), fit=0)
    questions = exam(reviewed.images, origin.guard if origin else None, serving, how.seed)
    best = _short_enough(model, old, new, tried, questions, how.forgotten)
    model.set_weights(_between(old, new, best.share))
    report(
        f"{best.share:.0%} of the way to the fine-tuned weights: in cross-validation "
        f"{best.accuracy:.1%} right, {ways[0].accuracy:.1%} before."
    )
    return FineTuned(model, best, ways)


def _cross_validated(
    model: keras.Model,
    tuner: "_Tuner",
    reviewed: TrainingSet,
    how: FineTuning,
    report: Callable[[str], None],
    serving: Serving,
) -> tuple[tuple[Way, ...], Losses]:
    """How each way does on faces that had no say in it, the old network first."""
    old, shares = model.get_weights(), (0.0, *how.ways)
    losses = {share: np.zeros(len(reviewed)) for share in shares}
    named = {share: np.zeros(len(reviewed), np.int64) for share in shares}
    none = {share: np.zeros(len(reviewed), bool) for share in shares}
    folds = _folds(reviewed, how)
    count = int(folds.max()) + 1
    for fold in range(count):
        new = tuner.tuned(reviewed, np.flatnonzero(folds != fold), fit=fold + 1)
        left_out = folds == fold
        for share in shares:
            model.set_weights(_between(old, new, share))
            said = logits(model, reviewed.images[left_out])
            votes = reviewed.ferplus[left_out]
            losses[share][left_out] = losses_of(said[MAIN_HEAD].astype(np.float64), votes)
            named[share][left_out] = serving.named(said)
            none[share][left_out] = serving.none(said)
        model.set_weights(old)
        report(f"Fold {fold + 1} of {count} is done.")
    ways = tuple(
        way_of(share, losses[share], named[share], none[share], reviewed.ferplus)
        for share in shares
    )
    return ways, losses


def _folds(reviewed: TrainingSet, how: FineTuning) -> NDArray[np.int64]:
    """(N,) the fold that each face is left out in, with its whole group.

    Raises:
        NothingLearned: there is one group only.
    """
    groups = np.arange(len(reviewed)) if reviewed.groups is None else reviewed.groups
    count = min(how.folds, len(np.unique(groups)))
    if count < 2:
        raise NothingLearned(
            f"The {len(reviewed)} faces to learn from are all of one photo or person, so nothing "
            "could say whether it helps with others. Review faces of more photos and people."
        )
    folds = np.zeros(len(groups), np.int64)
    splitter = GroupKFold(count, shuffle=True, random_state=how.seed)
    for fold, (_, left_out) in enumerate(splitter.split(groups, groups=groups)):
        folds[left_out] = fold
    return folds


def _short_enough(
    model: keras.Model,
    old: Weights,
    new: Weights,
    ways: Sequence[Way],
    questions: Exam,
    forgotten: float,
) -> Way:
    """The longest of the ways, the old network first, that loses no more than is allowed."""
    model.set_weights(old)
    before = questions.of(model)
    for way in reversed(ways[1:]):
        model.set_weights(_between(old, new, way.share))
        lost = questions.lost(before, questions.of(model), forgotten)
        if not lost:
            return way
    raise NothingLearned(f"Every fine-tuned model {lost}. Review more faces, of more kinds.")


class _Tuner:
    """Fine-tunes one network again and again from the same beginning."""

    def __init__(self, model: keras.Model, replay: TrainingSet | None, how: FineTuning) -> None:
        self._model = model
        self._begin = model.get_weights()
        self._replay = replay
        self._how = how
        shown = how.non_faces if NOT_A_FACE_HEAD in model.output else 0
        self._non_faces = round(shown * how.batch)
        before = keras.models.clone_model(model)
        before.set_weights(self._begin)
        first = how.learning_rate * size_of_weights(model)
        rate = keras.optimizers.schedules.CosineDecay(first, how.steps)
        self._optimizer = keras.optimizers.AdamW(rate, weight_decay=how.weight_decay)
        decay_kernels_only(self._optimizer)
        self._optimizer.build(model.trainable_variables)
        self._fresh = [variable.numpy() for variable in self._optimizer.variables]
        self._step = _step(model, before, self._optimizer, how.keep)

    def tuned(self, reviewed: TrainingSet, rows: NDArray[np.int64], fit: int) -> Weights:
        """The weights after fine-tuning on some rows; the model itself is left as it was.

        `fit` numbers the fits: each draws its own order and augmentation.
        """
        self._model.set_weights(self._begin)
        for variable, value in zip(self._optimizer.variables, self._fresh, strict=True):
            variable.assign(value)
        for batch in self._batches(reviewed, rows, _stream(self._how.seed, fit)):
            self._step(*batch)
        new: Weights = self._model.get_weights()
        self._model.set_weights(self._begin)
        return new

    def _batches(
        self, reviewed: TrainingSet, rows: NDArray[np.int64], rng: np.random.Generator
    ) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        how, replay = self._how, self._replay
        own = how.batch // 2 if replay else how.batch
        for _ in range(how.steps):
            parts = [(reviewed, rng.choice(rows, own, replace=own > len(rows)))]
            if replay:
                parts.append((replay, rng.integers(0, len(replay), how.batch - own)))
            images = [
                augment(faces.images[row], how.augmentation, rng)
                for faces, chosen in parts
                for row in chosen
            ]
            votes = [faces.ferplus[chosen] for faces, chosen in parts]
            if self._non_faces:
                images += self._without_a_face(reviewed, images, rng)
                votes.append(np.zeros((self._non_faces, HEAD_WIDTHS["ferplus"]), np.float32))
            yield normalize(np.stack(images)), np.concatenate(votes)

    def _without_a_face(
        self, reviewed: TrainingSet, faces: list[NDArray[np.uint8]], rng: np.random.Generator
    ) -> list[NDArray[np.uint8]]:
        """Known ones, half of them where there are any; noise, and backgrounds made of faces."""
        parts = [one.non_faces for one in (reviewed, self._replay) if one]
        known = np.concatenate(parts)
        pictures = []
        for kind in rng.random(self._non_faces):
            if len(known) and kind < 0.5:
                picture = known[rng.integers(len(known))]
                pictures.append(augment(picture, self._how.augmentation, rng))
            elif kind > 0.9:
                pictures.append(noise(1, faces[0].shape[0], rng)[0])
            else:
                pictures.append(background(faces[rng.integers(len(faces))], rng))
        return pictures


def size_of_weights(model: keras.Model) -> float:
    """The median of the root mean squares of a network's kernels.

    A step of Adam is as long whatever it changes, and the longer a network learned under weight
    decay, the smaller the weights that batch normalisation lets it have.
    """
    kernels = [one.numpy() for one in model.trainable_variables if one.name == "kernel"]
    return float(np.median([np.sqrt(np.mean(kernel**2)) for kernel in kernels]))


def _stream(seed: int, fit: int) -> np.random.Generator:
    """The random numbers of one fit, shared with no other and with nothing drawn from the seed."""
    # Not default_rng([seed, fit]): NumPy takes [7, 0] for [7].
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(fit,)))


def _step(
    model: keras.Model,
    before: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    keep: float,
) -> Callable[..., None]:
    others = [head for head in model.output if head not in ("ferplus", NOT_A_FACE_HEAD)]

    @tf.function  # type: ignore[untyped-decorator]
    def step(faces: tf.Tensor, votes: tf.Tensor) -> None:
        answers = before(faces, training=False)
        with tf.GradientTape() as tape:
            # Not in training mode: so few faces have no batch statistics worth having.
            output = model(faces, training=False)
            loss = cross_entropy(votes, output["ferplus"])
            for head in others:
                loss += keep * _difference(answers[head], output[head])
            if NOT_A_FACE_HEAD in model.output:
                # What has votes is a face, whatever the old network thought of it.
                none = tf.sigmoid(answers[NOT_A_FACE_HEAD]) * (1 - tf.reduce_sum(votes, 1)[:, None])
                loss += (
                    keep
                    * tf.nn.sigmoid_cross_entropy_with_logits(none, output[NOT_A_FACE_HEAD])[:, 0]
                )
            loss = tf.reduce_mean(loss)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)

    compiled: Callable[..., None] = step
    return compiled


def _difference(before: tf.Tensor, now: tf.Tensor) -> tf.Tensor:
    """(N,) cross-entropy between a head's old and new answers."""
    if before.shape[-1] == 1:  # Yes or no is a choice of two, no being 0.
        before, now = (tf.concat([one, tf.zeros_like(one)], axis=1) for one in (before, now))
    return tf.nn.softmax_cross_entropy_with_logits(tf.nn.softmax(before), now)


def _between(old: Weights, new: Weights, share: float) -> Weights:
    # So written, what is frozen stays the same to the last bit.
    return [before + share * (after - before) for before, after in zip(old, new, strict=True)]
