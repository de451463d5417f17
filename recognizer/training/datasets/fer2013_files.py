"""Write rows of FER-2013 and of FER+ as `fer2013.read` reads them."""

import csv
from collections.abc import Sequence
from pathlib import Path

from recognizer.training.datasets.faces import Faces
from recognizer.training.datasets.fer2013 import FERPLUS_COLUMNS

PIXELS_FILE = "fer2013.csv"
FERPLUS_FILE = "fer2013new.csv"
# FER+'s own order.
_VOTES = (
    "neutral",
    "happiness",
    "surprise",
    "sadness",
    "anger",
    "disgust",
    "fear",
    "contempt",
    "unknown",
    "NF",
)
_PLACES = [list(FERPLUS_COLUMNS.values()).index(name) for name in _VOTES]


def write_pixels(faces: Faces, folder: Path) -> None:
    """Write `fer2013.csv`, which may replace another.

    Args:
        faces: 48x48 pictures, each with FER-2013's own label.
        folder: is made where there is none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / PIXELS_FILE).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["emotion", "pixels", "Usage"])
        for label, image, split in zip(faces.labels, faces.images, faces.splits, strict=True):
            writer.writerow([label, " ".join(map(str, image.ravel().tolist())), split])


def write_votes(faces: Faces, numbers: Sequence[int], folder: Path) -> None:
    """Write `fer2013new.csv`, row by row as `write_pixels` does; it may replace another.

    Args:
        faces: what has been voted on.
        numbers: (N,) of each row in the data set it comes from, counted from 0; FER+ names its
            pictures by them, so that the row can be found again.
        folder: is there.
    """
    with (folder / FERPLUS_FILE).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["Usage", "Image name", *_VOTES])
        for split, number, named, votes in zip(
            faces.splits, numbers, faces.named, faces.votes.tolist(), strict=True
        ):
            name = f"fer{number:07}.png" if named else ""
            writer.writerow([split, name, *(votes[place] for place in _PLACES)])
