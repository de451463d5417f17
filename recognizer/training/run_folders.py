"""Run folders: whose they are, and what was done in them. Nothing here fits anything."""

import csv
import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path

import numpy as np

from recognizer.training.datasets.faces import Faces
from recognizer.training.hyperparameters import Fitting
from recognizer.training.networks import name_of
from recognizer.training.preparation import TrainingSet


def claim(run: Path, how: Fitting, data: str) -> None:
    """Make the run folder for these settings and this data, or find that it is theirs already.

    Args:
        run: the folder.
        how: the settings.
        data: see `fingerprint`.

    Raises:
        ValueError: it was begun with others.
    """
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


def append(run: Path, line: dict[str, float]) -> None:
    """Add an epoch to the run's history.csv; it is on the disk when this returns."""
    path = run / "history.csv"
    fresh = not path.exists()
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, line)
        if fresh:
            writer.writeheader()
        writer.writerow({name: f"{value:.6g}" for name, value in line.items()})
        file.flush()
        os.fsync(file.fileno())


def effort(run: Path) -> dict[str, float]:
    """What a run has cost: its finished epochs, and the minutes they took."""
    with (run / "history.csv").open(encoding="utf-8", newline="") as file:
        seconds = [float(line["seconds"]) for line in csv.DictReader(file)]
    return {"epochs_done": len(seconds), "minutes": round(sum(seconds) / 60, 1)}
