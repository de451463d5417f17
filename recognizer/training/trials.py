"""One trial of a search: fit, and measure. Either the whole network, or its heads only."""

import shutil
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from recognizer.training.datasets.faces import Faces, majority
from recognizer.training.fitting import Fitting, fit, logits
from recognizer.training.networks import FEATURES, HEAD_WIDTHS, heads
from recognizer.training.preparation import TrainingSet, sampling_weights
from recognizer.vision.preprocessing import normalize


@dataclass(frozen=True, slots=True)
class Scores:
    """What a trial reached on the held-out faces.

    Attributes:
        ferplus_accuracy: share of the rows with a FER+ majority, 0-1.
        fer2013_accuracy: share of the rows with a label of FER-2013's own, 0-1.
        seconds: how long the trial took.
    """

    ferplus_accuracy: float
    fer2013_accuracy: float
    seconds: float

    def plain(self) -> dict[str, float]:
        return asdict(self)


@dataclass(frozen=True)
class WholeNetwork:
    """Fits all of the network anew in every trial."""

    training: TrainingSet
    validation: Faces
    epochs: int

    def __call__(self, how: Fitting, folder: Path) -> Scores:
        """Fit for `epochs`, resumable in the folder, whose checkpoint goes when all is done."""
        started = time.monotonic()
        keras.utils.clear_session()
        how = replace(how, epochs=self.epochs, finish_epochs=0, patience=0)
        model = fit(self.training, self.validation, how, folder, lambda _: None)
        scores = _measure(logits(model, self.validation.images), self.validation, started)
        shutil.rmtree(folder / "checkpoint", ignore_errors=True)
        return scores


class Heads:
    """Fits only what follows the features of a fitted network, which are computed once.

    Faces are taken as they are, without augmentation, and weighted by `balance` of the settings
    instead of shown more often.
    """

    def __init__(
        self, model: keras.Model, training: TrainingSet, validation: Faces, epochs: int
    ) -> None:
        extract = keras.Model(model.input, model.get_layer(FEATURES).output)
        self._training, self._validation, self._epochs = training, validation, epochs
        self._features = _features(extract, training.images)
        self._validation_features = _features(extract, validation.images)

    def __call__(self, how: Fitting, folder: Path) -> Scores:
        """Fit for the epochs, the rate falling to 0 along a cosine; leaves the folder alone."""
        started = time.monotonic()
        keras.utils.clear_session()
        keras.mixed_precision.set_global_policy("float32")
        keras.utils.set_random_seed(how.seed)
        features = keras.Input(self._features.shape[1:])
        model = keras.Model(features, heads(features, how.network.dropout, how.network.hidden))
        training = self._training
        model.compile(
            _optimizer(how, self._epochs * -(-len(training) // how.batch)),
            loss=_losses(how.label_smoothing),
            loss_weights={
                "ferplus": 1 - how.fer2013_weight,
                "fer2013": how.fer2013_weight,
                "ambiguous": how.ambiguous_weight,
            },
        )
        targets = {head: getattr(training, head) for head in HEAD_WIDTHS}
        weights = sampling_weights(training, how.balance).astype(np.float32)
        model.fit(
            self._features,
            targets | {"ambiguous": training.ambiguous[:, None]},
            sample_weight=dict.fromkeys(HEAD_WIDTHS, weights),
            batch_size=how.batch,
            epochs=self._epochs,
            verbose=0,
        )
        answers = model(self._validation_features, training=False)
        answers = {head: answer.numpy() for head, answer in answers.items()}
        return _measure(answers, self._validation, started)


def _features(extract: keras.Model, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(N, F) of (N, size, size) uint8 faces."""
    starts = tqdm(range(0, len(images), 256), "features", leave=False, disable=None)
    parts = [extract(normalize(images[start : start + 256]), training=False) for start in starts]
    return np.concatenate([np.asarray(part, np.float32) for part in parts])


def _losses(smoothing: float) -> dict[str, keras.losses.Loss]:
    """As in fitting: rows without a label of FER-2013's own have no share in its loss."""
    return {
        "ferplus": keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=smoothing
        ),
        "fer2013": keras.losses.CategoricalCrossentropy(from_logits=True),
        "ambiguous": keras.losses.BinaryCrossentropy(from_logits=True),
    }


def _optimizer(how: Fitting, steps: int) -> keras.optimizers.Optimizer:
    rate = keras.optimizers.schedules.CosineDecay(how.learning_rate, steps)
    decay = how.weight_decay
    optimizer = (
        keras.optimizers.AdamW(rate, weight_decay=decay)
        if how.optimizer == "adam"
        else keras.optimizers.SGD(rate, how.momentum, nesterov=True, weight_decay=decay)
    )
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    return optimizer


def _measure(answers: dict[str, NDArray[np.float32]], validation: Faces, started: float) -> Scores:
    labels = majority(validation.votes)
    agreed = (labels >= 0) & (labels < HEAD_WIDTHS["ferplus"])
    labelled = validation.labels >= 0
    ferplus = answers["ferplus"].argmax(axis=1) == labels
    own = answers["fer2013"].argmax(axis=1) == validation.labels
    return Scores(
        ferplus_accuracy=float(ferplus[agreed].mean()),
        fer2013_accuracy=float(own[labelled].mean()) if labelled.any() else 0.0,
        seconds=time.monotonic() - started,
    )
