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
from tqdm import tqdm

from recognizer.training.datasets.faces import Faces
from recognizer.training.datasets.outputs import whole_file
from recognizer.training.datasets.preparation import TrainingSet, sampling_weights
from recognizer.training.fitting import fitted, optimizers, run_folders
from recognizer.training.fitting.batches import batches
from recognizer.training.fitting.checkpoints import Checkpoints
from recognizer.training.fitting.hyperparameters import Fitting, with_best_precision
from recognizer.training.fitting.steps import training_step, worth_compiling
from recognizer.training.fitting.teachers import Teachers
from recognizer.training.fitting.weight_averages import MeanOfEnds, MovingAverage, give, given
from recognizer.training.networks import at_size, without_weights
from recognizer.training.networks.pretrained import require_taught
from recognizer.training.settings import SettingsError
from recognizer.training.silence import held_back


def fit(
    training: TrainingSet,
    validation: Faces,
    how: Fitting,
    run: Path,
    report: Callable[[str], None],
    teachers: Teachers | None = None,
) -> keras.Model:
    """Fit a network in the run folder, going on from its last finished epoch.

    Args:
        training: what to learn from.
        validation: held-out rows; only watched, never learned from.
        how: the settings; a run folder made with others is refused.
        run: folder for config.json, history.csv, TensorBoard's logs and the checkpoint.
        report: called with one line per epoch.
        teachers: those that the settings name.

    Returns:
        The model with its averaged weights: the last ones, with `patience` the best ones, with
        several `finishes` the mean of what each ended with.

    Raises:
        ValueError: the run folder belongs to other settings or other data, there are fewer
            images than a batch takes, the loss is no number any more, or the weights to start
            with cannot be taken, or all checkpoints are damaged.
        OSError: the run folder cannot be written to.
    """
    how = with_best_precision(how)
    require_sizes(training, how)
    size = training.images.shape[1]
    begun = _begun(how, size)
    keras.utils.set_random_seed(how.seed)
    keras.mixed_precision.set_global_policy(how.mixed_precision)
    # What weights the network would fetch are replaced at once.
    model = (without_weights(how.network) if begun else how.network).build(size)
    if begun:
        model.set_weights(begun.get_weights())
    average = MovingAverage(model, how.ema)
    ends = MeanOfEnds(model) if how.finishes > 1 else None
    progress = _Progress()
    epochs = _Epochs(training, model, average, how, teachers)
    # Only now, as settings that no network can be made of must not name a folder as theirs.
    data = run_folders.fingerprint(training, validation)
    run_folders.claim_run(run, how, data, teachers.hashes if teachers else ())
    checkpoints = Checkpoints(
        run / run_folders.CHECKPOINT,
        model=model,
        optimizer=epochs.optimizer,
        averaged=average.values,
        **progress.variables(),
        **({"ends": ends.values, "ended": ends.count} if ends else {}),
    )
    if checkpoints.restore(report):
        report(f"Going on after epoch {progress.epoch} of {how.all_epochs}.")
    run_folders.forget_after(run, progress.epoch)
    logs = tf.summary.create_file_writer(str(run / run_folders.TENSORBOARD))
    kept = run / run_folders.KEPT
    while progress.epoch < how.all_epochs and not progress.stale(how):
        started = time.monotonic()
        loss = epochs.run(progress.epoch)
        with given(model, average.values):
            scores = fitted.accuracies(model, validation)
            better = progress.finished(np.nanmax([scores["ferplus_accuracy"], -1.0]))
            if better and how.patience:
                _save(model, kept)
        if ends and how.ends_finish(progress.epoch):
            ends.add(average.values)
            with given(model, ends.values):
                _save(model, kept)
        line = {
            "epoch": progress.epoch,
            "loss": loss,
            **scores,
            "seconds": time.monotonic() - started,
        }
        # The checkpoint last: what is in it is done, and told.
        run_folders.append(run, line)
        checkpoints.save()
        with logs.as_default(step=progress.epoch):
            for name, value in line.items():
                tf.summary.scalar(name, value)
        report("  ".join(f"{name} {value:.4g}" for name, value in line.items()))
    give(model, ends.values if ends else average.values)
    if how.patience and kept.exists():
        model.load_weights(kept)
    return model


def _save(model: keras.Model, path: Path) -> None:
    with whole_file(path) as draft:
        model.save_weights(draft)


class _Epochs:
    """Passes over the training set, each of which changes the model and its average."""

    def __init__(
        self,
        training: TrainingSet,
        model: keras.Model,
        average: MovingAverage,
        how: Fitting,
        teachers: Teachers | None,
    ) -> None:
        self.optimizer = optimizers.make(how, len(training) // how.batch)
        self.optimizer.build(model.trainable_variables)
        self._training, self._model, self._how = training, model, how
        self._teachers = teachers
        self._weights = sampling_weights(training, how.balance)
        # As frequent as they are seen, which is not as frequent as they are.
        prior = np.average(training.ferplus, axis=0, weights=self._weights)
        compiled = worth_compiling(model, how, self._steps)

        def step_of(network: keras.Model) -> Callable[..., tf.Tensor]:
            return training_step(network, self.optimizer, average, how, prior, jit_compile=compiled)

        self._step = step_of(model)
        self._small_step = step_of(at_size(model, how.small_size)) if how.small_epochs else None

    @property
    def _steps(self) -> int:
        return len(self._training) // self._how.batch

    def run(self, epoch: int) -> float:
        """One pass, the first being 0; gives the mean loss.

        Raises:
            ValueError: the loss is no number any more.
        """
        how = self._how
        _seed_dropout(self._model, how.seed, epoch)
        bar = tqdm(
            batches(self._training, self._weights, how, epoch, self._teachers),
            desc=f"epoch {epoch + 1}",
            total=self._steps,
            leave=False,
            disable=None,
            unit="step",
        )
        small = self._small_step if epoch < how.small_epochs else None
        step = small or self._step
        loss = float(np.mean([float(step(*batch)) for batch in bar]))
        if not math.isfinite(loss):
            raise ValueError(
                f"The loss is no number any more in epoch {epoch + 1}: the learning rate of "
                f"{how.learning_rate:g} is too high for this network or this data."
            )
        return loss


def require_sizes(training: TrainingSet, how: Fitting) -> None:
    """ValueError where there are too few pictures for a step, or too small ones for a setting."""
    if len(training) < how.batch:
        raise ValueError(
            f"A step takes {how.batch} images, and there are {len(training)} to learn from. Give "
            "more images, or a smaller `batch` in the settings."
        )
    size = training.images.shape[1]
    if how.augmentation.low_resolution and how.augmentation.smallest >= size:
        raise ValueError(
            f"augmentation.smallest = {how.augmentation.smallest} is not smaller than the "
            f"pictures, which have {size} pixels; set a smaller one, or low_resolution = 0."
        )
    if how.small_epochs and how.small_size >= size:
        raise ValueError(
            f"small_size = {how.small_size} is not smaller than the pictures, which have {size} "
            "pixels; set a smaller one, or small_epochs = 0."
        )


def _begun(how: Fitting, size: int) -> keras.Model | None:
    """The fitted network that the run begins with; None where it begins at random."""
    require_beginning(how)
    if not how.start:
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
        # As the best one was kept, in float32: else a float64 beats itself about every second time.
        if not np.float32(accuracy) > self._best.numpy():
            return False
        self._best.assign(accuracy)
        self._best_epoch.assign(self._epoch)
        return True

    def stale(self, how: Fitting) -> bool:
        waiting_since = max(int(self._best_epoch), how.small_epochs)
        return bool(how.patience) and self.epoch - waiting_since >= how.patience


def require_beginning(how: Fitting) -> None:
    """SettingsError when it can be told at once that a fitting has nothing to begin with."""
    if not how.start:
        require_taught(how.network)
    elif not Path(how.start).exists():
        raise SettingsError(
            f"{how.start}: there is no such file or folder to start from; expected a model's "
            "folder, a run folder or a file .weights.h5. To begin with random weights, set "
            'start = "" (--set start=).'
        )


def set_threads(threads: int) -> None:
    """Tell TensorFlow how many cores it may use; must come before its first operation."""
    with held_back():
        # The first look for devices complains where there is no GPU.
        tf.config.list_physical_devices()
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def _seed_dropout(model: keras.Model, seed: int, epoch: int) -> None:
    """Checkpoints leave out the state of dropout; this way a resumed epoch has the same one.

    Keras counts the second number up at every step, so neither epochs nor layers may lie close.
    """
    layers = [one for one in model.variables if one.path.endswith("seed_generator_state")]
    for layer, variable in enumerate(layers):
        sequence = np.random.SeedSequence(seed, spawn_key=(epoch, layer))
        variable.assign(sequence.generate_state(2).astype(variable.dtype))
