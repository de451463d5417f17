"""What a detector sees in each picture of a data set: slow, so in parallel and never twice."""

import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import cache, partial
from math import hypot
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from recognizer.training.datasets.borders import SEARCHED_SIDE, bordered
from recognizer.training.datasets.faces import DatasetError
from recognizer.training.datasets.journals import Journal
from recognizer.training.datasets.pictures import read_image
from recognizer.training.datasets.progress import bar
from recognizer.vision.detection import MTCNN

# A panorama is searched smaller rather than at any length.
LONGEST: Final = 1536
SMALLEST: Final = 12 / SEARCHED_SIDE
"""The smallest face that MTCNN can look for, as a share of the picture's short side."""
# Finer than MTCNN's own 0.709: a face that fills its picture is met at few levels only. Of 600
# FER-2013 pictures without an NF vote this finds 89%, 0.709 finds 86%.
_PYRAMID: Final = 0.85
_CHUNK: Final = 64

Source = NDArray[np.uint8] | Path
"""A picture's grey levels (H, W), or its file."""


class Sighting(NamedTuple):
    """One face found in a picture.

    Attributes:
        score: the detector's own, 0-1.
        side: the box's shorter side, as a share of the picture's shorter side.
        off_centre: how far the box's centre lies from the picture's, as a share of the
            picture's shorter side.
    """

    score: float
    side: float
    off_centre: float


Finding = tuple[Sighting, ...] | str
"""The faces in a picture, or a sentence that says why it cannot be read."""


def find_faces(image: NDArray[np.uint8], smallest: float, score: float) -> tuple[Sighting, ...]:
    """The faces in a picture that may fill it to its border and beyond.

    Args:
        image: (H, W) grey or (H, W, 3) RGB, 0-255.
        smallest: side of the smallest face looked for, as a share of the picture's shorter
            side; SMALLEST-1. A smaller one may still be found.
        score: the least detection score wanted, 0-1; MTCNN's own is 0.8.
    """
    short, long = sorted(image.shape[:2])
    scale = min(SEARCHED_SIDE / short, LONGEST / long)
    photo = bordered(image, scale)
    middle = photo.shape[1] / 2, photo.shape[0] / 2
    side = short * scale
    found = []
    for face in _detector(smallest, score).detect(photo):
        x, y, width, height = face.box
        away = hypot(x + width / 2 - middle[0], y + height / 2 - middle[1])
        shares = (face.score, min(width, height) / side, away / side)
        found.append(Sighting(*(round(share, 4) for share in shares)))
    return tuple(found)


@cache
def _detector(smallest: float, score: float) -> MTCNN:
    min_face = max(12, round(smallest * SEARCHED_SIDE))
    # One thread each: the pictures are small, and there is a process for every core.
    return MTCNN(min_face, _PYRAMID, (0.6, 0.7, score), threads=1)


class Findings:
    """The findings so far, by the pictures' names; a killed run goes on with them."""

    def __init__(self, path: Path, about: Mapping[str, Any]) -> None:
        """Open or begin them; the arguments and the errors are those of `Journal`."""
        self._journal = Journal(path, about)
        try:
            self.found = {name: _finding(one) for name, one in self._journal.entries.items()}
        except TypeError as error:
            raise DatasetError(f"{path} is damaged; remove it to begin anew.") from error

    def add(self, findings: Mapping[str, Finding]) -> None:
        self._journal.add(findings)
        self.found.update(findings)


def _finding(entry: Any) -> Finding:
    return entry if isinstance(entry, str) else tuple(Sighting(*values) for values in entry)


def inspect(
    pictures: Mapping[str, Source],
    findings: Findings,
    look: Callable[[NDArray[np.uint8]], tuple[Sighting, ...]],
    workers: int,
) -> None:
    """Look at every picture that the findings do not tell of yet, with a bar on stderr.

    Args:
        pictures: by their names.
        findings: those so far; more are added.
        look: picklable; see `find_faces`.
        workers: processes; 1 works in this one.

    Raises:
        DatasetError: a process was killed.
    """
    names = [name for name in pictures if name not in findings.found]
    chunks = [names[start : start + _CHUNK] for start in range(0, len(names), _CHUNK)]
    sources = [[pictures[name] for name in chunk] for chunk in chunks]

    def looked_at() -> Iterator[str]:
        each = _each(look, sources, min(workers, len(chunks)))
        for chunk, found in zip(chunks, each, strict=True):
            findings.add(dict(zip(chunk, found, strict=True)))
            yield from chunk

    for _ in bar(looked_at(), "looking for faces", "images", len(names)):
        pass


def _each(
    look: Callable[[NDArray[np.uint8]], tuple[Sighting, ...]],
    sources: Sequence[Sequence[Source]],
    workers: int,
) -> Iterator[list[Finding]]:
    work = partial(_look_at, look)
    if workers <= 1:
        yield from map(work, sources)
        return
    # Spawned: ONNX Runtime's threads and OpenCV's do not survive a fork.
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _begin)
    try:
        yield from pool.map(work, sources)
    except BrokenProcessPool as error:
        raise DatasetError(
            "A process that looked at pictures was killed, perhaps for want of memory. Run the "
            "same command again with fewer --workers: it goes on where it stopped."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _begin() -> None:
    cv2.setNumThreads(1)
    # Ctrl-C is for the process that waits: it lets the others finish what they look at.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _look_at(
    look: Callable[[NDArray[np.uint8]], tuple[Sighting, ...]], sources: Sequence[Source]
) -> list[Finding]:
    findings: list[Finding] = []
    for source in sources:
        image = read_image(source) if isinstance(source, Path) else source
        findings.append(image if isinstance(image, str) else look(image))
    return findings
