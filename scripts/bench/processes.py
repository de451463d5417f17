"""What whole processes cost: to start, to keep in memory, and side by side."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from recognizer.vision import Recognizer
from recognizer.vision.classification import load_model
from recognizer.vision.detection import MTCNN
from scripts.bench import scenes
from scripts.bench.detection import reference
from scripts.bench.measuring import Table, Way, compare

ROOT = Path(__file__).resolve().parents[2]
PHOTOS = 200  # of 12 megapixels each; PHOTOS=5000 in the environment for a long look
SECONDS = 20.0  # that workers are watched for


def group_photo(table: Table, rounds: int, _: Path | None) -> None:
    """All faces of a photo, by us and by the two steps that people paste together."""
    from recognizer.training.networks import ResNet9

    recognizer, package, network = Recognizer(MTCNN(min_face=20)), reference(), ResNet9().build()
    as_installed = Recognizer()

    def ours(image: scenes.Image) -> int:
        return len(recognizer.recognize(image).faces)

    def by_default(image: scenes.Image) -> int:
        return len(as_installed.recognize(image).faces)

    def pasted(image: scenes.Image) -> int:
        faces = package.detect_faces(image)
        for face in faces:
            x, y, width, height = face["box"]
            crop = cv2.cvtColor(image[y : y + height, x : x + width], cv2.COLOR_RGB2GRAY)
            network.predict(cv2.resize(crop, (48, 48))[None, :, :, None] / 255.0, verbose=0)
        return len(faces)

    for across in (4, 6):
        image = scenes.crowd(across, 2048)
        ways: dict[str, Way] = {
            "Recognizer.recognize": partial(ours, image),
            "Recognizer.recognize, its defaults": partial(by_default, image),
            "mtcnn + predict per face": partial(pasted, image),
        }
        table.title(
            f"A group photo, 2048x2048, {across**2} faces, all from 20 pixels but the defaults"
        )
        table.head("way", "median", "ratio", "faces")
        compare(table, ways, max(3, rounds // 2))


def start(table: Table, rounds: int, _: Path | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder) / "photo.jpg"
        cv2.imwrite(str(photo), scenes.portrait()[..., ::-1])
        commands = {
            "manage.py recognize, one photo": ["manage.py", "recognize", str(photo), "--json"],
            "import tensorflow": ["-c", "import tensorflow"],
        }
        table.title("From the start of the process to its end")
        table.head("way", "median", "ratio", "photos")
        ways: dict[str, Way] = {name: _process(command) for name, command in commands.items()}
        compare(table, ways, max(3, rounds // 2))


def _process(arguments: list[str]) -> Way:
    def run() -> int:
        environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
        command = [sys.executable, *arguments]
        subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
        return 1

    return run


def memory(table: Table, _: int, __: Path | None) -> None:
    count = int(os.environ.get("PHOTOS", PHOTOS))
    answer = json.loads(_in_a_process("memory", str(count)))
    table.title(f"Memory of a recognising process, {count} photos of 12 megapixels")
    table.head("after photo", "resident", "of the end")
    for photo, resident in answer["resident"]:
        end = answer["resident"][-1][1]
        table.row(f"{photo}", f"{resident / 1e6:.0f} MB", f"{resident / end:.1%}")
    table.note(f"Peak: {answer['peak'] / 1e6:.0f} MB.")


def workers(table: Table, rounds: int, _: Path | None) -> None:
    table.title("Photos of 2 megapixels per second, by processes and their threads")
    table.head("processes", "threads each", "photos/s", "ratio")
    rates: dict[tuple[int, int], list[float]] = {(1, 1): [], (1, 2): [], (2, 1): [], (2, 2): []}
    for _round in range(max(3, rounds // 2)):
        for way, found in rates.items():
            found.append(_photos_per_second(*way))
    one = statistics.median(rates[1, 1])
    for (processes, threads), found in rates.items():
        rate = statistics.median(found)
        table.row(f"{processes}", f"{threads}", f"{rate:.2f}", f"{rate / one:.2f}x")


def _photos_per_second(processes: int, threads: int) -> float:
    command = [sys.executable, "-m", "scripts.bench.processes", "work", str(SECONDS), str(threads)]
    started = [
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    return sum(float(process.communicate()[0]) for process in started)


def _in_a_process(*arguments: str) -> str:
    command = [sys.executable, "-m", "scripts.bench.processes", *arguments]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def _resident() -> int:
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _peak() -> int:
    # Not getrusage: that begins with the peak of the process that started this one.
    status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    (line,) = [line for line in status if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


def _remember(count: int) -> None:
    """As a worker: decode a photo, recognise its faces, and say how much memory is held."""
    from recognizer.vision.images import Decoded, decode

    files = [cv2.imencode(".jpg", photo[..., ::-1])[1].tobytes() for photo in scenes.large()]
    # From here on counts what is held at most, not what it took to make the photos.
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    recognizer = Recognizer(MTCNN(threads=1), load_model(threads=1))
    seen = []
    rounds = max(1, count // len(files))
    for number in range(1, rounds + 1):
        for file in files:
            decoded = decode(file)
            assert isinstance(decoded, Decoded)
            recognizer.recognize(decoded.image)
            del decoded
        if number in {1, 2, 5} or number % max(1, rounds // 5) == 0:
            seen.append((number * len(files), _resident()))
    print(json.dumps({"resident": seen, "peak": _peak()}))


def _work(seconds: float, threads: int) -> None:
    """Photos per second of one process, once it has warmed up."""
    cv2.setNumThreads(threads)
    image = np.ascontiguousarray(scenes.tiled(3)[:1200, :1600])
    recognizer = Recognizer(MTCNN(threads=threads), load_model(threads=threads))
    recognizer.recognize(image)
    begun, done = time.perf_counter(), 0
    while time.perf_counter() - begun < seconds:
        recognizer.recognize(image)
        done += 1
    print(done / (time.perf_counter() - begun))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["memory", number]:
            _remember(int(number))
        case ["work", length, number]:
            _work(float(length), int(number))
