"""One trial of a search: fit, and measure."""

import math
import shutil
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import keras

from recognizer.training.datasets.faces import Faces
from recognizer.training.datasets.preparation import TrainingSet
from recognizer.training.fitting import fitted
from recognizer.training.fitting.hyperparameters import Fitting
from recognizer.training.fitting.loop import fit
from recognizer.training.fitting.run_folders import CHECKPOINT


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
        reached = fitted.accuracies(model, self.validation)
        reached = {name: 0.0 if math.isnan(one) else one for name, one in reached.items()}
        scores = Scores(**reached, seconds=time.monotonic() - started)
        shutil.rmtree(folder / CHECKPOINT, ignore_errors=True)
        return scores


def shortened(how: Fitting, epochs: int) -> Fitting:
    """The settings for so many epochs: the same share on small pictures, the last one never."""
    small = min(how.small_epochs * epochs // how.all_epochs, epochs - 1)
    return replace(how, epochs=epochs, small_epochs=small, finish_epochs=0, finishes=1, patience=0)
