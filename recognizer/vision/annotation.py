"""The drawing: a box and a label for every face, quiet where the model is sure, red where not."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from recognizer.vision.boxes import Floats
from recognizer.vision.emotions import percent
from recognizer.vision.pipeline import Recognition, RecognizedFace
from recognizer.vision.placement import Placement, place

Colour = tuple[int, int, int]
Path = NDArray[np.float64]
"""(N, 2) points x, y of a closed line, in pixels."""

_SHIFT: Final = 4  # Fractional bits of the points given to OpenCV: sixteenths of a pixel.
_WEIGHT: Final = 600  # Semibold: light text on a dark ground looks thinner than it is.
_SMALLEST_TEXT: Final = 8  # Pixels; below, nobody can read it.
_CONFLICT: Final = 0.25  # A label that hides more than this of others is left out.


@dataclass(frozen=True, slots=True)
class AnnotationStyle:
    """Colours are RGB, 0-255; lengths are shares of the side of a square of the photo's area.

    The two colours differ for every kind of colour vision; dashes and "?" say the same without
    colour. Text is `text_size` high, less on small faces, but not less than `min_text_size`.
    """

    certain: Colour = (11, 100, 128)
    uncertain: Colour = (189, 22, 40)
    text: Colour = (255, 255, 255)
    casing: Colour = (255, 255, 255)
    line: float = 0.0035
    text_size: float = 0.026
    min_text_size: float = 0.012


def annotate(
    image: NDArray[np.uint8],
    recognition: Recognition,
    style: AnnotationStyle = AnnotationStyle(),
) -> NDArray[np.uint8]:
    """Draw every face's box and label.

    Args:
        image: (H, W, 3) RGB uint8: the photo that was recognised, or a smaller copy of it.
        recognition: boxes are scaled when the image is a copy of another size.

    Returns:
        A new image of the same shape; without faces, an equal one.

    Raises:
        ValueError: the image's proportions are not the recognised photo's.
    """
    boxes = _boxes(image, recognition)
    canvas = image.copy()
    drawing = _Drawing(canvas, style)
    for face, box in zip(recognition.faces, boxes, strict=True):
        drawing.box(box, face.uncertain)
    drawing.labels(recognition.faces, boxes)
    return canvas


def label(face: RecognizedFace) -> tuple[str, str, str]:
    """A face's label, and shorter ones for where there is no room."""
    if face.uncertain:
        return f"? {face.emotion} or {face.runner_up}", f"? {face.emotion}", "?"
    return f"{face.emotion} {percent(face.confidence)}", face.emotion, ""


def _boxes(image: NDArray[np.uint8], recognition: Recognition) -> Floats:
    """(N, 4) boxes x1, y1, x2, y2 in pixels of this image."""
    height, width = image.shape[:2]
    scale = width / recognition.width
    if abs(recognition.height * scale - height) > max(1.0, scale):
        raise ValueError(
            f"The image of {width}x{height} pixels is no copy of the recognised photo of "
            f"{recognition.width}x{recognition.height}."
        )
    boxes = np.array([face.box for face in recognition.faces], np.float64).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    boxes *= scale
    return boxes


class _Drawing:
    """Draws on one picture, in place."""

    def __init__(self, canvas: NDArray[np.uint8], style: AnnotationStyle) -> None:
        self.canvas = canvas
        self.style = style
        self.height, self.width = canvas.shape[:2]
        # The geometric mean of the sides: a panorama's lines are not as thin as its height.
        self.side = sqrt(self.width * self.height)
        self.line = max(1.5, self.side * style.line)
        # OpenCV's own embedded typeface; not shared, as its state is not safe between threads.
        self.font = cv2.FontFace("sans")

    def box(self, box: Floats, uncertain: bool) -> None:
        """Outline one face on a light casing, which parts it from any background."""
        shorter = float((box[2:] - box[:2]).min())
        line = min(self.line, max(1.0, shorter / 16))
        path = _rounded(box, min(4 * line, shorter / 4))
        whole = np.vstack([path, path[:1]])
        self._stroke([whole], self.style.casing, line + max(1.0, line), opacity=0.6)
        if uncertain:
            dashes = _dashes(path, max(5.0, 5 * line), max(4.0, 4 * line))
            self._stroke(dashes, self.style.uncertain, line)
        else:
            self._stroke([whole], self.style.certain, line)

    def labels(self, faces: Sequence[RecognizedFace], boxes: Floats) -> None:
        """Place and draw all labels, all of them shorter or smaller where it is crowded."""
        written = [label(face) for face in faces]
        full_size = [self._text_size(box) for box in boxes]
        best: tuple[float, list[str], list[int], Placement] | None = None
        for penalty, length, scale in ((0, 0, 1), (0.03, 0, 0.8), (0.08, 1, 1), (0.12, 1, 0.8)):
            texts = [one[length] for one in written]
            sizes = [max(_SMALLEST_TEXT, round(size * scale)) for size in full_size]
            found = self._place(boxes, texts, sizes)
            cost = float(np.minimum(found.conflicts, 9).sum()) + penalty * len(faces)
            if best is None or cost < best[0]:
                best = cost, texts, sizes, found
        if best is None:
            return
        _, texts, sizes, found = best
        if (found.conflicts > _CONFLICT).any():
            # Rather a mere "?", or nothing, than a label over somebody's face.
            for index in np.flatnonzero(found.conflicts > _CONFLICT):
                texts[index] = written[index][2]
            found = self._place(boxes, texts, sizes)
        for face, text, size, spot, conflict in zip(
            faces, texts, sizes, found.places, found.conflicts, strict=True
        ):
            if text and conflict <= _CONFLICT:
                self._label(spot, text, size, face.uncertain)

    def _text_size(self, box: Floats) -> float:
        high = max(12.0, self.side * self.style.text_size)
        low = max(11.0, self.side * self.style.min_text_size)
        return max(low, min(high, 0.35 * float(box[2] - box[0])))

    def _place(self, boxes: Floats, texts: list[str], sizes: list[int]) -> Placement:
        pills = np.array([self._pill(text, size) for text, size in zip(texts, sizes, strict=True)])
        return place(boxes, pills.reshape(-1, 2), (self.width, self.height), self.line)

    def _pill(self, text: str, size: int) -> tuple[float, float]:
        """Width and height of a label."""
        if not text:
            return 0.0, 0.0
        return self._bounds(text, size)[2] + 1.1 * size, 1.5 * size

    def _bounds(self, text: str, size: int) -> Sequence[int]:
        """x, y, width, height of a text that begins at (0, 0)."""
        return cv2.getTextSize((0, 0), text, (0, 0), self.font, size, _WEIGHT)

    def _label(self, spot: Floats, text: str, size: int, uncertain: bool) -> None:
        colour = self.style.uncertain if uncertain else self.style.certain
        outline = _points(_rounded(spot, 0.35 * size))
        cv2.fillPoly(self.canvas, [outline], colour, cv2.LINE_AA, _SHIFT)
        x, _, width, _ = self._bounds(text, size)
        left = round((spot[0] + spot[2] - width) / 2 - x)
        # Half the height of a capital below the middle, so that all baselines agree.
        baseline = round((spot[1] + spot[3]) / 2 + 0.34 * size)
        cv2.putText(self.canvas, text, (left, baseline), self.style.text, self.font, size, _WEIGHT)

    def _stroke(
        self, paths: Iterable[Path], colour: Colour, width: float, opacity: float = 1.0
    ) -> None:
        pixels = max(1, round(width))
        lines = list(paths)
        every = np.concatenate(lines)
        left, top = np.clip(np.floor(every.min(axis=0)).astype(int) - pixels, 0, None)
        right, bottom = np.ceil(every.max(axis=0)).astype(int) + pixels + 1
        region = self.canvas[top:bottom, left:right]
        over = region if opacity == 1 else region.copy()
        fixed = [_points(path - [left, top]) for path in lines]
        cv2.polylines(over, fixed, False, colour, pixels, cv2.LINE_AA, _SHIFT)
        if opacity < 1:
            cv2.addWeighted(over, opacity, region, 1 - opacity, 0, dst=region)


def _rounded(box: Floats, radius: float) -> Path:
    """The outline of a rectangle (x1, y1, x2, y2) with round corners, clockwise."""
    left, top, right, bottom = box
    radius = max(0.0, min(radius, (right - left) / 2, (bottom - top) / 2))
    centres = np.array(
        [
            (right - radius, top + radius),
            (right - radius, bottom - radius),
            (left + radius, bottom - radius),
            (left + radius, top + radius),
        ]
    )
    angles = np.linspace(-np.pi / 2, 0, 9) + np.arange(4)[:, None] * np.pi / 2
    arcs = centres[:, None] + radius * np.stack([np.cos(angles), np.sin(angles)], axis=2)
    return arcs.reshape(-1, 2)


def _dashes(path: Path, dash: float, gap: float) -> Iterator[Path]:
    """Cut a closed line into dashes; their number is whole, so that they meet where they began."""
    closed = np.vstack([path, path[:1]])
    steps = np.hypot(*np.diff(closed, axis=0).T)
    distance = np.concatenate([[0.0], np.cumsum(steps)])
    count = max(4, round(distance[-1] / (dash + gap)))
    period = distance[-1] / count
    length = period * dash / (dash + gap)
    for start in np.arange(count) * period:
        between = distance[(distance > start) & (distance < start + length)]
        stops = np.concatenate([[start], between, [start + length]])
        yield np.stack([np.interp(stops, distance, closed[:, axis]) for axis in (0, 1)], axis=1)


def _points(path: Path) -> NDArray[np.int32]:
    """Fixed-point coordinates for OpenCV, whose pixel 0 has its centre at 0."""
    fixed: NDArray[np.int32] = np.rint((path - 0.5) * (1 << _SHIFT)).astype(np.int32)
    return fixed
