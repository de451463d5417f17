"""Checkpoints of a run: the last two, of which a damaged one costs an epoch and no more.

Importing this module imports TensorFlow.
"""

import errno
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import tensorflow as tf

_NAME: Final = "ckpt"  # As CheckpointManager calls them: ckpt-7.index, ckpt-7.data-00000-of-00001.
DAMAGED: Final = (tf.errors.OpError, IndexError)
"""What TensorFlow raises for a file that is cut off, altered or gone."""


class Checkpoints:
    """What a run needs to go on, saved after every epoch."""

    def __init__(self, folder: Path, **parts: Any) -> None:
        """Look into the folder, which may be missing; nothing is read yet.

        Args:
            folder: of the checkpoints.
            parts: by name, what `tf.train.Checkpoint` can track.
        """
        self._folder = folder
        self._saved = tf.train.Checkpoint(**parts)
        try:
            self._manager = self._managed()
        except ValueError:
            # The list of them is damaged; their names tell the same.
            (folder / "checkpoint").unlink()
            self._manager = self._managed()

    def restore(self, report: Callable[[str], None]) -> bool:
        """Restore the newest checkpoint that is whole; False where there has been none.

        Args:
            report: called with a line for each that is damaged.

        Raises:
            ValueError: all of them are damaged.
        """
        found = newest_first(self._folder)
        for path in found:
            try:
                self._saved.restore(str(path)).assert_consumed()
            except DAMAGED:
                report(f"The checkpoint {path} is damaged; trying the one before it.")
            else:
                return True
        if found:
            raise ValueError(
                f"Every checkpoint in {self._folder} is damaged, so the run cannot go on. Restore "
                "the files, or give another folder (--run) to begin anew."
            )
        return False

    def save(self) -> None:
        """Write one, and delete all but the last two.

        Raises:
            OSError: it cannot be written.
        """
        try:
            self._manager.save()
        except tf.errors.OpError as error:
            # TensorFlow calls a full disk an exhausted resource, and has pages to say about it.
            full = isinstance(error, tf.errors.ResourceExhaustedError)
            number = errno.ENOSPC if full else errno.EIO
            reason = "no space is left for the checkpoint" if full else "no checkpoint was written"
            raise OSError(number, reason, str(self._folder)) from error

    def _managed(self) -> Any:
        return tf.train.CheckpointManager(self._saved, str(self._folder), 2, checkpoint_name=_NAME)


def newest_first(folder: Path) -> list[Path]:
    """The checkpoints in a folder, whole or not, as TensorFlow names them: without an ending."""
    numbered = {}
    for index in folder.glob(f"{_NAME}-*.index"):
        with suppress(ValueError):
            numbered[int(index.stem.rpartition("-")[2])] = index.with_suffix("")
    return [numbered[number] for number in sorted(numbered, reverse=True)]
