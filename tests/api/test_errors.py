"""Every failure below /api/v1/ is a JSON object with a sentence."""

from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from tests.api.sending import PHOTOS, detail_of, send, send_raw
from tests.factories import noise

pytestmark = pytest.mark.django_db
NOBODYS = "00000000-0000-4000-8000-000000000000"
BROKEN_BASE64 = (
    b'--limit\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n'
    b"Content-Transfer-Encoding: base64\r\n\r\n!!!!\r\n--limit--\r\n"
)
MULTIPART = "multipart/form-data; boundary=limit"


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/",
        "/api/v1/nothing",
        "/api/v1/photos/",
        "/api/v1/photos/not-an-id",
        "/api/v1/photos/123/annotated",
        f"/api/v1/photos/{NOBODYS}",
        f"/api/v1/photos/{NOBODYS}/annotated",
        f"/api/v1/photos/{NOBODYS}/original",
        "/api/v1/photos/%00",
        "/api/v1/фото",
    ],
)
@pytest.mark.parametrize("method", ["get", "post", "delete"])
def test_what_does_not_exist_is_404_or_405(guest_client: Client, path: str, method: str) -> None:
    answer = getattr(guest_client, method)(path)
    detail_of(answer, answer.status_code)
    assert answer.status_code == (405 if answer.has_header("Allow") else 404)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("put", PHOTOS, {"GET", "POST"}),
        ("patch", PHOTOS, {"GET", "POST"}),
        ("delete", PHOTOS, {"GET", "POST"}),
        ("post", f"{PHOTOS}/{NOBODYS}", {"GET", "DELETE"}),
        ("delete", f"{PHOTOS}/{NOBODYS}/annotated", {"GET"}),
    ],
)
def test_a_wrong_method_is_405_and_says_what_is_allowed(
    guest_client: Client, method: str, path: str, allowed: set[str]
) -> None:
    answer = getattr(guest_client, method)(path)
    detail_of(answer, 405)
    assert set(answer.headers["Allow"].replace(",", " ").split()) == allowed


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", MULTIPART),
        (b"--limit--\r\n", MULTIPART),
        (b'{"image": "x"}', "application/json"),
        (b"image=x", "application/x-www-form-urlencoded"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"", ""),
        (
            b'--limit\r\nContent-Disposition: form-data; name="image"\r\n\r\ntext\r\n--limit--\r\n',
            MULTIPART,
        ),
    ],
)
def test_a_request_without_the_file_is_422(
    guest_client: Client, body: bytes, content_type: str
) -> None:
    answer = guest_client.post(PHOTOS, body, content_type=content_type)
    assert "“image”" in detail_of(answer, 422)


def test_a_file_in_another_field_is_422(guest_client: Client) -> None:
    answer = send_raw(guest_client, noise(1), b"a.jpg", field=b"photo")
    assert "“image”" in detail_of(answer, 422)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"x" * 100, "multipart/form-data"),
        (b"x" * 100, "multipart/form-data; boundary="),
        (b"x" * 100, "multipart/form-data; boundary=" + "é" * 10),
        (b"x" * 100, "multipart/form-data; boundary=" + "b" * 300),
        (BROKEN_BASE64, MULTIPART),
    ],
)
def test_a_malformed_multipart_body_is_an_error_with_a_sentence(
    guest_client: Client, body: bytes, content_type: str
) -> None:
    answer = guest_client.post(PHOTOS, body, content_type=content_type)
    assert answer.status_code in (400, 422)
    detail_of(answer, answer.status_code)


def test_too_many_files_in_one_request_are_400(guest_client: Client, settings: Settings) -> None:
    settings.DATA_UPLOAD_MAX_NUMBER_FILES = 2
    part = b'--limit\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\nx\r\n'
    answer = guest_client.post(PHOTOS, part * 3 + b"--limit--\r\n", content_type=MULTIPART)
    detail_of(answer, 400)


def test_a_body_of_endless_text_is_400(guest_client: Client) -> None:
    answer = guest_client.post(PHOTOS, {"text": "x" * 3_000_000})
    detail_of(answer, 400)


@pytest.mark.parametrize("query", ["limit=many", "limit=-1", "limit=1e3", "limit="])
def test_a_number_that_is_none_is_422(guest_client: Client, query: str) -> None:
    assert detail_of(guest_client.get(f"{PHOTOS}?{query}"), 422).startswith("limit: ")


def test_a_wrong_host_is_400(guest_client: Client) -> None:
    detail_of(guest_client.get(PHOTOS, headers={"Host": "evil.example"}), 400)


def test_a_mistake_of_ours_is_500_without_its_details(
    alice_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: Any) -> None:
        raise RuntimeError("secret details")

    monkeypatch.setattr("recognizer.services.gallery.page", breaks)
    alice_client.raise_request_exception = False
    assert "secret" not in detail_of(alice_client.get(PHOTOS), 500)


def test_errors_of_pages_stay_pages(guest_client: Client) -> None:
    for path in ("/nothing/", "/api/nothing"):
        answer = guest_client.get(path)
        assert answer.status_code == 404
        assert answer.headers["Content-Type"].startswith("text/html")


def test_an_upload_that_is_not_an_image_is_one_sentence(guest_client: Client) -> None:
    assert detail_of(send(guest_client, b"no"), 422).count(".") >= 1
