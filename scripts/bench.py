"""Measures detection, classification and packed data sets on this machine. Run by `make bench`.

Ways that are compared take turns in one process, so that whatever else the machine does falls on
all of them alike. Printed are medians and how many times slower each way is than ours.
"""

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage import data

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from recognizer.training.datasets import fer2013
from recognizer.training.datasets.faces import FER2013_LABELS
from recognizer.training.datasets.packing import Packing, pack, read_packed
from recognizer.vision import Recognizer
from recognizer.vision.classification import ModelError, load_model
from recognizer.vision.detection import MTCNN
from tests.training.drawing import write_fer2013, write_ferplus

Image = NDArray[np.uint8]
MIN_FACE = 20  # pixels; the default of the mtcnn package
FACES = 2000  # of the data set that is read


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="how often each way runs (7)")
    parser.add_argument(
        "--only", nargs="+", choices=SECTIONS, default=list(SECTIONS), help="(all of them)"
    )
    options = parser.parse_args()
    print_machine()
    try:
        for section in SECTIONS:
            if section in options.only:
                SECTIONS[section](options.rounds)
    except ModelError as error:
        print(f"\nClassification was not measured: {error}")
        return 1
    return 0


def bench_detection(rounds: int) -> None:
    for faces_across in (1, 2, 4):
        image = portraits(faces_across)
        height, width = image.shape[:2]
        compare(f"Detection, {width}x{height}", detection_ways(image), rounds)


def bench_classification(rounds: int) -> None:
    compare("Classification of 16 faces", classification_ways(portraits(4)), rounds)


def bench_everything(rounds: int) -> None:
    image = np.ascontiguousarray(np.tile(portraits(4), (2, 2, 1))[:3000, :4000])
    recognizer = Recognizer()
    everything: dict[str, Way] = {"ours": lambda: len(recognizer.recognize(image).faces)}
    compare("Everything, 4000x3000", everything, rounds)


def bench_packing(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        compare(f"Reading a data set, {FACES} faces", reading_ways(Path(folder)), rounds)


def print_machine() -> None:
    packages = ("onnxruntime", "opencv-python-headless", "numpy")
    print(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}")
    print(", ".join(f"{name} {version(name)}" for name in packages))


def portraits(across: int) -> Image:
    """NASA's portrait of Eileen Collins, 512x512, `across` times in each direction."""
    portrait: Image = data.astronaut()  # type: ignore[no-untyped-call]
    return np.ascontiguousarray(np.tile(portrait, (across, across, 1)))


Way = Callable[[], int]


def detection_ways(image: Image) -> Mapping[str, Way]:
    """Each way finds the faces and gives their number."""
    detector = MTCNN(min_face=MIN_FACE)
    ways: dict[str, Way] = {"ours": lambda: len(detector.detect(image))}
    if find_spec("tensorflow"):
        package = reference_detector()
        ways["mtcnn package"] = lambda: len(package.detect_faces(image, min_face_size=MIN_FACE))
    else:
        print("\nThe mtcnn package was not measured: TensorFlow is not installed.")
    return ways


def reference_detector() -> Any:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import mtcnn

    return mtcnn.MTCNN(device="CPU:0")


def classification_ways(image: Image) -> Mapping[str, Way]:
    """Each way reads the same faces and gives their number.

    Raises:
        ModelError: There is no model to measure.
    """
    classifier = load_model()
    detections = MTCNN().detect(image)
    return {
        "ours, one batch": lambda: len(classifier.classify(image, detections)),
        "one face at a time": lambda: sum(
            len(classifier.classify(image, [detection])) for detection in detections
        ),
    }


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
    portrait = cv2.cvtColor(portraits(1), cv2.COLOR_RGB2GRAY)
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


def compare(title: str, ways: Mapping[str, Way], rounds: int) -> None:
    """Runs the ways in turns and prints the median of each; the first way is the measure."""
    found = {name: way() for name, way in ways.items()}  # also loads what is loaded on first use
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - started)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    measure = next(iter(medians.values()))
    print(f"\n{title} (median of {rounds})")
    for name, median in medians.items():
        ratio = f"{median / measure:5.2f}x"
        print(f"  {name:22} {median * 1000:9.1f} ms  {ratio}  {found[name]} faces")


SECTIONS: Mapping[str, Callable[[int], None]] = {
    "detection": bench_detection,
    "classification": bench_classification,
    "everything": bench_everything,
    "packing": bench_packing,
}

if __name__ == "__main__":
    sys.exit(main())
