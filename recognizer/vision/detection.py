"""Where the faces are: MTCNN in ONNX Runtime, behind one small interface."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from math import floor, inf, log
from operator import call
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from recognizer.vision import boxes as b
from recognizer.vision import mtcnn_networks
from recognizer.vision.boxes import Box, Floats, Point
from recognizer.vision.pyramid import Level, exact, levels, patches, planes, tiles
from recognizer.vision.sessions import LazySession, cores

Image = NDArray[np.uint8]

LANDMARKS: Final = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
"""In O-Net's order; left and right as seen in the picture, so left_eye is the smaller x."""

_CELL = 12  # P-Net's window, in pixels of a pyramid level.
_STRIDE = 2
# What P-Net makes of a tile fits into a core's cache; of a whole level it does not, and then
# it waits for the memory half of the time.
_TILE = 256
_BATCH = 32 * 24 * 24  # pixels of R- and O-Net's patches per call, for the same reason
_SMALLEST_FACE = 20.0  # pixels, the package's default
_SMALLEST_SHARE = 0.025  # of the photo's short side
_HARDLY_LARGER = 1.5  # times the smallest face looked for


@dataclass(frozen=True, slots=True)
class Detection:
    """One face found.

    Attributes:
        box: x, y, width, height in whole pixels of the photo, clipped to it.
        landmarks: by the names in `LANDMARKS`, in pixels of the photo; they may lie outside
            it where a face is cut off.
        score: the detector's own, 0-1.
    """

    box: Box
    landmarks: Mapping[str, Point]
    score: float


def largest(faces: Sequence[Detection]) -> Detection:
    """The face with the largest box, of one at least."""
    return max(faces, key=lambda face: face.box[2] * face.box[3])


class Detector(Protocol):
    """Anything that finds faces; called from several threads at once."""

    def detect(self, image: Image) -> list[Detection]:
        """Find faces in an upright (H, W, 3) RGB uint8 photo; in any order."""
        ...


class MTCNN:
    """The three-stage cascade of Zhang et al. 2016, with the answers of `mtcnn` 1.0.

    P-Net proposes boxes on a pyramid of shrunken copies, R-Net rejects most of them, O-Net
    decides and places the landmarks. Where the package is plainly wrong, this is not: its
    pyramid goes on below P-Net's 12 pixels when min_face is above 20, and it takes the error
    that follows for "no faces"; its boxes end one pixel before the right and lower border.
    """

    def __init__(
        self,
        min_face: int | None = None,
        scale_factor: float = 0.709,
        thresholds: tuple[float, float, float] = (0.6, 0.7, 0.8),
        threads: int = 0,
    ) -> None:
        """Set up; nothing is loaded before the first photo.

        Args:
            min_face: side of the smallest face looked for, in pixels, 12 or more (a smaller one
                may still be found in a larger proposal). None lets the photo decide: 2.5% of
                its short side, but at least 20 pixels. If some faces found are hardly larger
                than that, or none is found, it looks for faces of half that side too, and goes
                on so while it finds such small ones.
            scale_factor: size of each level of the pyramid, relative to the one before.
            thresholds: face scores that P-, R- and O-Net ask for.
            threads: how many cores to use; 0 takes all that the process may use.
        """
        if min_face is not None and min_face < _CELL:
            raise ValueError(f"min_face must be at least {_CELL} pixels, not {min_face}.")
        if not 0.1 <= scale_factor <= 0.95:
            raise ValueError(f"scale_factor must lie in 0.1-0.95, not {scale_factor}.")
        if len(thresholds) != 3 or not all(0 <= value < 1 for value in thresholds):
            raise ValueError(f"Expected three thresholds in 0-1, not {thresholds}.")
        if threads < 0:
            raise ValueError(f"threads must be 0 (automatic) or more, not {threads}.")
        self.min_face = min_face
        self.scale_factor = scale_factor
        self.thresholds = thresholds
        self.threads = threads or cores()
        self.networks = {
            name: LazySession(partial(mtcnn_networks.build, name), threads=1, keep_memory=True)
            for name in mtcnn_networks.NETWORKS
        }

    def detect(self, image: Image) -> list[Detection]:
        """Find faces in an upright (H, W, 3) RGB uint8 photo, best score first."""
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ValueError(f"Expected (H, W, 3) uint8, got {image.shape} {image.dtype}.")
        image = np.ascontiguousarray(image)  # OpenCV would copy it at every call.
        scales = self.scales(image.shape[1], image.shape[0])
        with _side_by_side(self.threads) as each:
            search = _Search(image, self.networks, self.thresholds, each)
            search.propose(scales)
            faces = search.faces()
            once = not faces
            while once or self._some_are_small(faces, scales):
                once = False
                finer = self._finer(scales)
                if not finer:
                    break
                search.propose(finer)
                faces = search.faces()
                scales = finer + scales
        return faces

    def scales(self, width: int, height: int) -> list[float]:
        """The pyramid: from the smallest face at 12 pixels to where the photo is that small."""
        short = min(width, height)
        scales = []
        scale = _CELL / (self.min_face or max(_SMALLEST_FACE, _SMALLEST_SHARE * short))
        while floor(short * scale) >= _CELL:
            scales.append(scale)
            scale *= self.scale_factor
        return scales

    def _finer(self, scales: list[float]) -> list[float]:
        """The levels above these that show faces of half the side; none if that is too small."""
        if self.min_face or not scales:
            return []
        octave = max(1, round(log(0.5, self.scale_factor)))
        above = (scales[0] / self.scale_factor**step for step in range(octave, 0, -1))
        return [scale for scale in above if _CELL / scale >= _SMALLEST_FACE]

    def _some_are_small(self, faces: list[Detection], scales: list[float]) -> bool:
        """Are some faces hardly larger than the smallest that could be found?"""
        return any(max(face.box[2:]) * scales[0] < _HARDLY_LARGER * _CELL for face in faces)


Each = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]
"""As `map`: does the same to each of many things, and gives the answers in order."""


@contextmanager
def _side_by_side(threads: int) -> Iterator[Each]:
    """A `map` that does so many at once, and has all of them begun when it returns.

    ONNX Runtime lets go of Python's lock, so threads do run at once; and whole tiles share
    better among cores than a layer's rows do. The threads end with the photo: none is left to
    be lost in a fork. With one thread it is `map` itself, which does each as it is asked for.
    """
    if threads == 1:
        yield map
        return
    with ThreadPoolExecutor(threads) as pool:
        yield pool.map


_Proposals = tuple[Floats, Floats]
"""(N, 4) boxes and their (N,) scores."""


class _Search:
    """One photo's way through the cascade; proposals may be added to."""

    def __init__(
        self,
        image: Image,
        networks: Mapping[mtcnn_networks.Network, LazySession],
        thresholds: Sequence[float],
        each: Each,
    ) -> None:
        self._photo = exact(image)
        self._networks = networks
        self._limits = [_logit(threshold) for threshold in thresholds]
        self._each = each
        self._boxes = [np.empty((0, 4))]
        self._scores = [np.empty(0)]

    def propose(self, scales: list[float]) -> None:
        """P-Net over levels of the pyramid."""
        # Levels are made side by side too: P-Net has nothing to do before there are some.
        made = self._each(call, levels(self._photo, scales))
        found: Iterable[Iterable[_Proposals]] = (self._propose(level) for level in made)
        if self._each is not map:
            found = list(found)  # Begins with all tiles of all levels.
        for scale, proposals in zip(scales, found, strict=True):
            boxes, scores = _joined(proposals)
            # As in the package: by the nominal scale, though whole pixels were cut off.
            boxes /= scale
            kept = b.suppress(boxes, scores, 0.5)
            self._boxes.append(boxes[kept])
            self._scores.append(scores[kept])

    def propose_level(self, level: Level, window: int = _TILE) -> _Proposals:
        """Boxes in pixels of the level, (N, 4), and their scores, (N,)."""
        return _joined(self._propose(level, window))

    def _propose(self, level: Level, window: int = _TILE) -> Iterator[_Proposals]:
        return self._each(self._propose_tile, tiles(level, window, _CELL, _STRIDE))

    def _propose_tile(self, tile: tuple[int, int, Level]) -> _Proposals:
        left, top, pixels = tile
        ((answer,),) = self._networks["pnet"].run(["map"], {"pixels": planes(pixels)})
        row, column = np.nonzero(answer[4] > self._limits[0])
        corner = np.stack([column, row], axis=1) * _STRIDE + [left, top]
        # Counted from 1 and inclusively, as in the original Matlab: so a side is 11.
        cells = np.concatenate([corner + 1, corner + _CELL], axis=1)
        boxes = cells + answer[:4, row, column].T * (_CELL - 1)
        return boxes, answer[4, row, column].astype(np.float64)

    def faces(self) -> list[Detection]:
        """What R- and O-Net make of all that was proposed so far, best score first."""
        boxes, scores = np.concatenate(self._boxes), np.concatenate(self._scores)
        return self._decide(self._refine(b.square(boxes[b.suppress(boxes, scores, 0.7)])))

    def _refine(self, boxes: Floats) -> Floats:
        """R-Net: fewer, better square boxes."""
        score, offsets = self._judge("rnet", ["face", "offsets"], boxes, 24)
        sure = score[:, 0] > self._limits[1]
        boxes = b.shift(boxes[sure], offsets[sure])
        return b.square(boxes[b.suppress(boxes, score[sure, 0], 0.7)])

    def _decide(self, boxes: Floats) -> list[Detection]:
        """O-Net: the faces."""
        score, offsets, shares = self._judge("onet", ["face", "offsets", "landmarks"], boxes, 48)
        sure = score[:, 0] > self._limits[2]
        boxes, score = boxes[sure], score[sure, 0]
        points = _place(boxes, shares[sure])
        boxes = b.shift(boxes, offsets[sure])
        height, width = self._photo.shape[:2]
        faces = []
        for index in b.suppress(boxes, score, 0.7, of="smaller"):
            box = b.whole_pixels(boxes[index], width, height)
            if box is not None:
                landmarks = {
                    name: (float(x), float(y))
                    for name, (x, y) in zip(LANDMARKS, points[index], strict=True)
                }
                faces.append(Detection(box, landmarks, _probability(float(score[index]))))
        return faces

    def _judge(
        self, network: mtcnn_networks.Network, outputs: list[str], boxes: Floats, size: int
    ) -> list[NDArray[np.float32]]:
        """Run R- or O-Net on the boxes, a bounded number at a time."""
        batch = max(1, _BATCH // size**2)
        # At least one batch, an empty one, for the shapes of the answers.
        starts = range(0, max(1, len(boxes)), batch)

        def judge(start: int) -> list[NDArray[np.float32]]:
            cut = patches(self._photo, boxes[start : start + batch], size)
            return self._networks[network].run(outputs, {"pixels": cut})

        return [np.concatenate(parts) for parts in zip(*self._each(judge, starts), strict=True)]


def _joined(found: Iterable[_Proposals]) -> _Proposals:
    boxes, scores = zip(*found, strict=True)
    return np.concatenate(boxes), np.concatenate(scores)


def _logit(probability: float) -> float:
    return log(probability / (1 - probability)) if probability else -inf


def _probability(logit: float) -> float:
    return float(1 / (1 + np.exp(-np.float64(logit))))


def _place(boxes: Floats, shares: NDArray[np.floating]) -> Floats:
    """(N, 5, 2) landmarks in pixels from O-Net's (N, 10): five x, then five y, as shares."""
    sides = boxes[:, 2:4] - boxes[:, :2] + 1
    points = np.stack([shares[:, :5], shares[:, 5:]], axis=2)
    placed: Floats = points * sides[:, None, :] + boxes[:, None, :2] - 1
    return placed
