"""The issue's list of bad input, from the request to what is served in the end."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
from django.test import Client
from PIL import Image
from pytest_django import Settings

from recognizer.models import Photo
from tests.api.sending import PHOTOS, detail_of, send, send_raw
from tests.factories import noise
from tests.pictures import STORED, corners, png_header, quadrants, save, turned

pillow_heif.register_heif_opener()

SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
HTML = b"<!doctype html><html><body><script>alert(1)</script></body></html>"


def served(client: Client, photo_id: str, kind: str = "display") -> bytes:
    answer = client.get(f"/photos/{photo_id}/image/{kind}/")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "image/jpeg"
    return b"".join(answer)


# --- Refused -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is empty (0 bytes)"),
        (b"just some words", "is not an image"),
        (SVG, "is not an image"),
        (b"<?xml version='1.0'?>" + SVG, "is not an image"),
        (b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj", "is not an image"),
        (HTML, "is not an image"),
        (b"#!/bin/sh\nrm -rf /\n", "is not an image"),
        (b"PK\x03\x04" + bytes(40), "is not an image"),
        (noise(1)[: len(noise(1)) // 2], "is damaged or cut short"),
        (noise(1)[:30], "is damaged or cut short"),
        (save(quadrants(), "PNG")[:100], "is damaged or cut short"),
        (save(quadrants(), "HEIF")[:300], "is damaged or cut short"),
        (png_header(8000, 7000), "has more than 50 megapixels"),
        (png_header(40_000, 40_000), "has more than 50 megapixels"),
        (b"8BPS" + bytes(60), "can't be read here"),
    ],
    ids=[
        "0 bytes",
        "text",
        "SVG",
        "SVG with a prolog",
        "PDF",
        "HTML",
        "script",
        "ZIP",
        "half a JPEG",
        "a JPEG's head",
        "half a PNG",
        "half a HEIC",
        "56 megapixels",
        "decompression bomb",
        "Photoshop",
    ],
)
def test_it_is_refused_by_name_and_reason_and_stores_nothing(
    guest_client: Client, settings: Settings, data: bytes, reason: str
) -> None:
    detail = detail_of(send(guest_client, data, "my picture.jpg"), 422)
    assert detail.startswith(f"“my picture.jpg” {reason}")
    assert not Photo.objects.exists()
    assert not any(path.is_file() for path in Path(settings.MEDIA_ROOT).rglob("*"))
    assert send(guest_client, noise(2)).status_code == 201


def test_more_than_25_mb_are_413(guest_client: Client, settings: Settings) -> None:
    good = noise(1)
    limit = settings.MAX_UPLOAD_BYTES
    assert limit == 25 * 2**20
    detail = detail_of(send(guest_client, good + bytes(limit), "big.jpg"), 413)
    assert detail == "“big.jpg” is larger than 25 MB. Send a smaller copy of it."
    assert not Photo.objects.exists()


def test_exactly_25_mb_are_taken(guest_client: Client, settings: Settings) -> None:
    data = noise(1)
    padded = data + bytes(settings.MAX_UPLOAD_BYTES - len(data))
    assert send(guest_client, padded).status_code == 201


def test_an_endless_upload_is_broken_off_and_named(
    guest_client: Client, settings: Settings
) -> None:
    settings.MAX_UPLOAD_BYTES = 2**20
    endless = bytes(5 * 2**20)
    detail = detail_of(send(guest_client, endless, "endless.jpg"), 413)
    assert detail.startswith("“endless.jpg” is larger than 1 MB")
    assert not Photo.objects.exists()


# --- Taken -------------------------------------------------------------------------------------


def grey16() -> bytes:
    ramp = np.linspace(0, 65535, 64, dtype=np.uint16)
    return save(Image.fromarray(np.tile(ramp, (48, 1))), "PNG")


PICTURES: dict[str, Callable[[], bytes]] = {
    "JPEG": lambda: save(quadrants()),
    "PNG": lambda: save(quadrants(), "PNG"),
    "WebP": lambda: save(quadrants(), "WEBP"),
    "HEIC": lambda: save(quadrants(), "HEIF"),
    "AVIF": lambda: save(quadrants(), "AVIF"),
    "BMP": lambda: save(quadrants(), "BMP"),
    "TIFF": lambda: save(quadrants(), "TIFF"),
    "GIF": lambda: save(quadrants(), "GIF"),
    "CMYK": lambda: save(quadrants().convert("CMYK")),
    "palette": lambda: save(quadrants().convert("P"), "PNG"),
    "alpha": lambda: save(quadrants().convert("RGBA"), "PNG"),
}


@pytest.mark.parametrize("kind", PICTURES)
def test_every_kind_of_picture_is_served_as_a_jpeg_of_the_same_look(
    guest_client: Client, kind: str
) -> None:
    answer = send(guest_client, PICTURES[kind](), f"picture.{kind.lower()}")
    assert answer.status_code == 201, answer.content
    assert (answer.json()["width"], answer.json()["height"]) == (64, 48)
    assert corners(served(guest_client, answer.json()["id"])) == "RGBW"


@pytest.mark.parametrize("data", [save(quadrants().convert("L"), "PNG"), grey16()])
def test_grey_pictures_of_8_and_16_bits_are_taken(guest_client: Client, data: bytes) -> None:
    answer = send(guest_client, data)
    assert answer.status_code == 201
    with Image.open(io.BytesIO(served(guest_client, answer.json()["id"]))) as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    assert pixels.max() > 240
    assert np.ptp(pixels, axis=2).max() < 4


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "TIFF"])
def test_of_several_pictures_the_first_is_read_and_it_says_so(
    guest_client: Client, kind: str
) -> None:
    turns = [quadrants().transpose(STORED[turn]) for turn in (3, 4)]
    data = save(quadrants(), kind, save_all=True, append_images=turns)
    answer = send(guest_client, data, "moving.gif")
    assert answer.status_code == 201
    assert answer.json()["note"] == "The file holds 3 pictures; only the first is read."
    assert corners(served(guest_client, answer.json()["id"])) == "RGBW"


@pytest.mark.parametrize("turn", range(1, 9))
def test_every_exif_rotation_comes_out_upright(
    guest_client: Client, turn: int, recognize_queued: Callable[[], int]
) -> None:
    answer = send(guest_client, turned(turn))
    assert (answer.json()["width"], answer.json()["height"]) == (64, 48)
    recognize_queued()
    for kind in ("display", "thumbnail", "annotated"):
        assert corners(served(guest_client, answer.json()["id"], kind)) == "RGBW"


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("picture.txt", "text/plain"),
        ("picture.png", "image/jpeg"),
        ("picture.svg", "image/svg+xml"),
        ("picture.pdf", "application/pdf"),
        ("picture", "application/octet-stream"),
        ("picture.jpg", ""),
    ],
)
def test_the_bytes_decide_and_not_the_name_or_the_declared_type(
    guest_client: Client, name: str, content_type: str
) -> None:
    answer = send(guest_client, PICTURES["PNG"](), name, content_type)
    assert answer.status_code == 201
    assert answer.json()["name"] == name
    assert Photo.objects.get().format == "PNG"


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("😀🎉.jpg".encode(), "😀🎉.jpg"),
        (b"../../../etc/passwd", "passwd"),
        (b"..%5C..%5Cboot.ini", "%5C..%5Cboot.ini"),
        (b"a/b/c.jpg", "c.jpg"),
        (b"C:\\\\photos\\\\me.jpg", "me.jpg"),
        (b"x" * 400 + b".jpg", "x" * 196 + ".jpg"),
        (b"<script>alert(1)<b>.jpg", "<script>alert(1)<b>.jpg"),
    ],
)
def test_strange_names_are_shown_harmlessly(guest_client: Client, raw: bytes, shown: str) -> None:
    answer = send_raw(guest_client, noise(1), raw)
    assert answer.status_code == 201, answer.content
    assert answer.json()["name"] == shown
    assert Photo.objects.get().name == shown


@pytest.mark.parametrize("name", ["two\nlines.jpg", "tab\tand\rreturn.jpg", "null\0.jpg"])
def test_control_characters_do_not_get_into_a_name(guest_client: Client, name: str) -> None:
    answer = send(guest_client, noise(1), name)
    assert answer.status_code == 201
    assert answer.json()["name"].isprintable()
    assert answer.json()["name"].endswith(".jpg")


def test_a_file_whose_name_cannot_be_read_gets_a_sentence(guest_client: Client) -> None:
    for name in (b"", b"..", b"/", b"\xff\xfe is no UTF-8.jpg"):
        detail = detail_of(send_raw(guest_client, noise(1), name), 422)
        assert "“image”" in detail
    assert not Photo.objects.exists()


def test_a_name_with_markup_is_escaped_on_every_page(
    alice_client: Client, recognize_queued: Callable[[], int]
) -> None:
    send_raw(alice_client, noise(1), b"<script>alert(1)<b>.jpg")
    recognize_queued()
    photo = Photo.objects.get()
    for path in ("/", "/history/", f"/photos/{photo.pk}/", f"/photos/{photo.pk}/card/"):
        page: Any = alice_client.get(path)
        assert b"&lt;script&gt;alert(1)&lt;b&gt;.jpg" in page.content
        assert b"<script>alert(1)" not in page.content


def test_one_owners_bad_file_harms_nobody_elses(alice_client: Client, bob_client: Client) -> None:
    good = send(bob_client, noise(1)).json()
    detail_of(send(alice_client, HTML), 422)
    assert bob_client.get(f"{PHOTOS}/{good['id']}").json() == good
    assert Photo.objects.count() == 1
