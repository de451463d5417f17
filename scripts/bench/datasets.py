"""How fast the classifier reads faces, and data sets are read."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from recognizer.training.datasets import fer2013
from recognizer.training.datasets.faces import FER2013_LABELS
from recognizer.training.datasets.packing import Packing, pack, read_packed
from recognizer.vision.classification import load_model
from recognizer.vision.detection import MTCNN
from scripts.bench import scenes
from scripts.bench.measuring import Table, Way, compare
from tests.training.drawing import write_fer2013, write_ferplus

Image = NDArray[np.uint8]
FACES = 2000  # of the data set that is read


def classification(table: Table, rounds: int, _: Path | None) -> None:
    image = scenes.tiled(4)
    classifier, detections = load_model(), MTCNN().detect(image)
    ways: dict[str, Way] = {
        "ours, one batch": lambda: len(classifier.classify(image, detections)),
        "one face at a time": lambda: sum(
            len(classifier.classify(image, [detection])) for detection in detections
        ),
    }
    table.title("Classification of 16 faces")
    table.head("way", "median", "ratio", "faces")
    compare(table, ways, rounds)


def packing(table: Table, rounds: int, _: Path | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        table.title(f"Reading a data set, {FACES} faces")
        table.head("way", "median", "ratio", "faces")
        compare(table, reading_ways(Path(folder)), rounds)


def reading_ways(folder: Path) -> Mapping[str, Way]:
    """Each way reads the same data set into memory and gives the number of its faces."""
    rows = [
        (
            FER2013_LABELS[number % len(FER2013_LABELS)],
            "Training" if number % 5 else "PublicTest",
            image,
        )
        for number, image in enumerate(faces_with_variations(FACES))
    ]
    table, votes = folder / "fer2013.csv", folder / "fer2013new.csv"
    write_fer2013(table, rows)
    write_ferplus(votes, [(split, {emotion: 10}) for emotion, split, _ in rows])
    pictures, packed = folder / "pictures", folder / "packed"
    for number, (emotion, _, image) in enumerate(rows):
        (pictures / emotion).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(pictures / emotion / f"{number}.png"), image)
    pack(fer2013.read(table, votes), packed, Packing())
    return {
        f"packed ({megabytes(packed)})": lambda: len(read_packed(packed)),
        f"CSV ({megabytes(table)})": lambda: len(fer2013.read(table, votes)),
        f"PNG folders ({megabytes(pictures)})": lambda: len(read_class_folders(pictures)),
    }


def megabytes(place: Path) -> str:
    files = [file for file in (place, *place.rglob("*")) if file.is_file()]
    return f"{sum(file.stat().st_size for file in files) / 1e6:.1f} MB"


def faces_with_variations(count: int) -> Image:
    """(count, 48, 48) grey crops of the portrait's face: shifted, turned, mirrored, lit."""
    rng = np.random.default_rng(0)
    portrait = cv2.cvtColor(scenes.portrait(), cv2.COLOR_RGB2GRAY)
    crops = np.empty((count, fer2013.SIDE, fer2013.SIDE), np.uint8)
    for crop in crops:
        x, y = rng.normal((222, 110), 4)
        place = cv2.getRotationMatrix2D((x, y), rng.normal(0, 10), rng.uniform(0.3, 0.4))
        place[:, 2] += np.array([fer2013.SIDE / 2 - x, fer2013.SIDE / 2 - y])
        face = cv2.warpAffine(portrait, place, crop.shape).astype(np.float64)
        face = face[:, :: rng.choice((-1, 1))] * rng.uniform(0.7, 1.2)
        crop[:] = np.clip(face + rng.normal(0, 3, face.shape), 0, 255)
    return crops


def read_class_folders(folder: Path) -> Image:
    """As fast as it goes: OpenCV alone, with no checks."""
    files = sorted(folder.glob("*/*.png"))
    return np.array([cv2.imread(str(file), cv2.IMREAD_GRAYSCALE) for file in files], np.uint8)
