"""Fit a network: one plain loop, resumable after every epoch.

Importing this module imports TensorFlow. Set the thread counts before: see `set_threads`.
"""

import csv
import json
import math
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from recognizer.training.augmentation import Augmentation, augment
from recognizer.training.fer2013 import Faces, majority
from recognizer.training.networks import FER2013_CLASSES, FERPLUS_CLASSES, ResNet9
from recognizer.training.preparation import TrainingSet
from recognizer.vision.preprocessing import normalize


@dataclass(frozen=True, slots=True)
class Fitting:
    """Every number that decides how a network is fitted; saved with the run.

    Attributes:
        seed: drives the initial weights, the order and the augmentation.
        epochs: passes over the training set, the rate falling to 0 along a cosine.
        finish_epochs: further passes with half the augmentation and a low rate: the network
            settles on faces as they are, after having seen them battered.
        batch: faces per step.
        learning_rate: peak of the cosine; one epoch of warm-up leads to it.
        finish_learning_rate: where the finish begins; it falls to 0 along a cosine too.
        weight_decay: decoupled, on kernels only.
        momentum: Nesterov momentum of SGD.
        ema: decay per step of the averaged weights, the ones evaluated and exported.
        fer2013_weight: share of the loss given to FER-2013's own labels.
        mixed_precision: keras policy; "mixed_bfloat16" pays where the CPU has avx512_bf16.
    """

    seed: int = 1
    epochs: int = 36
    finish_epochs: int = 6
    batch: int = 128
    learning_rate: float = 0.1
    finish_learning_rate: float = 0.005
    weight_decay: float = 5e-3
    momentum: float = 0.9
    ema: float = 0.998
    fer2013_weight: float = 0.25
    mixed_precision: str = "float32"
    network: ResNet9 = field(default_factory=ResNet9)
    augmentation: Augmentation = field(default_factory=Augmentation)

    @property
    def all_epochs(self) -> int:
        return self.epochs + self.finish_epochs


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
        run: folder for config.json, history.csv and the checkpoint.
        report: called with one line per epoch.

    Returns:
        The model with its averaged weights.

    Raises:
        ValueError: the run folder belongs to other settings.
    """
    _claim_run_folder(run, how)
    keras.utils.set_random_seed(how.seed)
    keras.mixed_precision.set_global_policy(how.mixed_precision)
    model = how.network.build()
    averaged = [tf.Variable(weight, trainable=False) for weight in model.weights]
    steps = len(training) // how.batch
    optimizer = _optimizer(how, steps)
    optimizer.build(model.trainable_variables)
    epoch = tf.Variable(0, trainable=False)
    saved = tf.train.Checkpoint(model=model, optimizer=optimizer, averaged=averaged, epoch=epoch)
    manager = tf.train.CheckpointManager(saved, str(run / "checkpoint"), max_to_keep=2)
    if manager.latest_checkpoint:
        saved.restore(manager.latest_checkpoint).assert_consumed()
        report(f"Going on after epoch {int(epoch)} of {how.all_epochs}.")
    step = _training_step(model, optimizer, averaged, how)
    while int(epoch) < how.all_epochs:
        started = time.monotonic()
        _seed_dropout(model, how.seed, int(epoch))
        losses = [step(*batch) for batch in _batches(training, how, int(epoch))]
        epoch.assign_add(1)
        manager.save()
        line = {
            "epoch": int(epoch),
            "loss": float(np.mean([float(loss) for loss in losses])),
            **_validate(model, averaged, validation),
            "seconds": time.monotonic() - started,
        }
        _append(run / "history.csv", line)
        report("  ".join(f"{name} {value:.4g}" for name, value in line.items()))
    _load(model, averaged)
    return model


def set_threads(threads: int) -> None:
    """Tell TensorFlow how many cores it may use; must come before its first operation."""
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def best_precision() -> str:
    """The keras policy that is fastest on this CPU: bfloat16 where it has instructions for it."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return "float32"
    quick = "amx_bf16" in flags or "avx512_bf16" in flags
    return "mixed_bfloat16" if quick else "float32"


def logits(model: keras.Model, images: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    """Both heads' logits for (N, 48, 48) uint8 faces: ferplus (N, 8), fer2013 (N, 7)."""
    parts = [
        model(normalize(images[start : start + 256]), training=False)
        for start in range(0, len(images), 256)
    ]
    return {
        head: np.concatenate([part[head].numpy() for part in parts])
        for head in ("ferplus", "fer2013")
    }


def _claim_run_folder(run: Path, how: Fitting) -> None:
    config = run / "config.json"
    wanted = json.loads(json.dumps(asdict(how)))
    if not config.exists():
        run.mkdir(parents=True, exist_ok=True)
        config.write_text(json.dumps(wanted, indent=2) + "\n", encoding="utf-8")
        return
    found = json.loads(config.read_text(encoding="utf-8"))
    if found != wanted:
        differing = [name for name in wanted if found.get(name) != wanted[name]]
        raise ValueError(
            f"The run folder {run} was begun with other settings ({', '.join(differing)} differ). "
            "Use the same settings to go on, or another folder to begin anew."
        )


def _optimizer(how: Fitting, steps: int) -> keras.optimizers.Optimizer:
    optimizer = keras.optimizers.SGD(
        _TwoCosines(how, steps), momentum=how.momentum, nesterov=True, weight_decay=how.weight_decay
    )
    # Decay belongs on kernels: on biases and batch-normalisation scales it only hurts.
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


class _TwoCosines(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]  # untyped
    """The learning rate of `Fitting`, step by step."""

    def __init__(self, how: Fitting, steps: int) -> None:
        schedules = keras.optimizers.schedules
        self.main = schedules.CosineDecay(
            initial_learning_rate=how.learning_rate / 20,
            warmup_target=how.learning_rate,
            warmup_steps=steps,
            decay_steps=max(1, (how.epochs - 1) * steps),
        )
        self.finish = schedules.CosineDecay(
            how.finish_learning_rate, decay_steps=max(1, how.finish_epochs * steps)
        )
        self.turn = how.epochs * steps

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        step = tf.cast(step, tf.float32)
        return tf.where(step < self.turn, self.main(step), self.finish(step - self.turn))


def _training_step(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    averaged: list[tf.Variable],
    how: Fitting,
) -> Callable[..., tf.Tensor]:
    def step(faces: tf.Tensor, targets: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            output = model(faces, training=True)
            votes = tf.nn.softmax_cross_entropy_with_logits(targets, output["ferplus"])
            own = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, output["fer2013"])
            loss = tf.reduce_mean((1 - how.fer2013_weight) * votes + how.fer2013_weight * own)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        # A short memory at first, so that the average does not drag the random start along.
        seen = tf.cast(optimizer.iterations, tf.float32)
        decay = tf.minimum(how.ema, (1 + seen) / (10 + seen))
        for average, weight in zip(averaged, model.weights, strict=True):
            average.assign(decay * average + (1 - decay) * weight)
        return loss

    compiled: Callable[..., tf.Tensor] = tf.function(step)
    return compiled


def _batches(
    training: TrainingSet, how: Fitting, epoch: int
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]]:
    """One epoch, augmented anew; the same seed and epoch give the same batches again."""
    order = np.random.default_rng([how.seed, epoch]).permutation(len(training))
    steps = len(training) // how.batch
    variation = how.augmentation if epoch < how.epochs else how.augmentation.halved()

    def make(
        step: int,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
        rows = order[step * how.batch : (step + 1) * how.batch]
        rng = np.random.default_rng([how.seed, epoch, step])
        images = np.stack([augment(training.images[row], variation, rng) for row in rows])
        return normalize(images), training.targets[rows], training.labels[rows]

    # One batch ahead: augmentation overlaps with the step, and memory stays flat.
    with ThreadPoolExecutor(max_workers=1) as pool:
        ahead = pool.submit(make, 0)
        for step in range(steps):
            batch = ahead.result()
            if step + 1 < steps:
                ahead = pool.submit(make, step + 1)
            yield batch


def _validate(
    model: keras.Model, averaged: list[tf.Variable], validation: Faces
) -> dict[str, float]:
    current = [weight.numpy() for weight in model.weights]
    _load(model, averaged)
    output = logits(model, validation.images)
    for weight, value in zip(model.weights, current, strict=True):
        weight.assign(value)
    labels = majority(validation.votes)
    agreed = (labels >= 0) & (labels < FERPLUS_CLASSES)
    ferplus = output["ferplus"].argmax(axis=1)
    fer2013 = output["fer2013"].argmax(axis=1)
    assert output["fer2013"].shape[1] == FER2013_CLASSES
    return {
        "ferplus_accuracy": float((ferplus == labels)[agreed].mean()) if agreed.any() else math.nan,
        "fer2013_accuracy": float((fer2013 == validation.labels).mean()),
    }


def _seed_dropout(model: keras.Model, seed: int, epoch: int) -> None:
    """Checkpoints leave out the state of dropout; this way a resumed epoch has the same one."""
    for variable in model.variables:
        if variable.path.endswith("seed_generator_state"):
            variable.assign(np.array([seed, epoch], variable.dtype))


def _load(model: keras.Model, values: list[tf.Variable]) -> None:
    for weight, value in zip(model.weights, values, strict=True):
        weight.assign(value)


def _append(path: Path, line: dict[str, float]) -> None:
    fresh = not path.exists()
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, line)
        if fresh:
            writer.writeheader()
        writer.writerow({name: f"{value:.6g}" for name, value in line.items()})
        file.flush()
        os.fsync(file.fileno())
