"""Models that teach a student: what they answer becomes part of its targets.

Hinton et al., "Distilling the knowledge in a neural network" (2015).
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recognizer.training.datasets.faces import FER2013_LABELS
from recognizer.training.datasets.preparation import HEADS, Probabilities
from recognizer.training.settings import SettingsError
from recognizer.vision.cards import CardError, ModelCard
from recognizer.vision.classification import ModelError, OnnxClassifier, softmax
from recognizer.vision.preprocessing import normalize


class Teachers:
    """Models that are asked about each picture as the student sees it, varied and spoilt.

    A fixed answer to the whole picture would ask a student to see through what covers it; asked
    about the same view, teachers say what can be seen there (Beyer et al., "Knowledge
    distillation: A good teacher is patient and consistent", 2022). While a student sees small
    pictures (`small_epochs`), they see the same ones before these are shrunk.
    """

    def __init__(self, models: Sequence[OnnxClassifier]) -> None:
        """Of at least one model, each with the heads of HEADS."""
        self._models = models

    @classmethod
    def load(cls, folders: Sequence[str], size: int) -> "Teachers | None":
        """The models in these folders; None for no folders.

        Args:
            folders: each with a card and weights.
            size: side of the pictures that they will be asked about, pixels.

        Raises:
            SettingsError: there is no model in a folder, or it cannot teach.
            ValueError: it takes pictures of another size.
        """
        if not folders:
            return None
        try:
            # One thread: they are asked beside the student's steps, which have the other cores.
            models = [OnnxClassifier(Path(folder), threads=1) for folder in folders]
            for model in models:
                require_heads(model)
                model.check()
        except (CardError, ModelError) as error:
            raise SettingsError(
                f"{error} Name folders of other models as `teachers`; a training that begins anew "
                "can do without: --set teachers=[] --set distillation=0."
            ) from error
        require_size(models, size)
        return cls(models)

    @property
    def names(self) -> tuple[str, ...]:
        """Their names and versions."""
        return tuple(model.name for model in self._models)

    @property
    def cards(self) -> tuple[ModelCard, ...]:
        """Their cards."""
        return tuple(model.card for model in self._models)

    @property
    def hashes(self) -> tuple[str, ...]:
        """The SHA-256 of each one's weights, in hex."""
        return tuple(model.card.weights.sha256 for model in self._models)

    def answers(self, images: NDArray[np.uint8]) -> Probabilities:
        """The mean of what they say of (N, size, size) uint8 pictures, by head."""
        faces = normalize(images)
        answers = [shares_of(model, faces) for model in self._models]
        return {head: np.mean([one[head] for one in answers], axis=0) for head in HEADS}


def require_size(models: Sequence[OnnxClassifier], size: int) -> None:
    """ValueError where a model takes pictures of another size than the data set is read at."""
    for model in models:
        own = model.card.preprocessing.size
        if own != size:
            raise ValueError(
                f"{model.name} takes faces of {own}x{own} pixels, and --size is {size}."
            )


def require_heads(model: OnnxClassifier) -> None:
    """ModelError when a model cannot teach, as it has no answer of one of the kinds."""
    if missing := [head for head in HEADS if head not in model.card.heads]:
        raise ModelError(
            f"{model.card.name} has no head {' and '.join(missing)}, so it cannot teach: it was "
            "trained on pictures without such labels."
        )


def shares_of(teacher: OnnxClassifier, faces: NDArray[np.float32]) -> Probabilities:
    """What a teacher says of (N, size, size, 1) normalised faces, by head.

    The logits are taken as they are, without the card's temperature: the networks were fitted
    to shares of votes, and the temperature to winners.
    """
    logits = dict(teacher.logits(faces, HEADS))
    columns = teacher.card.heads["fer2013"].columns(FER2013_LABELS)
    logits["fer2013"] = logits["fer2013"][:, columns]
    return {head: softmax(logits[head]).astype(np.float32) for head in HEADS}
