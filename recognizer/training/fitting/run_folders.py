"""Run folders: whose they are, and what was done in them. Nothing here fits anything."""

import csv
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from recognizer.locks import locked
from recognizer.training.datasets import journals
from recognizer.training.datasets.faces import Faces
from recognizer.training.datasets.outputs import whole_file
from recognizer.training.datasets.preparation import TrainingSet
from recognizer.training.fitting.hyperparameters import NO_PATHS, Fitting
from recognizer.training.networks import name_of

CONFIG: Final = "config.json"
HISTORY: Final = "history.csv"
TENSORBOARD: Final = "tensorboard"
CHECKPOINT: Final = "checkpoint"
_LOCK: Final = ".lock"
_EXPORT: Final = ("int8",)
"""Settings that come into play after the run, so that another export needs no other run."""
KEPT: Final = "kept.weights.h5"
"""What comes out of the run, where these are not its last averaged weights: with early stopping the
ones that did best on the held-out rows, with several finishes the mean of their ends."""


@contextmanager
def alone(run: Path) -> Iterator[None]:
    """Keep the run folder, which is made, to this process, until it ends or is killed.

    Raises:
        ValueError: another process works in it.
    """
    there = run.exists()
    refusal = ValueError(
        f"Another process is at work in the run folder {run}. Wait for it to end, or give another "
        "folder (--run)."
    )
    try:
        with locked(run / _LOCK, refusal):
            yield
    finally:
        # What was refused before it began leaves nothing behind.
        if not there:
            with suppress(OSError):
                run.rmdir()


def claim_run(run: Path, how: Fitting, data: str, teachers: Sequence[str] = ()) -> None:
    """Make the run folder for these settings and this data, or find that it is theirs already.

    A run that ended before its first epoch did leaves nothing that other settings could spoil.

    Args:
        run: the folder.
        how: the settings.
        data: see `fingerprint`.
        teachers: SHA-256 of the weights of each, whose names say less.

    Raises:
        ValueError: it was begun with others.
    """
    # Wherever the command is called from.
    paths = {"start": _whole(how.start), "soft_labels": _whole(how.soft_labels)}
    known = {"architecture": name_of(how.network), "data": data, "teachers": list(teachers)}
    settings = _of_the_run(how) | paths | known
    if weights := settings["network"].get("weights"):
        settings["network"]["weights"] = _whole(weights)
    begun = (run / HISTORY).exists() or (run / CHECKPOINT).exists()
    if not begun and (run / CONFIG).exists() and set(_settings(run / CONFIG)) == set(settings):
        (run / CONFIG).unlink()
    # Stopping early watches other rows, so with `patience` the data differ, too.
    claim(run / CONFIG, settings, {"data": "patience"})


def _of_the_run(how: Fitting) -> dict[str, Any]:
    return {name: value for name, value in asdict(how).items() if name not in _EXPORT}


def claim(
    file: Path,
    wanted: Mapping[str, object],
    follows: Mapping[str, str] | None = None,
) -> None:
    """Write down what a run folder is for, or find the same written there.

    Args:
        file: JSON in the run folder, which is made.
        wanted: settings by name.
        follows: settings that go without saying where another one differs.

    Raises:
        ValueError: others are written there, or the file is damaged.
    """
    wanted = json.loads(json.dumps(wanted))
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        _write(file, f"{json.dumps(wanted, indent=2)}\n".encode())
        return
    found = _settings(file)
    differing = [name for name in {**wanted, **found} if found.get(name) != wanted.get(name)]
    differing = [name for name in differing if (follows or {}).get(name) not in differing]
    if differing:
        raise ValueError(
            f"The run folder {file.parent} was begun with other settings ({', '.join(differing)} "
            "differ). Use the same settings and data to go on, or another folder (--run) to begin "
            "anew."
        )


def _settings(file: Path) -> dict[str, object]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise _damaged(file, str(error)) from error
    if not isinstance(found, dict):
        raise _damaged(file, "no JSON object")
    return found


def _damaged(file: Path, why: str) -> ValueError:
    return ValueError(
        f"{file} is damaged ({why}), so nobody knows what settings the run was begun with. Restore "
        f"the file to go on, or remove {file.parent} or give another folder (--run) to begin anew."
    )


def _write(path: Path, content: bytes) -> None:
    with whole_file(path) as draft:
        draft.write_bytes(content)


def _whole(path: str) -> str:
    return str(Path(path).resolve()) if path not in NO_PATHS else path


def fingerprint(training: TrainingSet, validation: Faces) -> str:
    """SHA-256, in hex, of everything that is learned from and watched."""
    return journals.fingerprint(
        training.images,
        training.ferplus,
        training.fer2013,
        training.ambiguous,
        validation.images,
        validation.votes,
        validation.labels,
    )


def forget_after(run: Path, epoch: int) -> None:
    """Take out of history.csv what a killed run wrote of an epoch that is to be done again."""
    path = run / HISTORY
    if path.exists():
        lines = path.read_bytes().splitlines(keepends=True)
        _write(path, b"".join(lines[: 1 + epoch]))


def append(run: Path, line: dict[str, float]) -> None:
    """Add an epoch to the run's history.csv; it is on the disk when this returns."""
    path = run / HISTORY
    # Of a run stopped while it began the file, nothing may be in it.
    fresh = not path.exists() or not path.stat().st_size
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, line)
        if fresh:
            writer.writeheader()
        writer.writerow({name: f"{value:.6g}" for name, value in line.items()})
        file.flush()
        os.fsync(file.fileno())


def effort(run: Path) -> dict[str, float]:
    """What a run has cost: its finished epochs, and the minutes they took."""
    with (run / HISTORY).open(encoding="utf-8", newline="") as file:
        seconds = [float(line["seconds"]) for line in csv.DictReader(file)]
    return {"epochs_done": len(seconds), "minutes": round(sum(seconds) / 60, 1)}
