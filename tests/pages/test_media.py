import io
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from numpy.typing import NDArray
from PIL import Image

from recognizer.models import Photo, User
from recognizer.services import recognition
from tests.api.sending import send
from tests.factories import lose, make_photo, owned_by
from tests.pictures import SECRET, chatty, metadata

KINDS = ["display", "thumbnail", "annotated"]


@pytest.fixture
def photo(alice: User) -> Photo:
    return make_photo(owned_by(alice), "пляж 😀.png", ["happy"])


def images_of(photo: Photo) -> list[str]:
    crops = [f"/faces/{face.pk}/crop/" for face in photo.faces.all()]
    return [f"/photos/{photo.pk}/image/{kind}/" for kind in KINDS] + crops


def test_images_are_private_and_not_sniffed(photo: Photo, alice_client: Client) -> None:
    for path in images_of(photo):
        answer = alice_client.get(path)
        assert answer.headers["Content-Type"] == "image/jpeg"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        control = {part.strip() for part in answer.headers["Cache-Control"].split(",")}
        fresh = "no-cache" if "annotated" in path else "max-age=3600"
        assert control == {"private", fresh}
        assert "Cookie" in answer.headers["Vary"]
        assert answer.headers["Content-Disposition"].startswith("inline")
        assert b"".join(answer).startswith(b"\xff\xd8")


def test_an_image_that_the_browser_has_is_304(photo: Photo, alice_client: Client) -> None:
    etags = set()
    for path in images_of(photo):
        etag = alice_client.get(path).headers["ETag"]
        etags.add(etag)
        again = alice_client.get(path, headers={"If-None-Match": etag})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["ETag"] == etag
        assert "private" in again.headers["Cache-Control"]
    assert len(etags) == 4


def test_who_may_not_see_it_gets_no_304_either(
    photo: Photo, alice_client: Client, bob_client: Client
) -> None:
    for path in images_of(photo):
        etag = alice_client.get(path).headers["ETag"]
        assert bob_client.get(path, headers={"If-None-Match": etag}).status_code == 404


def test_an_image_that_was_drawn_anew_is_seen_at_once(
    alice_client: Client, recognize_queued: Callable[[], int], jpeg: Callable[..., bytes]
) -> None:
    photo_id = send(alice_client, jpeg()).json()["id"]
    recognize_queued()
    path = f"/photos/{photo_id}/image/annotated/"
    first = alice_client.get(path)
    # The browser must ask each time, not show what it kept.
    assert "no-cache" in first.headers["Cache-Control"]
    recognition.queue_again([photo_id])
    recognize_queued()
    again = alice_client.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 200


def test_only_reading_is_allowed(photo: Photo, alice_client: Client) -> None:
    for path in images_of(photo):
        assert alice_client.head(path).status_code == 200
        for method in (alice_client.post, alice_client.put, alice_client.delete):
            assert method(path).status_code == 405


def test_before_it_is_done_there_is_no_annotated_image(
    alice_client: Client, jpeg: Callable[..., bytes]
) -> None:
    photo_id = send(alice_client, jpeg()).json()["id"]
    paths = [f"/photos/{photo_id}/image/{kind}/" for kind in KINDS]
    assert [alice_client.get(path).status_code for path in paths] == [200, 200, 404]


def test_a_file_that_is_gone_is_404(photo: Photo, alice_client: Client) -> None:
    lose(photo.display)
    assert alice_client.get(f"/photos/{photo.pk}/image/display/").status_code == 404


def test_a_download_has_a_readable_name(photo: Photo, alice_client: Client) -> None:
    answer = alice_client.get(f"/photos/{photo.pk}/image/annotated/?download=1")
    disposition = answer.headers["Content-Disposition"]
    assert disposition.startswith("attachment;")
    assert "filename*=utf-8''%D0%BF%D0%BB%D1%8F%D0%B6%20%F0%9F%98%80-annotated.jpg" in disposition


@pytest.mark.parametrize("name", ['a"b.jpg', "a;b.jpg", "a%0d%0aSet-Cookie: x.jpg"])
def test_a_name_cannot_break_out_of_its_header(
    alice: User, alice_client: Client, name: str
) -> None:
    photo = make_photo(owned_by(alice), name)
    answer = alice_client.get(f"/photos/{photo.pk}/image/annotated/?download=1")
    assert "\n" not in answer.headers["Content-Disposition"]
    assert "Set-Cookie" not in answer.headers


def test_nothing_that_is_served_carries_metadata(
    alice_client: Client, astronaut: NDArray[Any], recognize_queued: Callable[[], int]
) -> None:
    data = chatty(Image.fromarray(astronaut))
    assert SECRET.encode() in data
    assert {"E1", "E2", "FE"} <= set(metadata(data))
    photo_id = send(alice_client, data).json()["id"]
    recognize_queued()
    photo = Photo.objects.get()
    served = [b"".join(alice_client.get(path)) for path in images_of(photo)]
    served += [b"".join(alice_client.get(f"/api/v1/photos/{photo_id}/annotated"))]
    archive: Any = alice_client.get("/download/zip/")
    with zipfile.ZipFile(io.BytesIO(b"".join(archive.streaming_content))) as unzipped:
        served += [unzipped.read(name) for name in unzipped.namelist()]
    assert len(served) == 6
    for image in served:
        assert metadata(image) == []
        for word in (SECRET.encode(), b"Exif", b"GPS", b"xmpmeta", b"Nikon"):
            assert word not in image
        with Image.open(io.BytesIO(image)) as picture:
            assert not picture.getexif()
