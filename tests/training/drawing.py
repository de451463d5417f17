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
SHOWN = ("happy", "neutral", "sad", "surprise")
"""What `draw_face` can tell apart."""
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


def write_drawn_set(folder: Path, training: int = 96, held_out: int = 64) -> tuple[Path, Path]:
    """Paths of fer2013.csv and fer2013new.csv with so many Training and PublicTest rows."""
    rng = np.random.default_rng(0)
    rows = [
        (SHOWN[number % 4], split, draw_face(SHOWN[number % 4], rng))
        for split, count in (("Training", training), ("PublicTest", held_out))
        for number in range(count)
    ]
    write_fer2013(folder / "fer2013.csv", rows)
    write_ferplus(
        folder / "fer2013new.csv", [(split, {emotion: 8, "fear": 2}) for emotion, split, _ in rows]
    )
    return folder / "fer2013.csv", folder / "fer2013new.csv"
