"""Fit a network: one plain loop, resumable after every epoch.

Importing this module imports TensorFlow. Set the thread counts before: see `set_threads`.
"""

import csv
import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal

import cv2
import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tqdm import tqdm

from recognizer.training import fitted, optimizers
from recognizer.training.augmentation import Augmentation, augment
from recognizer.training.datasets.faces import Faces, majority
from recognizer.training.networks import HEAD_WIDTHS, Network, ResNet9, name_of, without_weights
from recognizer.training.networks.pretrained import require_taught
from recognizer.training.preparation import TrainingSet, epoch_order, sampling_weights
from recognizer.training.settings import SettingsError
from recognizer.vision.preprocessing import normalize

Batch = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]
"""Normalised faces, and what to aim for in the heads ferplus, fer2013 and ambiguous."""

_LONG = 1000  # steps; fewer are done before XLA's half minute has paid


@dataclass(frozen=True, slots=True)
class Fitting:
    """Every number that decides how a network is fitted; saved with the run.

    Attributes:
        seed: drives the initial weights, the order and the augmentation.
        start: begin with the weights of a fitted network of the same architecture, see
            `fitted.load`; "" begins at random.
        epochs: passes over the training set, the rate falling to 0 along the schedule.
        small_epochs: how many of these passes, the first ones, see the pictures shrunk to
            `small_size`: they cost a fraction, and what is learned there holds at full size
            (progressive resizing, as in Tan and Le, 2021). Needs a network without layers that
            are tied to the size, as resnet9 and mini_xception are.
        small_size: side of the shrunk pictures, pixels.
        finish_epochs: further passes with half the augmentation and a low rate: the network
            settles on faces as they are, after having seen them battered.
        batch: faces per step.
        optimizer: "muon" for convolutions (see `optimizers.Muon`), "sgd" with Nesterov
            momentum, or "adam" (AdamW).
        schedule: "cosine" falls to 0, "exponential" to a hundredth (Keras' ExponentialDecay).
        learning_rate: where the schedule begins; two epochs of warm-up lead to it.
        finish_learning_rate: where the finish begins; it falls to 0 along a cosine.
        weight_decay: decoupled, on kernels only.
        momentum: of SGD and Muon.
        ema: decay per step of the averaged weights, the ones evaluated and exported.
        patience: epochs at full size without a better validation accuracy before stopping
            early, with the best weights seen; 0 never stops early. Needs `finish_epochs` = 0.
        fer2013_weight: share of the loss given to FER-2013's own labels.
        ambiguous_weight: weight of the ambiguity head's cross-entropy, on top of the others.
        balance: how far rare emotions are shown more often, see `preparation.sampling_weights`.
        logit_adjustment: tau of the logit-adjusted loss (Menon et al., 2021) of the FER+ head;
            0 is the plain cross-entropy.
        label_smoothing: share of the FER+ targets spread over all classes.
        distillation: share of the targets taken from the soft labels, 0-1.
        soft_labels: file that `manage.py teach` has written; "" for none.
        mixed_precision: Keras' policy; "mixed_bfloat16" pays where the CPU has instructions for
            it, and "auto" is that there and "float32" elsewhere, see `with_best_precision`.
    """

    seed: int = 1
    start: str = ""
    epochs: int = 36
    small_epochs: int = 0
    small_size: int = 32
    finish_epochs: int = 6
    batch: int = 256
    optimizer: Literal["muon", "sgd", "adam"] = "sgd"
    schedule: Literal["cosine", "exponential"] = "cosine"
    learning_rate: float = 0.2
    finish_learning_rate: float = 0.01
    weight_decay: float = 5e-3
    momentum: float = 0.9
    ema: float = 0.998
    patience: int = 0
    fer2013_weight: float = 0.4
    ambiguous_weight: float = 0.1
    balance: float = 0.25
    logit_adjustment: float = 0.0
    label_smoothing: float = 0.0
    distillation: float = 0.0
    soft_labels: str = ""
    mixed_precision: str = "auto"
    network: Network = field(default_factory=ResNet9)
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
    _claim_run_folder(run, how, fingerprint(training, validation))
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
    fused = _worth_compiling(model, how, steps)
    step = _training_step(model, optimizer, averaged, how, prior, fused=fused)
    if progress.epoch < how.small_epochs:
        smaller = _at_size(model, how.small_size)
        small_step = _training_step(smaller, optimizer, averaged, how, prior, fused=fused)
    logs = tf.summary.create_file_writer(str(run / "tensorboard"))
    best = run / "best.weights.h5"
    while progress.epoch < how.all_epochs and not progress.stale(how):
        started = time.monotonic()
        _seed_dropout(model, how.seed, progress.epoch)
        batches = _batches(training, weights, how, progress.epoch)
        bar = tqdm(
            batches, f"epoch {progress.epoch + 1}", steps, leave=False, disable=None, unit="step"
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
        _append(run / "history.csv", line)
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


def effort(run: Path) -> dict[str, float]:
    """What a run has cost: its finished epochs, and the minutes they took."""
    with (run / "history.csv").open(encoding="utf-8", newline="") as file:
        seconds = [float(line["seconds"]) for line in csv.DictReader(file)]
    return {"epochs_done": len(seconds), "minutes": round(sum(seconds) / 60, 1)}


def set_threads(threads: int) -> None:
    """Tell TensorFlow how many cores it may use; must come before its first operation."""
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def with_best_precision(how: Fitting) -> Fitting:
    """The settings with "auto" decided for this machine."""
    return replace(how, mixed_precision=best_precision()) if how.mixed_precision == "auto" else how


def best_precision() -> str:
    """The keras policy that is fastest on this CPU: bfloat16 where it has instructions for it."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return "float32"
    quick = "amx_bf16" in flags or "avx512_bf16" in flags
    return "mixed_bfloat16" if quick else "float32"


def logits(model: keras.Model, images: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    """Every head's logits for (N, size, size) uint8 faces: (N, width of the head)."""
    parts = [
        model(normalize(images[start : start + 256]), training=False)
        for start in range(0, len(images), 256)
    ]
    return {head: np.concatenate([part[head].numpy() for part in parts]) for head in HEAD_WIDTHS}


def fingerprint(training: TrainingSet, validation: Faces) -> str:
    """SHA-256, in hex, of everything that is learned from and watched."""
    digest = hashlib.sha256()
    for array in (
        training.images,
        training.ferplus,
        training.fer2013,
        training.ambiguous,
        validation.images,
        validation.votes,
        validation.labels,
    ):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _claim_run_folder(run: Path, how: Fitting, data: str) -> None:
    config = run / "config.json"
    # Wherever the command is called from.
    paths = {"start": how.start, "soft_labels": how.soft_labels}
    paths = {name: str(Path(path).resolve()) if path else "" for name, path in paths.items()}
    more = {"architecture": name_of(how.network), "data": data}
    wanted = json.loads(json.dumps(asdict(how) | paths | more))
    if not config.exists():
        run.mkdir(parents=True, exist_ok=True)
        config.write_text(json.dumps(wanted, indent=2) + "\n", encoding="utf-8")
        return
    found = json.loads(config.read_text(encoding="utf-8"))
    if found != wanted:
        differing = [name for name in wanted if found.get(name) != wanted[name]]
        raise ValueError(
            f"The run folder {run} was begun with other settings ({', '.join(differing)} differ). "
            "Use the same settings and data to go on, or another folder (--run) to begin anew."
        )


def _at_size(model: keras.Model, size: int) -> keras.Model:
    """The same layers, with the same variables, for pictures of another size."""
    faces = keras.Input((size, size, 1), name="faces")
    try:
        return keras.models.clone_model(model, faces, clone_function=lambda layer: layer)
    except ValueError as error:
        raise ValueError(
            f"This network cannot begin on pictures of {size} pixels (small_epochs, small_size): "
            f"one of its layers is tied to the full size, or to even sides. {error}"
        ) from error


def _worth_compiling(model: keras.Model, how: Fitting, steps: int) -> bool:
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


def _training_step(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    averaged: list[tf.Variable],
    how: Fitting,
    prior: NDArray[np.float32],
    *,
    fused: bool,
) -> Callable[..., tf.Tensor]:
    """One step on one batch; gives its loss.

    Args:
        model, optimizer, averaged: what is changed.
        how: the settings.
        prior: (8,) how frequent each emotion is in the training set.
        fused: compile with XLA, which takes half a minute first.
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
            votes = tf.nn.softmax_cross_entropy_with_logits(ferplus, output["ferplus"] + adjustment)
            own = tf.nn.softmax_cross_entropy_with_logits(fer2013, output["fer2013"])
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
        # A short memory at first, so that the average does not drag the random start along.
        seen = tf.cast(optimizer.iterations, tf.float32)
        decay = tf.minimum(how.ema, (1 + seen) / (10 + seen))
        for average, weight in zip(averaged, model.weights, strict=True):
            average.assign(decay * average + (1 - decay) * weight)
        return loss

    compiled: Callable[..., tf.Tensor] = tf.function(step, jit_compile=fused)
    return compiled


def _batches(
    training: TrainingSet, weights: NDArray[np.float64], how: Fitting, epoch: int
) -> Iterator[Batch]:
    """One epoch, augmented anew; the same seed and epoch give the same batches again."""
    order = epoch_order(weights, np.random.default_rng([how.seed, epoch]))
    # The weights' mean is 1, so an epoch has about as many rows as the set; the schedule
    # counts on the same number of steps in each.
    steps = len(training) // how.batch
    order = np.resize(order, steps * how.batch)
    variation = how.augmentation if epoch < how.epochs else how.augmentation.scaled(0.5)

    def make(step: int) -> Batch:
        rows = order[step * how.batch : (step + 1) * how.batch]
        rng = np.random.default_rng([how.seed, epoch, step])
        images = np.stack([augment(training.images[row], variation, rng) for row in rows])
        if epoch < how.small_epochs:
            images = _shrunk(images, how.small_size)
        return (
            normalize(images),
            training.ferplus[rows],
            training.fer2013[rows],
            training.ambiguous[rows],
        )

    # One batch ahead: augmentation overlaps with the step, and memory stays flat.
    with ThreadPoolExecutor(max_workers=1) as pool:
        ahead = pool.submit(make, 0)
        for step in range(steps):
            batch = ahead.result()
            if step + 1 < steps:
                ahead = pool.submit(make, step + 1)
            yield batch


def _shrunk(images: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    area = cv2.INTER_AREA
    return np.stack([cv2.resize(image, (size, size), interpolation=area) for image in images])


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


def _append(path: Path, line: dict[str, float]) -> None:
    fresh = not path.exists()
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, line)
        if fresh:
            writer.writeheader()
        writer.writerow({name: f"{value:.6g}" for name, value in line.items()})
        file.flush()
        os.fsync(file.fileno())
