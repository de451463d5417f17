"""A sheet of small pictures with what is to be known of each."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from recognizer.training.datasets.inspection import Source
from recognizer.training.datasets.pictures import read_image
from recognizer.vision.images import encode_jpeg

_TILE: Final = 96
_CAPTION: Final = 30
_GAP: Final = 8
_HEADING: Final = 40
_COLUMNS: Final = 12
_MOST: Final = 120
_PAPER: Final = (246, 246, 246)
_INK: Final = (40, 40, 40)
_FAINT: Final = (110, 110, 110)


class Tile(NamedTuple):
    """One picture, its class and its name."""

    source: Source
    label: str
    name: str


def write_sheet(tiles: Sequence[Tile], heading: str, path: Path) -> None:
    """Write a JPEG of the tiles; of more than 120, as many as that, evenly among them."""
    shown = [tiles[index] for index in _evenly(len(tiles))]
    rows = -(-len(shown) // _COLUMNS)
    width = _GAP + _COLUMNS * (_TILE + _GAP)
    height = _HEADING + rows * (_TILE + _CAPTION + _GAP)
    sheet = np.full((height, width, 3), _PAPER, np.uint8)
    count = f"{len(tiles)} pictures"
    if len(shown) < len(tiles):
        count = f"{len(shown)} of {count}"
    font = cv2.FontFace("sans")
    cv2.putText(sheet, f"{heading} ({count})", (_GAP, 26), _INK, font, 18, 600)
    for number, tile in enumerate(shown):
        row, column = divmod(number, _COLUMNS)
        x, y = _GAP + column * (_TILE + _GAP), _HEADING + row * (_TILE + _CAPTION + _GAP)
        sheet[y : y + _TILE, x : x + _TILE] = _thumbnail(tile.source)
        # Names end in what tells them apart.
        for text, baseline, ink in ((tile.label, 12, _INK), (tile.name[-16:], 25, _FAINT)):
            cell = sheet[y + _TILE : y + _TILE + _CAPTION, x : x + _TILE]
            written = np.ascontiguousarray(cell)
            cv2.putText(written, text, (0, baseline), ink, font, 11, 400)
            cell[:] = written
    path.write_bytes(encode_jpeg(sheet))


def _evenly(count: int) -> list[int]:
    return np.linspace(0, count - 1, min(count, _MOST)).round().astype(int).tolist()  # type: ignore[no-any-return]


def _thumbnail(source: Source) -> NDArray[np.uint8]:
    """(96, 96, 3), the whole picture in the middle."""
    image = read_image(source) if isinstance(source, Path) else source
    canvas = np.full((_TILE, _TILE, 3), 255, np.uint8)
    if isinstance(image, str):
        return canvas
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    scale = _TILE / max(image.shape[:2])
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    top, left = (_TILE - height) // 2, (_TILE - width) // 2
    canvas[top : top + height, left : left + width] = cv2.resize(
        image, (width, height), interpolation=how
    )
    return canvas
