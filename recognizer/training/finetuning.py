"""Make a fitted network better with a few hundred reviewed faces, without forgetting the rest.

Three things keep what the network knew: its batch statistics stay as they are, its other heads
go on giving the old answers on the new faces (learning without forgetting, Li and Hoiem, 2016),
and the result lies only part of the way from the old weights to the fine-tuned ones (robust
fine-tuning, Wortsman et al., 2022). How far is decided by cross-validation among the reviewed
faces themselves. Where the data set that the network came from is at hand, half of each batch
is taken from it, and some of its held-out rows stop the way where too much would be forgotten.

Importing this module imports TensorFlow.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from recognizer.training.augmentation import Augmentation, augment
from recognizer.training.datasets.faces import Faces
from recognizer.training.fitting import logits
from recognizer.training.networks import HEAD_WIDTHS
from recognizer.training.optimizers import decay_kernels_only
from recognizer.training.preparation import TrainingSet
from recognizer.vision.preprocessing import normalize

Weights = list[NDArray[np.float32]]

FEWEST_FACES: Final = 20
"""With fewer there is nothing to cross-validate."""


class NothingLearned(ValueError):
    """No network came of it that does better than the old one; the message says why."""


@dataclass(frozen=True, slots=True)
class FineTuning:
    """Every number that decides how a network is fine-tuned.

    Attributes:
        seed: drives the folds, the order and the augmentation.
        steps: of the optimiser, AdamW.
        batch: faces per step.
        learning_rate: at first; it falls to 0 along a cosine.
        weight_decay: decoupled, of kernels only.
        keep: weight of the other heads' old answers.
        folds: of the cross-validation.
        forgotten: share of the guard's faces, see `Origin`, that may be lost.
        ways: shares of the way from the old weights to the fine-tuned ones to choose from. Of
            all the way, most of what is forgotten is forgotten in its last third.
        augmentation: weaker than in training: the faces look as the site's do already.
    """

    seed: int = 1
    steps: int = 100
    batch: int = 48
    learning_rate: float = 2e-4
    weight_decay: float = 1e-3
    keep: float = 1.0
    folds: int = 3
    forgotten: float = 0.0025
    ways: tuple[float, ...] = (0.2, 0.4, 0.6)
    augmentation: Augmentation = field(default_factory=lambda: Augmentation().scaled(0.5))


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


@dataclass(frozen=True, slots=True)
class Way:
    """How a share of the way did in cross-validation, beside the old network on the same faces.

    Attributes:
        share: 0 for the old network, 1 for the fine-tuned one.
        loss: mean cross-entropy with the reviewers' votes, in nats.
        accuracy: share of the faces that are called what most reviewers said.
    """

    share: float
    loss: float
    accuracy: float


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
) -> FineTuned:
    """Fine-tune a network on reviewed faces.

    Args:
        model: the fitted network in float32, as `fitted.load` gives it; its weights are changed.
        reviewed: what reviewers said.
        origin: what the network came from, if it is at hand.
        how: the settings.
        report: called with a line per fit.

    Raises:
        NothingLearned: too few faces, or no way from the old weights lowers the loss.
    """
    if len(reviewed) < FEWEST_FACES:
        raise NothingLearned(
            f"There are {len(reviewed)} faces to learn from, and it takes at least "
            f"{FEWEST_FACES}. Review more faces of owners who lend theirs."
        )
    old = model.get_weights()
    tuner = _Tuner(model, origin.replay if origin else None, how)
    shares = (0.0, *how.ways)
    said = {share: np.zeros((len(reviewed), HEAD_WIDTHS["ferplus"])) for share in shares}
    folds = np.random.default_rng(how.seed).permutation(len(reviewed)) % how.folds
    for fold in range(how.folds):
        new = tuner.tuned(reviewed, np.flatnonzero(folds != fold), fit=fold + 1)
        left_out = folds == fold
        for share in shares:
            model.set_weights(_between(old, new, share))
            said[share][left_out] = logits(model, reviewed.images[left_out])["ferplus"]
        model.set_weights(old)
        report(f"Fold {fold + 1} of {how.folds} is done.")
    losses = {share: _losses(said[share], reviewed.ferplus) for share in shares}
    ways = tuple(_way(share, losses[share], said[share], reviewed.ferplus) for share in shares)
    best = ways[shares.index(_shortest(losses))]
    if best.share == 0:
        raise NothingLearned(
            f"Cross-validation among the {len(reviewed)} reviewed faces: no fine-tuned model "
            "does better than the old one, so there is nothing to gain from them yet. Review "
            "more faces, best of all a random sample."
        )
    new = tuner.tuned(reviewed, np.arange(len(reviewed)), fit=0)
    if origin:
        tried = ways[: ways.index(best) + 1]
        best = _short_enough(model, old, new, tried, origin.guard, how.forgotten)
    model.set_weights(_between(old, new, best.share))
    report(
        f"{best.share:.0%} of the way to the fine-tuned weights: in cross-validation "
        f"{best.accuracy:.1%} right, {ways[0].accuracy:.1%} before."
    )
    return FineTuned(model, best, ways)


def _short_enough(
    model: keras.Model,
    old: Weights,
    new: Weights,
    ways: Sequence[Way],
    guard: Faces,
    forgotten: float,
) -> Way:
    """The longest of the ways, the old network first, that forgets no more than is allowed."""
    images, labels = guard.images[guard.agreed], guard.majority[guard.agreed]
    if not len(labels):
        return ways[-1]  # Nothing to be forgotten could be seen.

    def right(way: Way) -> float:
        model.set_weights(_between(old, new, way.share))
        said = logits(model, images)["ferplus"].argmax(axis=1)
        return float((said == labels).mean())

    before = right(ways[0])
    for way in reversed(ways[1:]):
        if right(way) >= before - forgotten:
            return way
    raise NothingLearned(
        f"Every fine-tuned model forgets more than {100 * forgotten:g} points of what the old one "
        "knew of the reference set. Review more faces, of more kinds."
    )


class _Tuner:
    """Fine-tunes one network again and again from the same beginning."""

    def __init__(self, model: keras.Model, replay: TrainingSet | None, how: FineTuning) -> None:
        self._model = model
        self._begin = model.get_weights()
        self._replay = replay
        self._how = how
        before = keras.models.clone_model(model)
        before.set_weights(self._begin)
        rate = keras.optimizers.schedules.CosineDecay(how.learning_rate, how.steps)
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
            votes = np.concatenate([faces.ferplus[chosen] for faces, chosen in parts])
            yield normalize(np.stack(images)), votes


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
    others = [head for head in model.output if head != "ferplus"]

    @tf.function  # type: ignore[untyped-decorator]
    def step(faces: tf.Tensor, votes: tf.Tensor) -> None:
        answers = before(faces, training=False)
        with tf.GradientTape() as tape:
            # Not in training mode: so few faces have no batch statistics worth having.
            output = model(faces, training=False)
            loss = tf.nn.softmax_cross_entropy_with_logits(votes, output["ferplus"])
            for head in others:
                loss += keep * _difference(answers[head], output[head])
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
    return [(1 - share) * before + share * after for before, after in zip(old, new, strict=True)]


def _losses(said: NDArray[np.float64], votes: NDArray[np.float32]) -> NDArray[np.float64]:
    """(N,) cross-entropy of each row's logits with its votes."""
    shifted = said - said.max(axis=1, keepdims=True)
    log_probabilities = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    losses: NDArray[np.float64] = -(votes * log_probabilities).sum(axis=1)
    return losses


def _shortest(losses: Mapping[float, NDArray[np.float64]]) -> float:
    """The shortest way whose loss is within a standard error of the best one's.

    The rule of Breiman et al. (1984): what lies nearer to the old weights forgets less.
    """
    best = min(losses, key=lambda share: float(losses[share].mean()))
    for share in sorted(losses):
        behind = losses[share] - losses[best]
        if behind.mean() <= behind.std(ddof=1) / np.sqrt(len(behind)):
            return share
    return best


def _way(
    share: float,
    losses: NDArray[np.float64],
    said: NDArray[np.float64],
    votes: NDArray[np.float32],
) -> Way:
    right = said.argmax(axis=1) == votes.argmax(axis=1)
    return Way(share, float(losses.mean()), float(right.mean()))
