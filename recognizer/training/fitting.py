"""Fit a network: one plain loop, resumable after every epoch.

Importing this module imports TensorFlow. Set the thread counts before: see `set_threads`.
"""

import math
import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tqdm import tqdm

from recognizer.training import fitted, optimizers, run_folders
from recognizer.training.batches import batches
from recognizer.training.datasets.faces import Faces, majority
from recognizer.training.hyperparameters import Fitting, with_best_precision
from recognizer.training.networks import HEAD_WIDTHS, without_weights
from recognizer.training.networks.pretrained import require_taught
from recognizer.training.preparation import TrainingSet, sampling_weights
from recognizer.training.settings import SettingsError
from recognizer.training.steps import at_size, training_step, worth_compiling
from recognizer.vision.preprocessing import normalize


def fit(
    training: TrainingSet,
    validation: Faces,
    how: Fitting,
    run: Path,
    report: Callable[[str], None],
) -> keras.Model:
    """Fit a network in the run folder, going on from its last finished epoch.

    Args:
        training: what to learn from.
        validation: held-out rows; only watched, never learned from.
        how: the settings; a run folder made with others is refused.
        run: folder for config.json, history.csv, TensorBoard's logs and the checkpoint.
        report: called with one line per epoch.

    Returns:
        The model with its averaged weights: the last ones, or with `patience` the best ones.

    Raises:
        ValueError: the run folder belongs to other settings or other data, there are fewer
            images than a batch takes, the loss is no number any more, or the weights to start
            with cannot be taken.
    """
    how = with_best_precision(how)
    _check_sizes(training, how)
    steps, size = len(training) // how.batch, training.images.shape[1]
    begun = _begun(how, size)
    run_folders.claim(run, how, run_folders.fingerprint(training, validation))
    keras.utils.set_random_seed(how.seed)
    keras.mixed_precision.set_global_policy(how.mixed_precision)
    # What weights the network would fetch are replaced at once.
    model = (without_weights(how.network) if begun else how.network).build(size)
    if begun:
        model.set_weights(begun.get_weights())
    averaged = [tf.Variable(weight, trainable=False) for weight in model.weights]
    weights = sampling_weights(training, how.balance)
    optimizer = optimizers.make(how, steps)
    optimizer.build(model.trainable_variables)
    progress = _Progress()
    saved = tf.train.Checkpoint(
        model=model, optimizer=optimizer, averaged=averaged, **progress.variables()
    )
    manager = tf.train.CheckpointManager(saved, str(run / "checkpoint"), max_to_keep=2)
    if manager.latest_checkpoint:
        saved.restore(manager.latest_checkpoint).assert_consumed()
        report(f"Going on after epoch {progress.epoch} of {how.all_epochs}.")
    # As frequent as they are seen, which is not as frequent as they are.
    prior = np.average(training.ferplus, axis=0, weights=weights)
    fused = worth_compiling(model, how, steps)
    step = training_step(model, optimizer, averaged, how, prior, fused=fused)
    if progress.epoch < how.small_epochs:
        smaller = at_size(model, how.small_size)
        small_step = training_step(smaller, optimizer, averaged, how, prior, fused=fused)
    logs = tf.summary.create_file_writer(str(run / "tensorboard"))
    best = run / "best.weights.h5"
    while progress.epoch < how.all_epochs and not progress.stale(how):
        started = time.monotonic()
        _seed_dropout(model, how.seed, progress.epoch)
        bar = tqdm(
            batches(training, weights, how, progress.epoch),
            desc=f"epoch {progress.epoch + 1}",
            total=steps,
            leave=False,
            disable=None,
            unit="step",
        )
        take = small_step if progress.epoch < how.small_epochs else step
        loss = float(np.mean([float(take(*batch)) for batch in bar]))
        if not math.isfinite(loss):
            raise ValueError(
                f"The loss is no number any more in epoch {progress.epoch + 1}: the learning rate "
                f"of {how.learning_rate:g} is too high for this network or this data."
            )
        scores = _validate(model, averaged, validation, best if how.patience else None, progress)
        manager.save()
        line = {
            "epoch": progress.epoch,
            "loss": loss,
            **scores,
            "seconds": time.monotonic() - started,
        }
        run_folders.append(run, line)
        with logs.as_default(step=progress.epoch):
            for name, value in line.items():
                tf.summary.scalar(name, value)
        report("  ".join(f"{name} {value:.4g}" for name, value in line.items()))
    _load(model, averaged)
    if how.patience and best.exists():
        model.load_weights(best)
    return model


def _check_sizes(training: TrainingSet, how: Fitting) -> None:
    if len(training) < how.batch:
        raise ValueError(
            f"A step takes {how.batch} images, and there are {len(training)} to learn from. Give "
            "more images, or a smaller `batch` in the settings."
        )
    size = training.images.shape[1]
    if how.small_epochs and how.small_size >= size:
        raise ValueError(
            f"small_size = {how.small_size} is not smaller than the pictures, which have {size} "
            "pixels; set a smaller one, or small_epochs = 0."
        )


def _begun(how: Fitting, size: int) -> keras.Model | None:
    """The fitted network that the run begins with; None where it begins at random."""
    if not how.start:
        require_taught(how.network)
        return None
    try:
        return fitted.load(Path(how.start), how.network, size)
    except SettingsError as error:
        raise SettingsError(
            f'{error} To begin with random weights, set start = "" (--set start=).'
        ) from error


class _Progress:
    """How far a run has come; part of its checkpoint."""

    def __init__(self) -> None:
        self._epoch = tf.Variable(0, trainable=False)
        self._best = tf.Variable(-1.0, trainable=False)
        self._best_epoch = tf.Variable(0, trainable=False)

    def variables(self) -> dict[str, tf.Variable]:
        return {"epoch": self._epoch, "best": self._best, "best_epoch": self._best_epoch}

    @property
    def epoch(self) -> int:
        return int(self._epoch)

    def finished(self, accuracy: float) -> bool:
        """Count an epoch; is it the best so far?"""
        self._epoch.assign_add(1)
        if not accuracy > float(self._best):
            return False
        self._best.assign(accuracy)
        self._best_epoch.assign(self._epoch)
        return True

    def stale(self, how: Fitting) -> bool:
        waiting_since = max(int(self._best_epoch), how.small_epochs)
        return bool(how.patience) and self.epoch - waiting_since >= how.patience


def set_threads(threads: int) -> None:
    """Tell TensorFlow how many cores it may use; must come before its first operation."""
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def logits(model: keras.Model, images: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    """Every head's logits for (N, size, size) uint8 faces: (N, width of the head)."""
    parts = [
        model(normalize(images[start : start + 256]), training=False)
        for start in range(0, len(images), 256)
    ]
    return {head: np.concatenate([part[head].numpy() for part in parts]) for head in HEAD_WIDTHS}


def _validate(
    model: keras.Model,
    averaged: list[tf.Variable],
    validation: Faces,
    best: Path | None,
    progress: _Progress,
) -> dict[str, float]:
    """Score the averaged weights; keep them in `best` when they are the best so far."""
    current = [weight.numpy() for weight in model.weights]
    _load(model, averaged)
    output = logits(model, validation.images)
    labels = majority(validation.votes)
    agreed = (labels >= 0) & (labels < HEAD_WIDTHS["ferplus"])
    ferplus = output["ferplus"].argmax(axis=1)
    fer2013 = output["fer2013"].argmax(axis=1)
    labelled = validation.labels >= 0
    scores = {
        "ferplus_accuracy": _share((ferplus == labels)[agreed]),
        "fer2013_accuracy": _share((fer2013 == validation.labels)[labelled]),
    }
    if progress.finished(np.nanmax([scores["ferplus_accuracy"], -1.0])) and best:
        model.save_weights(best)
    for weight, value in zip(model.weights, current, strict=True):
        weight.assign(value)
    return scores


def _share(right: NDArray[np.bool_]) -> float:
    return float(right.mean()) if len(right) else math.nan


def _seed_dropout(model: keras.Model, seed: int, epoch: int) -> None:
    """Checkpoints leave out the state of dropout; this way a resumed epoch has the same one."""
    for variable in model.variables:
        if variable.path.endswith("seed_generator_state"):
            variable.assign(np.array([seed, epoch], variable.dtype))


def _load(model: keras.Model, values: list[tf.Variable]) -> None:
    for weight, value in zip(model.weights, values, strict=True):
        weight.assign(value)
