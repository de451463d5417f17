"""One trial of a search: fit, and measure."""

import shutil
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from recognizer.training.datasets.faces import Faces, majority
from recognizer.training.fitting import fit, logits
from recognizer.training.hyperparameters import Fitting
from recognizer.training.networks import HEAD_WIDTHS
from recognizer.training.preparation import TrainingSet


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
        how = shortened(how, self.epochs)
        model = fit(self.training, self.validation, how, folder, lambda _: None)
        scores = _measure(logits(model, self.validation.images), self.validation, started)
        shutil.rmtree(folder / "checkpoint", ignore_errors=True)
        return scores


def shortened(how: Fitting, epochs: int) -> Fitting:
    """The settings for so many epochs: the same share on small pictures, the last one never."""
    small = min(how.small_epochs * epochs // how.all_epochs, epochs - 1)
    return replace(how, epochs=epochs, small_epochs=small, finish_epochs=0, patience=0)


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
