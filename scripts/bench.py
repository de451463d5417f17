"""Measures detection and classification on this machine. Run by `make bench`.

Ways that are compared take turns in one process, so that whatever else the machine does falls on
all of them alike. Printed are medians and how many times slower each way is than ours.
"""

import argparse
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage import data

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from recognizer.vision import Recognizer
from recognizer.vision.classification import ModelError, load_model
from recognizer.vision.detection import MTCNN

Image = NDArray[np.uint8]
MIN_FACE = 20  # pixels; the default of the mtcnn package


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="how often each way runs (7)")
    rounds = parser.parse_args().rounds
    print_machine()
    for faces_across in (1, 2, 4):
        image = portraits(faces_across)
        height, width = image.shape[:2]
        compare(f"Detection, {width}x{height}", detection_ways(image), rounds)
    try:
        classification = classification_ways(portraits(4))
    except ModelError as error:
        print(f"\nClassification was not measured: {error}")
        return 1
    compare("Classification of 16 faces", classification, rounds)
    image = np.ascontiguousarray(np.tile(portraits(4), (2, 2, 1))[:3000, :4000])
    recognizer = Recognizer()
    everything: dict[str, Way] = {"ours": lambda: len(recognizer.recognize(image).faces)}
    compare("Everything, 4000x3000", everything, rounds)
    return 0


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
        print(f"  {name:20} {median * 1000:9.1f} ms  {ratio}  {found[name]} faces")


if __name__ == "__main__":
    sys.exit(main())
