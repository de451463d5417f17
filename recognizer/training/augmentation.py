"""Make a data set's tidy faces look like what a detector cuts out of real photos."""

from dataclasses import dataclass, replace
from typing import Annotated

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import AfterValidator, Field, PositiveInt

from recognizer.training.settings import Settings, Share, ShareBelow1

Zoom = Annotated[float, Field(ge=0.1, le=10)]


def _rising(scale: tuple[float, float]) -> tuple[float, float]:
    if scale[0] > scale[1]:
        raise ValueError("input should go from the smallest to the largest")
    return scale


@dataclass(frozen=True, slots=True)
class Augmentation(Settings):
    """How far a face may stray; the defaults are what the shipped networks learned from.

    Attributes:
        flip: probability of mirroring.
        rotation: largest turn, degrees either way.
        scale: smallest and largest zoom.
        shift: largest shift, as a share of the side, on each axis.
        lighting: probability of a change of gamma, contrast and brightness.
        low_resolution: probability of coming from a smaller face.
        smallest: side in pixels of that smaller face; a picture no larger than that stays sharp.
        blur: probability of a Gaussian blur of up to 1.2 pixels.
        jpeg: probability of JPEG artefacts, quality 25-90.
        noise: probability of sensor noise of up to 10 grey levels.
        occlusion: probability of a grey block over part of the face.
        covered: largest width and height of that block, as a share of the side; a tenth at least.
    """

    flip: Share = 0.5
    rotation: Annotated[float, Field(ge=0, le=180)] = 10.0
    # Behind a preset's name (`presets.preset_as_table`) a list is one of Python's, no tuple.
    scale: Annotated[tuple[Zoom, Zoom], Field(strict=False), AfterValidator(_rising)] = (0.9, 1.15)
    shift: ShareBelow1 = 0.06
    lighting: Share = 0.35
    low_resolution: Share = 0.2
    smallest: PositiveInt = 16
    blur: Share = 0.15
    jpeg: Share = 0.12
    noise: Share = 0.12
    occlusion: Share = 0.25
    covered: Annotated[float, Field(ge=0.1, lt=1)] = 0.7

    def scaled(self, strength: float) -> "Augmentation":
        """The same in every way but `strength` times as strong, 0-1: half for 0.5.

        Turns, zooms and shifts become smaller, disturbances rarer. Mirroring stays as it is at
        any strength, for a mirrored face is as real as the face; so at 0 nothing but exact
        copies comes out, some of them mirrored.

        Raises:
            ValueError: a strength outside of 0-1.
        """
        if not 0 <= strength <= 1:
            raise ValueError(f"The strength must lie in 0-1, not {strength}.")
        low, high = self.scale
        return replace(
            self,
            rotation=self.rotation * strength,
            scale=(1 + (low - 1) * strength, 1 + (high - 1) * strength),
            shift=self.shift * strength,
            lighting=self.lighting * strength,
            low_resolution=self.low_resolution * strength,
            blur=self.blur * strength,
            jpeg=self.jpeg * strength,
            noise=self.noise * strength,
            occlusion=self.occlusion * strength,
        )


def augment(
    image: NDArray[np.uint8], how: Augmentation, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Return one random variation of a square grey face, (side, side) uint8 0-255."""
    image = _move(image, how, rng)
    if rng.random() < how.lighting:
        image = _relight(image, rng)
    if rng.random() < how.occlusion:
        image = _occlude(image, how.covered, rng)
    side = image.shape[0]
    if rng.random() < how.low_resolution and how.smallest < side:
        image = coarsen(image, int(rng.integers(how.smallest, side)))
    if rng.random() < how.blur:
        image = as_grey(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 1.2)))
    if rng.random() < how.noise:
        image = as_grey(image + rng.normal(0, rng.uniform(1, 10), image.shape))
    if rng.random() < how.jpeg:
        image = compress(image, int(rng.integers(25, 91)))
    return image


def as_grey(pixels: ArrayLike) -> NDArray[np.uint8]:
    """Numbers as pixels: cut to 0-255 and truncated."""
    grey: NDArray[np.uint8] = np.clip(np.asarray(pixels), 0, 255).astype(np.uint8)
    return grey


def _move(
    image: NDArray[np.uint8], how: Augmentation, rng: np.random.Generator
) -> NDArray[np.uint8]:
    side = image.shape[0]
    centre = (side - 1) / 2
    matrix = cv2.getRotationMatrix2D(
        (centre, centre), rng.uniform(-how.rotation, how.rotation), rng.uniform(*how.scale)
    )
    matrix[:, 2] += rng.uniform(-how.shift, how.shift, 2) * side
    if rng.random() < how.flip:
        mirror = np.array([[-1.0, 0.0, side - 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
        matrix = matrix @ mirror
    return as_grey(
        cv2.warpAffine(
            image, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
        )
    )


def _relight(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    levels = np.arange(256) / 255
    levels = levels ** np.exp(rng.uniform(-0.5, 0.5))
    levels = (levels - 0.5) * rng.uniform(0.6, 1.4) + 0.5 + rng.uniform(-0.15, 0.15)
    relit = as_grey(levels * 255)[image]
    if rng.random() < 0.5:
        # Light from one side: a ramp across the face in a random direction.
        side = image.shape[0]
        angle = rng.uniform(0, 2 * np.pi)
        across = np.linspace(-0.5, 0.5, side)
        ramp = np.cos(angle) * across[None, :] + np.sin(angle) * across[:, None]
        relit = as_grey(relit * (1 + rng.uniform(0, 0.8) * ramp))
    return relit


def _occlude(
    image: NDArray[np.uint8], covered: float, rng: np.random.Generator
) -> NDArray[np.uint8]:
    side = image.shape[0]
    height, width = (rng.uniform(0.1, covered, 2) * side).astype(int)
    top, left = int(rng.integers(side - height + 1)), int(rng.integers(side - width + 1))
    blocked = image.copy()
    blocked[top : top + height, left : left + width] = rng.integers(0, 256)
    return blocked


def coarsen(image: NDArray[np.uint8], small: int) -> NDArray[np.uint8]:
    """The face as if it had been `small` pixels wide, at its own size again."""
    side = image.shape[0]
    shrunk = cv2.resize(image, (small, small), interpolation=cv2.INTER_AREA)
    return as_grey(cv2.resize(shrunk, (side, side), interpolation=cv2.INTER_LINEAR))


def compress(image: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """The face with the artefacts of a JPEG of this quality, 0-100."""
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
    assert decoded is not None  # We have just encoded it.
    return as_grey(decoded)
