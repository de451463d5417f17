"""From untrusted bytes to upright RGB pixels, and back to clean JPEG.

What is uploaded is hostile until decoded: only an allow-list of formats is tried, the bytes
decide which it is, and the pixels are counted before they are decoded.
"""

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any, BinaryIO, Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

MAX_PIXELS: Final = 50_000_000

# AVIF before HEIF: both claim the brand "mif1", and libheif opens AVIF but has no decoder for it.
# MPO, which many phones write, is found by Pillow's JPEG reader and has no entry of its own.
FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "HEIF")

JPEG_MAX_SIDE: Final = 65_500  # libjpeg's own limit.
_BAND_PIXELS = 4_000_000
_MAX_PAGES = 1000

logger = logging.getLogger(__name__)

Reason = Literal["empty", "not_an_image", "truncated", "too_many_pixels", "unsupported"]

MESSAGES: Final[dict[Reason, str]] = {
    "empty": "The file is empty.",
    "not_an_image": "This is not an image.",
    "truncated": "The image is damaged or incomplete.",
    "too_many_pixels": "The image has {megapixels} megapixels; at most {limit} are allowed.",
    "unsupported": "{format} images like this one cannot be read; save it as JPEG or PNG.",
}
"""English sentence templates by reason; `Undecodable.fields` fills them in any language."""


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """A photo, upright.

    Attributes:
        image: (height, width, 3) uint8 RGB (sRGB where the file tells its colours), contiguous
            and writable.
        format: "JPEG", "PNG", ... as the bytes say.
        frames: frames of an animation or pages of a TIFF (counted up to 1,000); only the first
            is in `image`.
        note: what a person should know, "" if nothing: "First of 12 frames."
    """

    image: NDArray[np.uint8]
    format: str
    width: int
    height: int
    frames: int = 1
    note: str = ""


@dataclass(frozen=True, slots=True)
class Undecodable:
    """Why there is no photo: a stable code, and what its message needs."""

    reason: Reason
    fields: dict[str, str] = field(default_factory=dict)

    @property
    def message(self) -> str:
        """An English sentence."""
        return MESSAGES[self.reason].format(**self.fields)


class _RefusedError(Exception):
    """Leaves the decoding with an answer; never leaves this module."""

    def __init__(self, reason: Reason, kind: str = "", **fields: str) -> None:
        super().__init__(reason)
        self.answer = Undecodable(reason, {"format": kind, **fields})


def decode(data: bytes | BinaryIO, max_pixels: int = MAX_PIXELS) -> Decoded | Undecodable:
    """Decode one uploaded file, whatever it is called.

    Grey, palette, CMYK, 16-bit and float pictures become RGB, scaled to 0-255 and not clipped;
    transparent ones lie on white. EXIF orientation is applied and an embedded colour profile is
    converted to sRGB.

    Args:
        data: the file's bytes, or a seekable binary file.
        max_pixels: width times height that is still decoded.
    """
    file = io.BytesIO(data) if isinstance(data, bytes) else data
    file.seek(0)
    head = file.read(32)
    if not head:
        return Undecodable("empty")
    try:
        with _opened(file, head, max_pixels) as picture:
            _check_size(picture.size, max_pixels)
            return _decoded(picture, max_pixels)
    except _RefusedError as refusal:
        return refusal.answer


@contextmanager
def _opened(file: BinaryIO, head: bytes, max_pixels: int) -> Iterator[Image.Image]:
    _register_heif()
    try:
        picture = Image.open(file, formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        # Pillow raises above twice its own limit, before it knows a size that could be told.
        limit = f"{max_pixels / 1e6:g}"
        raise _RefusedError("too_many_pixels", megapixels=">170", limit=limit) from error
    except MemoryError:
        raise
    except Exception as error:  # A hostile header may raise anything.
        logger.debug("Cannot open: %r", error)
        raise _RefusedError(*_why_unopened(file, head)) from error
    with picture:
        yield picture


def _why_unopened(file: BinaryIO, head: bytes) -> tuple[Reason, str]:
    """Tell a broken picture from a strange one, and both from something else."""
    foreign = _name_of(head, _FOREIGN)
    if foreign:
        return "unsupported", foreign
    known = _name_of(head, _KNOWN)
    # A TIFF may hold any kind of pixels, so a whole one that nobody can read is only strange.
    if known == "TIFF" and not _tiff_is_cut_off(file, head):
        return "unsupported", known
    return ("truncated" if known else "not_an_image"), known


def _tiff_is_cut_off(file: BinaryIO, head: bytes) -> bool:
    """Does the file end before its first table of tags (TIFF 6.0, section 2) does?"""
    order: Literal["little", "big"] = "little" if head[:2] == b"II" else "big"
    start = int.from_bytes(head[4:8], order)
    length = file.seek(0, io.SEEK_END)
    file.seek(min(start, length))
    entries = int.from_bytes(file.read(2), order)
    return length < start + 2 + 12 * entries + 4


_KNOWN: Final = {
    (0, b"\xff\xd8\xff"): "JPEG",
    (0, b"\x89PNG"): "PNG",
    (0, b"GIF8"): "GIF",
    (8, b"WEBP"): "WebP",
    (0, b"II*\0"): "TIFF",
    (0, b"MM\0*"): "TIFF",
    (0, b"BM"): "BMP",
    (4, b"ftypavi"): "AVIF",
    (4, b"ftyphe"): "HEIF",
    (4, b"ftypmif1"): "HEIF",
    (4, b"ftypmsf1"): "HEIF",
}
_FOREIGN: Final = {
    (0, b"8BPS"): "Photoshop",
    (0, b"\x00\x00\x00\x0cjP  "): "JPEG 2000",
    (0, b"\xff\x4f\xff\x51"): "JPEG 2000",
    (0, b"\x00\x00\x00\x0cJXL "): "JPEG XL",
    (0, b"\xff\x0a"): "JPEG XL",
    (0, b"\x00\x00\x01\x00"): "Icon",
    (0, b"\x76\x2f\x31\x01"): "OpenEXR",
    (0, b"FUJIFILMCCD-RAW"): "Camera raw",
    (4, b"ftypcrx "): "Camera raw",
}


def _name_of(head: bytes, signatures: dict[tuple[int, bytes], str]) -> str:
    for (offset, signature), name in signatures.items():
        if head[offset : offset + len(signature)] == signature:
            return name
    return ""


@cache
def _register_heif() -> None:
    import pillow_heif

    # Only the main picture is wanted; thumbnails and depth maps are more to parse.
    pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)


def _check_size(size: tuple[int, int], max_pixels: int) -> None:
    pixels = size[0] * size[1]
    if pixels > max_pixels:
        raise _RefusedError(
            "too_many_pixels", megapixels=f"{pixels / 1e6:.1f}", limit=f"{max_pixels / 1e6:g}"
        )


def _decoded(picture: Image.Image, max_pixels: int) -> Decoded:
    kind = picture.format or ""
    try:
        frames = _frames(picture)
        picture.load()
    except MemoryError:
        raise
    except Exception as error:  # A broken file may raise anything.
        logger.debug("Cannot decode: %r", error)
        raise _RefusedError("truncated") from error
    # The size may change while decoding (HEIF, GIF).
    _check_size(picture.size, max_pixels)
    _turn_upright(picture)
    try:
        image = _pixels(_to_rgb(picture))
    except (ValueError, OSError) as error:
        raise _RefusedError("unsupported", kind) from error
    height, width = image.shape[:2]
    note = f"First of {frames} {'pages' if kind == 'TIFF' else 'frames'}." if frames > 1 else ""
    return Decoded(image, "JPEG" if kind == "MPO" else kind, width, height, frames, note)


def _frames(picture: Image.Image) -> int:
    # An MPO's further pictures are previews and gain maps of the same photo.
    if picture.format == "MPO":
        return 1
    if picture.format != "TIFF":
        return int(getattr(picture, "n_frames", 1))
    # Pillow's own count takes minutes for a file of a quarter of a million empty pages.
    pages = 1
    try:
        while pages < _MAX_PAGES:
            picture.seek(pages)
            pages += 1
    except EOFError:
        pass
    picture.seek(0)
    return pages


def _turn_upright(picture: Image.Image) -> None:
    """Apply EXIF orientation in place.

    TIFF has been turned by load(), HEIF by libheif (which clears the tag, so nothing is turned
    twice); AVIF's own rotation is given by Pillow as if it were EXIF.
    """
    try:
        ImageOps.exif_transpose(picture, in_place=True)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - broken metadata must not cost the photo
        logger.debug("Unreadable EXIF: %r", error)


def _to_rgb(picture: Image.Image) -> Image.Image:
    """An 8-bit RGB picture, by way of L or CMYK where a colour profile is for those."""
    profile = picture.info.get("icc_profile")
    if picture.mode in ("I", "F") or picture.mode.startswith("I;16"):
        picture = Image.fromarray(_scale_to_8_bit(np.asarray(picture)))
    if picture.has_transparency_data:
        picture = _on_white(picture)
    elif picture.mode not in ("RGB", "L", "CMYK"):
        picture = picture.convert("RGB")
    if profile:
        picture = _to_srgb(picture, profile)
    return picture if picture.mode == "RGB" else picture.convert("RGB")


def _scale_to_8_bit(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Map deep grey pixels to 0-255 by the smallest usual range that holds them all."""
    finite = np.isfinite(values)
    values = np.where(finite, values, 0)
    low, high = float(values.min()), float(values.max())
    if values.dtype == np.uint16:
        low, high = 0.0, 65535.0
    elif low < 0 or high > 65535:
        high = high if high > low else low + 1
    else:
        usual = (1.0, 255.0, 65535.0) if values.dtype.kind == "f" else (255.0, 65535.0)
        low, high = 0.0, next(limit for limit in usual if high <= limit)
    scaled = (values.astype(np.float32) - np.float32(low)) * np.float32(255 / (high - low))
    rounded: NDArray[np.uint8] = np.rint(scaled).clip(0, 255).astype(np.uint8)
    return rounded


def _on_white(picture: Image.Image) -> Image.Image:
    picture = picture if picture.mode == "RGBA" else picture.convert("RGBA")
    white = Image.new("RGB", picture.size, "white")
    white.paste(picture, mask=picture.getchannel("A"))
    return white


def _to_srgb(picture: Image.Image, profile: bytes) -> Image.Image:
    """Convert from an embedded profile (phones: Display P3); unchanged if that fails."""
    from PIL import ImageCms

    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "srgb" in ImageCms.getProfileDescription(source).lower():
            return picture
        target = ImageCms.createProfile("sRGB")
        in_place = picture.mode == "RGB"
        converted = ImageCms.profileToProfile(
            picture, source, target, outputMode="RGB", inPlace=in_place
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
        logger.debug("Unusable colour profile: %r", error)
        return picture
    return converted or picture


def _pixels(picture: Image.Image) -> NDArray[np.uint8]:
    """Copy the pixels out band by band: at once, Pillow holds two more copies of them."""
    width, height = picture.size
    image = np.empty((height, width, 3), np.uint8)
    rows = max(1, _BAND_PIXELS // width)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        image[top:bottom] = np.asarray(picture.crop((0, top, width, bottom)))
    return image


def encode_jpeg(image: NDArray[np.uint8], quality: int = 90, max_side: int | None = None) -> bytes:
    """Encode as JPEG without any metadata.

    Args:
        image: (H, W, 3) RGB uint8.
        quality: 1-100.
        max_side: shrink, by area averaging, until the longer side is at most this.

    Raises:
        ValueError: not such an image, or a quality or size out of range.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise ValueError(f"Expected (H, W, 3) uint8, got {image.shape} {image.dtype}.")
    if not 1 <= quality <= 100:
        raise ValueError(f"The JPEG quality must lie in 1-100, not {quality}.")
    image = shrink(image, min(max_side or JPEG_MAX_SIDE, JPEG_MAX_SIDE))
    # Full colour resolution: halved, thin red boxes bleed into the photo.
    sampling = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_OPTIMIZE, 1, *sampling]
    done, encoded = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise ValueError(f"The image of {image.shape} could not be encoded as JPEG.")
    return encoded.tobytes()


def shrink(image: NDArray[np.uint8], max_side: int) -> NDArray[np.uint8]:
    """The image with its longer side at most `max_side` pixels; never enlarged.

    Raises:
        ValueError: max_side below 1.
    """
    if max_side < 1:
        raise ValueError(f"max_side must be at least 1 pixel, not {max_side}.")
    height, width = image.shape[:2]
    scale = max_side / max(height, width)
    if scale >= 1:
        return image
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)  # type: ignore[return-value]
