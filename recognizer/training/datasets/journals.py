"""What a long run has done, line by line on disk, so that a killed one can go on."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recognizer.training.datasets.faces import DatasetError


def fingerprint(*arrays: NDArray[Any]) -> str:
    """SHA-256 of the arrays' bytes, in hex: whether a run goes on with the data it began with."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


class Journal:
    """A JSON value for each name, one to a line, after a heading that says what they are about.

    Attributes:
        path: its file.
        entries: the values so far, by name.
    """

    def __init__(self, path: Path, about: Mapping[str, Any]) -> None:
        """Open or begin the journal.

        Args:
            path: its file.
            about: the data set and the settings; a journal about others is refused.

        Raises:
            DatasetError: the file is about something else, or is no journal.
        """
        self.path = path
        self.entries: dict[str, Any] = {}
        heading = json.loads(json.dumps(about))
        lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
        # A killed run may have left half a line.
        if lines and not lines[-1].endswith(b"\n"):
            lines.pop()
        try:
            begun = [json.loads(line) for line in lines]
            self.entries = dict(begun[1:])
        except (ValueError, TypeError) as error:
            raise DatasetError(f"{path} is damaged; remove it to begin anew.") from error
        if begun and begun[0] != heading:
            raise DatasetError(
                f"{path} was begun with another data set or with other settings. Give another "
                f"--output, or remove {path.parent} to begin anew."
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        os.truncate(path, sum(map(len, lines))) if path.exists() else path.touch()
        if not begun:
            self._append([heading])

    def add(self, entries: Mapping[str, Any]) -> None:
        """Write more of them down, as JSON."""
        self._append(list(entries.items()))
        self.entries.update(entries)

    def _append(self, values: Sequence[Any]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(value) + "\n" for value in values)
