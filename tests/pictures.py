"""Pictures and files as hostile, odd or chatty as people's are."""

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image

SECRET = "Eileen's home at 29.55N 95.09W"

# What a camera stores for a picture that EXIF says to turn by 1-8: the inverse of the turn.
STORED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def quadrants() -> Image.Image:
    """Red and green above blue and white: every turn of it looks different."""
    picture = Image.new("RGB", (64, 48), "white")
    picture.paste((200, 0, 0), (0, 0, 32, 24))
    picture.paste((0, 200, 0), (32, 0, 64, 24))
    picture.paste((0, 0, 200), (0, 24, 32, 48))
    return picture


def corners(data: bytes) -> str:
    """The colours of the four quadrants of a picture: "RGBW" the right way up."""
    with Image.open(io.BytesIO(data)) as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    height, width = pixels.shape[:2]
    letters = ""
    for y, x in [(1, 1), (1, 3), (3, 1), (3, 3)]:
        pixel = pixels[height * y // 4, width * x // 4]
        letters += "W" if pixel.min() > 150 else "RGB"[int(pixel.argmax())]
    return letters


def save(picture: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def turned(turn: int) -> bytes:
    """A JPEG that is upright only after its EXIF orientation was applied."""
    stored = quadrants() if turn == 1 else quadrants().transpose(STORED[turn])
    exif = Image.Exif()
    exif[0x0112] = turn
    return save(stored, exif=exif.tobytes())


def chatty(picture: Image.Image) -> bytes:
    """A JPEG that tells where it was taken, by whom and with what, in every way it can."""
    exif = Image.Exif()
    exif[0x010F], exif[0x013B] = "Nikon", SECRET
    exif.get_ifd(0x8825).update({1: "N", 2: (29.0, 33.0, 0.0), 3: "W", 4: (95.0, 5.0, 24.0)})
    return save(
        picture,
        exif=exif.tobytes(),
        comment=SECRET.encode(),
        xmp=f"<x:xmpmeta>{SECRET}</x:xmpmeta>".encode(),
        icc_profile=b"not a real profile " + SECRET.encode(),
    )


def metadata(jpeg: bytes) -> list[str]:
    """The segments of a JPEG that carry anything but the picture: APP1 to APP15 and comments."""
    assert jpeg.startswith(b"\xff\xd8")
    found, place = [], 2
    while jpeg[place + 1] != 0xDA:  # start of scan: pixels from here on
        marker, length = jpeg[place + 1], int.from_bytes(jpeg[place + 2 : place + 4])
        if 0xE1 <= marker <= 0xEF or marker == 0xFE:
            found.append(f"{marker:02X}")
        place += 2 + length
    return found


def png_header(width: int, height: int) -> bytes:
    """The beginning of a grey PNG of that size; whoever allocates its pixels is lost."""

    def chunk(name: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + check

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 9))
