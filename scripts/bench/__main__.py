"""Measures WebEmotion on this machine, side by side with what it replaces. Run by `make bench`.

Ways that are compared take turns in one process, so that whatever else the machine does falls on
all of them alike. Printed are medians and how many times as long each way takes as ours.
"""

import argparse
import platform
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path

from recognizer.vision.classification import ModelError
from recognizer.vision.sessions import cores
from scripts.bench import datasets, detection, processes, reviewing
from scripts.bench.measuring import Table

RESULTS = Path(__file__).resolve().parents[2] / "docs" / "BENCHMARKS.md"

SECTIONS: Mapping[str, Callable[[Table, int, Path | None], None]] = {
    "detection": detection.speed,
    "agreement": detection.agreement,
    "defaults": detection.defaults,
    "scaling": detection.scaling,
    "group": processes.group_photo,
    "classification": datasets.classification,
    "start": processes.start,
    "memory": processes.memory,
    "workers": processes.workers,
    "packing": datasets.packing,
    "review": reviewing.review_queue,
}

HEAD = """# Benchmarks

Printed and written by `make bench ARGS=--write`. Ratios are what counts: the ways took turns on
the same photos in the same run. "Limit" is the networks' multiply-accumulates at the rate of
NumPy's float32 matrix product with as many threads. Memory is looked at for as many photos as
PHOTOS in the environment says, 200 if nothing. Sections may be of different days (`--only`).
"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="how often each way runs (7)")
    parser.add_argument(
        "--only", nargs="+", choices=SECTIONS, default=list(SECTIONS), help="(all of them)"
    )
    parser.add_argument(
        "--photos", type=Path, metavar="DIR", help="more photos to compare the faces found in"
    )
    parser.add_argument(
        "--write", action="store_true", help=f"put the sections into {RESULTS.name}"
    )
    options = parser.parse_args()
    table = Table(machine())
    if options.write:
        try:
            table.check(RESULTS, options.only, list(SECTIONS))
        except ValueError as error:
            parser.error(f"--write: {error}")
    try:
        for section in SECTIONS:
            if section in options.only:
                table.section(section)
                SECTIONS[section](table, options.rounds, options.photos)
    except ModelError as error:
        print(f"\nThere is no model to measure with: {error}")
        return 1
    if options.write:
        table.write(RESULTS, HEAD, list(SECTIONS))
    return 0


def machine() -> str:
    packages = ("onnxruntime", "opencv-python-headless", "numpy", "tensorflow", "mtcnn")
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    return f"{cores()} cores, {_processor()}, Python {platform.python_version()}; {versions}."


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")),
        platform.machine(),
    )


if __name__ == "__main__":
    sys.exit(main())
