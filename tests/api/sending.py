"""Requests to the API, by hand where Django's test client would tidy them up."""

from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

PHOTOS = "/api/v1/photos"


def send(
    client: Client,
    data: bytes,
    name: str = "face.jpg",
    content_type: str = "image/jpeg",
    **headers: str,
) -> Any:
    """Upload one file, as a browser or a program does."""
    file = SimpleUploadedFile(name, data, content_type)
    named = {header.replace("_", "-"): value for header, value in headers.items()}
    return client.post(PHOTOS, {"image": file}, headers=named)


def send_raw(
    client: Client, data: bytes, name: bytes, field: bytes = b"image", path: str = PHOTOS
) -> Any:
    """Upload one file whose name no honest program would send."""
    body = (
        b'--limit\r\nContent-Disposition: form-data; name="%s"; filename="%s"\r\n'
        b"Content-Type: image/jpeg\r\n\r\n%s\r\n--limit--\r\n" % (field, name, data)
    )
    return client.post(path, body, content_type="multipart/form-data; boundary=limit")


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def detail_of(answer: Any, status: int) -> str:
    """The sentence of an error, which is all that its JSON holds."""
    assert answer.status_code == status, (answer.status_code, answer.content)
    assert answer.headers["Content-Type"].startswith("application/json")
    body = answer.json()
    assert list(body) == ["detail"]
    detail = body["detail"]
    assert isinstance(detail, str)
    assert detail[0].isupper() or detail[0] in "“0123456789" or detail.split(":")[0].islower()
    assert detail.endswith(".")
    assert "<" not in detail
    return detail
