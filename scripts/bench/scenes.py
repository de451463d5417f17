"""Photos to measure with: people's portraits, alone and composed into crowds."""

from collections.abc import Iterator, Sequence
from math import ceil
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage import data

from recognizer.vision.images import Decoded, decode

Image = NDArray[np.uint8]


def portrait() -> Image:
    """NASA's portrait of Eileen Collins, 512x512."""
    image: Image = data.astronaut()  # type: ignore[no-untyped-call]
    return image


def tiled(across: int, image: Image | None = None) -> Image:
    """The portrait, `across` times in each direction."""
    return np.ascontiguousarray(
        np.tile(portrait() if image is None else image, (across, across, 1))
    )


def crowd(across: int, side: int) -> Image:
    """The portrait, `across` times in each direction, on a square photo."""
    part = ceil(side / across)
    shrunk = cv2.resize(portrait(), (part, part), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(np.tile(shrunk, (across, across, 1))[:side, :side], np.uint8)


def twelve_megapixels() -> Image:
    """4000x3000 pixels, 48 faces of about 90 pixels."""
    return np.ascontiguousarray(np.tile(portrait(), (6, 8, 1))[:3000, :4000])


def large() -> Iterator[Image]:
    """Photos of 12 megapixels: a crowd of 48, one face, four on an upright photo, and none."""
    yield twelve_megapixels()
    alone = np.full((3000, 4000, 3), 90, np.uint8)
    alone[:, 500:3500] = cv2.resize(portrait(), (3000, 3000))
    yield alone
    upright = np.full((4000, 3000, 3), 90, np.uint8)
    upright[600:3400, 100:2900] = np.tile(cv2.resize(portrait(), (1400, 1400)), (2, 2, 1))
    yield upright
    wall = np.linspace(40, 220, 4000).astype(np.uint8)
    yield np.ascontiguousarray(np.broadcast_to(wall[None, :, None], (3000, 4000, 3)))


def photos(folder: Path | None) -> list[Image]:
    """The portrait, and whatever photos are in the folder."""
    found = [portrait()]
    for file in sorted(folder.rglob("*")) if folder else []:
        if file.suffix.lower() in (".jpg", ".jpeg", ".png"):
            decoded = decode(file.read_bytes())
            if isinstance(decoded, Decoded):
                found.append(decoded.image)
    return found


def scenes(originals: Sequence[Image], seed: int = 0) -> Iterator[Image]:
    """Endless variations: a photo scaled, mirrored and lit anew, or several in one picture."""
    rng = np.random.default_rng(seed)

    def any_of_them(longest: int) -> Image:
        return _varied(originals[int(rng.integers(len(originals)))], longest, rng)

    while True:
        if rng.random() < 0.5:
            yield any_of_them(int(rng.integers(300, 900)))
            continue
        across, side = int(rng.integers(2, 5)), int(rng.integers(150, 400))
        parts = [_square(any_of_them(side), side) for _ in range(across**2)]
        rows = [np.hstack(parts[start : start + across]) for start in range(0, len(parts), across)]
        yield np.ascontiguousarray(np.vstack(rows))


def _varied(image: Image, longest: int, rng: np.random.Generator) -> Image:
    share = longest / max(image.shape[:2])
    size = max(1, round(image.shape[1] * share)), max(1, round(image.shape[0] * share))
    shrinks = cv2.INTER_AREA if share < 1 else cv2.INTER_LINEAR
    scaled = cv2.resize(image, size, interpolation=shrinks)
    mirrored = scaled[:, :: rng.choice((-1, 1))]
    lit = 255 * (mirrored / 255) ** rng.uniform(0.6, 1.6) * rng.uniform(0.7, 1.1)
    return np.ascontiguousarray(np.clip(lit, 0, 255).astype(np.uint8))


def _square(image: Image, side: int) -> Image:
    filled = np.full((side, side, 3), 90, np.uint8)
    part = image[:side, :side]
    filled[: part.shape[0], : part.shape[1]] = part
    return filled
