"""Reviewed faces for tests: votes.csv as the site writes it."""

import csv
from collections.abc import Iterable
from pathlib import Path

from recognizer.training.datasets.classes import CLASSES
from recognizer.training.datasets.votes import VOTES_FILE, VotedFace


def write_votes(folder: Path, faces: Iterable[VotedFace]) -> None:
    with (folder / VOTES_FILE).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", *CLASSES, "split", "group"])
        writer.writerows([face.file, *face.votes, face.split, face.group] for face in faces)
