"""Drawn faces, and files in the layout of FER-2013 and FER+."""

import csv
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from recognizer.training.datasets.faces import FER2013_LABELS

FERPLUS_HEADER = (
    "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
)
FERPLUS_COLUMNS = ("neutral", "happy", "surprise", "sad", "anger", "disgust", "fear", "contempt")


def draw_face(emotion: str, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A 48x48 cartoon whose mouth and eyes tell a few emotions apart."""
    image = np.full((48, 48), int(rng.integers(60, 120)), np.uint8)
    cv2.ellipse(image, (24, 25), (17, 21), 0, 0, 360, int(rng.integers(170, 230)), -1)
    eye = 4 if emotion in ("surprise", "fear") else 2
    for x in (17, 31):
        cv2.circle(image, (x + int(rng.integers(-1, 2)), 19), eye, 30, -1)
    if emotion == "surprise":
        cv2.ellipse(image, (24, 36), (4, 6), 0, 0, 360, 20, -1)
    elif emotion == "happy":
        cv2.ellipse(image, (24, 31), (9, 6), 0, 0, 180, 20, 2)
    elif emotion == "sad":
        cv2.ellipse(image, (24, 40), (9, 6), 0, 180, 360, 20, 2)
    else:
        cv2.line(image, (17, 36), (31, 36), 20, 2)
    noise = rng.normal(0, 4, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def write_fer2013(path: Path, rows: list[tuple[str, str, NDArray[np.uint8]]]) -> None:
    """Rows are (emotion, split, image)."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["emotion", "pixels", "Usage"])
        for emotion, split, image in rows:
            pixels = " ".join(map(str, image.ravel()))
            writer.writerow([FER2013_LABELS.index(emotion), pixels, split])


def write_ferplus(path: Path, rows: list[tuple[str, dict[str, int]]]) -> None:
    """Rows are (split, votes); votes name emotions, `unknown` and `NF`."""
    lines = [FERPLUS_HEADER]
    for number, (split, votes) in enumerate(rows):
        counts = [votes.get(column, 0) for column in (*FERPLUS_COLUMNS, "unknown", "NF")]
        name = "" if votes.get("NF", 0) == 10 else f"fer{number:07}.png"
        lines.append(",".join([split, name, *map(str, counts)]))
    path.write_text("\n".join(lines) + "\n")
