"""Where the faces are: MTCNN in ONNX Runtime, behind one small interface."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from math import floor
from typing import Final, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from recognizer.vision import boxes as b
from recognizer.vision import mtcnn_networks
from recognizer.vision.boxes import Box, Floats, Point
from recognizer.vision.sessions import LazySession

Image = NDArray[np.uint8]
Level = NDArray[np.uint8] | NDArray[np.float32]
"""(h, w, 3) grey levels 0-255."""

LANDMARKS: Final = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
"""In O-Net's order; left and right as seen in the picture, so left_eye is the smaller x."""

_CELL = 12  # P-Net's window, in pixels of a pyramid level.
_STRIDE = 2
_TILE = 512  # P-Net's outputs per tile side; about 100 MB of activations.
_BATCH = 256  # R- and O-Net's patches per call.
_EXACT_PIXELS = 8_000_000  # Larger photos are not shrunk as floats: that takes 12 bytes a pixel.


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
                may still be found in a larger proposal). None: 20, but 2.5% of the short side
                in photos whose short side is above 800 pixels.
            scale_factor: size of each level of the pyramid, relative to the one before.
            thresholds: face scores that P-, R- and O-Net ask for.
            threads: ONNX Runtime's threads per network; 0 takes one per physical core.
        """
        if min_face is not None and min_face < _CELL:
            raise ValueError(f"min_face must be at least {_CELL} pixels, not {min_face}.")
        if not 0.1 <= scale_factor <= 0.95:
            raise ValueError(f"scale_factor must lie in 0.1-0.95, not {scale_factor}.")
        if len(thresholds) != 3 or not all(0 <= value < 1 for value in thresholds):
            raise ValueError(f"Expected three thresholds in 0-1, not {thresholds}.")
        self.min_face = min_face
        self.scale_factor = scale_factor
        self.thresholds = thresholds
        self._pnet = LazySession(partial(mtcnn_networks.build, "pnet"), threads)
        self._rnet = LazySession(partial(mtcnn_networks.build, "rnet"), threads)
        self._onet = LazySession(partial(mtcnn_networks.build, "onet"), threads)

    def detect(self, image: Image) -> list[Detection]:
        """Find faces in an upright (H, W, 3) RGB uint8 photo, best score first."""
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ValueError(f"Expected (H, W, 3) uint8, got {image.shape} {image.dtype}.")
        proposals = self._propose(image)
        refined = self._refine(image, proposals)
        return self._decide(image, refined)

    def scales(self, width: int, height: int) -> list[float]:
        """The pyramid: from min_face at 12 pixels down to where the photo is that small."""
        short = min(width, height)
        min_face = self.min_face or (20 if short <= 800 else 0.025 * short)
        scales = []
        scale = _CELL / min_face
        while floor(short * scale) >= _CELL:
            scales.append(scale)
            scale *= self.scale_factor
        return scales

    def _propose(self, image: Image) -> Floats:
        """P-Net over the pyramid: (N, 4) square boxes."""
        found, scores = [np.empty((0, 4))], [np.empty(0)]
        height, width = image.shape[:2]
        for scale, level in _pyramid(image, self.scales(width, height)):
            boxes, face = self._propose_level(level)
            # As in the package: by the nominal scale, though whole pixels were cut off.
            boxes /= scale
            kept = b.suppress(boxes, face, 0.5)
            found.append(boxes[kept])
            scores.append(face[kept])
        boxes, face = np.concatenate(found), np.concatenate(scores)
        return b.square(boxes[b.suppress(boxes, face, 0.7)])

    def _propose_level(self, level: Level) -> tuple[Floats, Floats]:
        """Boxes in pixels of the level, (N, 4), and their scores, (N,)."""
        found, scores = [], []
        for left, top, tile in _tiles(level):
            face, offsets = self._pnet.run(["face", "offsets"], {"pixels": _normalise(tile[None])})
            row, column = np.nonzero(face[0] > self.thresholds[0])
            corner = np.stack([column, row], axis=1) * _STRIDE + [left, top]
            # Counted from 1 and inclusively, as in the original Matlab: so a side is 11.
            cells = np.concatenate([corner + 1, corner + _CELL], axis=1)
            found.append(cells + offsets[0, row, column] * (_CELL - 1))
            scores.append(face[0, row, column].astype(np.float64))
        return np.concatenate(found), np.concatenate(scores)

    def _refine(self, image: Image, boxes: Floats) -> Floats:
        """R-Net: fewer, better square boxes."""
        face, offsets = self._judge(self._rnet, ["face", "offsets"], image, boxes, 24)
        sure = face > self.thresholds[1]
        boxes = b.shift(boxes[sure], offsets[sure])
        return b.square(boxes[b.suppress(boxes, face[sure], 0.7)])

    def _decide(self, image: Image, boxes: Floats) -> list[Detection]:
        """O-Net: the faces."""
        outputs = ["face", "offsets", "landmarks"]
        face, offsets, shares = self._judge(self._onet, outputs, image, boxes, 48)
        sure = face > self.thresholds[2]
        boxes, face = boxes[sure], face[sure]
        points = _place(boxes, shares[sure])
        boxes = b.shift(boxes, offsets[sure])
        height, width = image.shape[:2]
        faces = []
        for index in b.suppress(boxes, face, 0.7, of="smaller"):
            box = b.whole_pixels(boxes[index], width, height)
            if box is not None:
                landmarks = {
                    name: (float(x), float(y))
                    for name, (x, y) in zip(LANDMARKS, points[index], strict=True)
                }
                faces.append(Detection(box, landmarks, float(face[index])))
        return faces

    def _judge(
        self, network: LazySession, outputs: list[str], image: Image, boxes: Floats, size: int
    ) -> list[NDArray[np.float32]]:
        """Run R- or O-Net on the boxes, a bounded number at a time."""
        widths = {"face": (0,), "offsets": (0, 4), "landmarks": (0, 10)}
        batches = [[np.empty(widths[name], np.float32) for name in outputs]]
        for start in range(0, len(boxes), _BATCH):
            patches = _patches(image, boxes[start : start + _BATCH], size)
            batches.append(network.run(outputs, {"pixels": patches}))
        return [np.concatenate(parts) for parts in zip(*batches, strict=True)]


def _normalise(pixels: Level) -> NDArray[np.float32]:
    normalised: NDArray[np.float32] = (pixels.astype(np.float32) - 127.5) / np.float32(128)
    return normalised


def _pyramid(image: Image, scales: list[float]) -> Iterator[tuple[float, Level]]:
    """The photo at each scale, area-averaged, largest first."""
    height, width = image.shape[:2]
    # When even the largest level is less than half the photo, shrink that once for all levels.
    step = floor(0.5 / scales[0]) if scales else 1
    if step > 1:
        base = width // step, height // step
        image = cv2.resize(image, base, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    exact = image.shape[0] * image.shape[1] <= _EXACT_PIXELS
    # Rounding the levels to whole grey levels moves P-Net's scores by up to 0.06.
    source = image.astype(np.float32) if exact else image
    for scale in scales:
        size = floor(width * scale), floor(height * scale)
        level: Level = cv2.resize(source, size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
        yield scale, level


def _tiles(level: Level) -> Iterator[tuple[int, int, Level]]:
    """Cut a level so that P-Net, run tile by tile, gives exactly the map of the whole level.

    Yields the tile's left and top in the level, and its pixels. Tiles start on even pixels and
    overlap by what P-Net's window has over its stride.
    """
    height, width = level.shape[:2]
    reach = _TILE * _STRIDE
    for top in range(0, max(height - _CELL + _STRIDE, 1), reach):
        for left in range(0, max(width - _CELL + _STRIDE, 1), reach):
            window = reach + _CELL - _STRIDE
            yield left, top, level[top : top + window, left : left + window]


def _patches(image: Image, boxes: Floats, size: int) -> NDArray[np.float32]:
    """Cut (N, size, size, 3) normalised patches, sampled as tf.image.crop_and_resize does.

    Bilinear between the corners; what lies outside the photo is 0, a middle grey. The package
    passes corners as shares of the whole side, which TensorFlow reads as shares of the last
    pixel's place: hence (side - 1) / side.
    """
    height, width = image.shape[:2]
    steps = np.linspace(0, 1, size)
    x = (boxes[:, :1] + (boxes[:, 2:3] - boxes[:, :1]) * steps) * ((width - 1) / width)
    y = (boxes[:, 1:2] + (boxes[:, 3:4] - boxes[:, 1:2]) * steps) * ((height - 1) / height)
    left, top = np.floor(x).astype(np.intp), np.floor(y).astype(np.intp)
    share_x = (x - left)[:, None, :, None].astype(np.float32)
    share_y = (y - top)[:, :, None, None].astype(np.float32)

    def pixels(rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.float32]:
        rows, columns = rows.clip(0, height - 1), columns.clip(0, width - 1)
        return _normalise(image[rows[:, :, None], columns[:, None, :]])

    upper = pixels(top, left) * (1 - share_x) + pixels(top, left + 1) * share_x
    lower = pixels(top + 1, left) * (1 - share_x) + pixels(top + 1, left + 1) * share_x
    patches: NDArray[np.float32] = upper * (1 - share_y) + lower * share_y
    inside_x, inside_y = (x >= 0) & (x <= width - 1), (y >= 0) & (y <= height - 1)
    patches *= inside_y[:, :, None, None] & inside_x[:, None, :, None]
    return patches


def _place(boxes: Floats, shares: NDArray[np.floating]) -> Floats:
    """(N, 5, 2) landmarks in pixels from O-Net's (N, 10): five x, then five y, as shares."""
    sides = boxes[:, 2:4] - boxes[:, :2] + 1
    points = np.stack([shares[:, :5], shares[:, 5:]], axis=2)
    placed: Floats = points * sides[:, None, :] + boxes[:, None, :2] - 1
    return placed
