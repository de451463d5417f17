"""Models that keep what they have said, so that a command that was stopped can go on."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recognizer.training.datasets.journals import fingerprint
from recognizer.training.datasets.outputs import DAMAGED_ARCHIVE, whole_file
from recognizer.vision.classification import OnnxClassifier

AT_ONCE: Final = 256
"""Pictures that are asked about, and kept, together."""


class CachedClassifier(OnnxClassifier):
    """A model whose logits are kept in a folder: what it has answered, it is not asked again.

    Answers belong to the weights and to a block of pictures, in its order. Whatever a card says,
    they hold.
    """

    def __init__(self, folder: Path, kept: Path, threads: int = 0) -> None:
        """As of any model, and `kept`, the folder for its answers; others may keep theirs there.

        Raises:
            CardError, ModelError: as of any model.
        """
        super().__init__(folder, threads)
        self._kept = kept / self.card.weights.sha256[:16]

    def logits(
        self, faces: NDArray[np.float32], heads: Sequence[str]
    ) -> Mapping[str, NDArray[np.float64]]:
        """The network's raw answers by head, (N, K) each, from the folder where they are there.

        Raises:
            OSError: the folder cannot be written.
        """
        starts = range(0, max(1, len(faces)), AT_ONCE)
        parts = [self._some(faces[start : start + AT_ONCE], heads) for start in starts]
        return {head: np.concatenate([part[head] for part in parts]) for head in heads}

    def _some(
        self, faces: NDArray[np.float32], heads: Sequence[str]
    ) -> Mapping[str, NDArray[np.float64]]:
        path = self._kept / f"{fingerprint(faces)[:32]}.npz"
        known = _read(path)
        missing = [head for head in heads if head not in known]
        if missing:
            known |= super().logits(faces, missing)
            _write(path, known)
        return known


def cached(classifier: OnnxClassifier, kept: Path | None) -> OnnxClassifier:
    """The same model, keeping its answers in a folder where one is given."""
    return CachedClassifier(classifier.folder, kept) if kept else classifier


def _read(path: Path) -> dict[str, NDArray[np.float64]]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {head: file[head] for head in file.files}
    except (OSError, *DAMAGED_ARCHIVE):
        return {}  # Not there, or the half of one: it is asked about again.


def _write(path: Path, answers: Mapping[str, NDArray[np.float64]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as draft:
        np.savez(draft, **answers)  # type: ignore[arg-type]
