"""The owner, another user, a guest, a stranger, a reviewer, at every address of a photo."""

from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from recognizer import urls
from recognizer.models import Photo, Review, User
from tests.factories import make_photo, owned_by
from tests.pages.conftest import owner_of

STRANGERS = ["bob_client", "guest", "guest_client"]
PAGES = ["/photos/{id}/", "/photos/{id}/card/", "/photos/{id}/result/"]
IMAGES = ["/photos/{id}/image/display/", "/photos/{id}/image/thumbnail/"]
IMAGES += ["/photos/{id}/image/annotated/", "/faces/{face}/crop/"]
ACTIONS = ["/photos/{id}/retry/", "/faces/{face}/verdict/"]


@pytest.fixture
def photo(alice: User) -> Photo:
    return make_photo(owned_by(alice), faces=["happy"], status=Photo.Status.DONE)


def address(path: str, photo: Photo) -> str:
    return path.format(id=photo.pk, face=photo.faces.get().pk)


@pytest.fixture
def stranger(request: pytest.FixtureRequest) -> Client:
    client: Client = request.getfixturevalue(request.param)
    return client


@pytest.mark.parametrize("path", PAGES + IMAGES)
@pytest.mark.parametrize("stranger", STRANGERS, indirect=True)
def test_others_get_404(photo: Photo, stranger: Client, path: str) -> None:
    assert stranger.get(address(path, photo)).status_code == 404
    nobodys = path.format(id=uuid4(), face=10**9)
    assert stranger.get(nobodys).status_code == 404


@pytest.mark.parametrize("path", ACTIONS)
@pytest.mark.parametrize("stranger", [*STRANGERS, "reviewer_client"], indirect=True)
def test_others_can_change_nothing(photo: Photo, stranger: Client, path: str) -> None:
    Photo.objects.update(status=Photo.Status.FAILED)
    answer = stranger.post(address(path, photo), {"verdict": "accept"})
    assert answer.status_code == 404
    assert not Review.objects.exists()
    photo.refresh_from_db()
    assert photo.status == Photo.Status.FAILED


@pytest.mark.parametrize("path", PAGES + IMAGES)
def test_the_owner_sees_it(photo: Photo, alice_client: Client, path: str) -> None:
    answer = alice_client.get(address(path, photo))
    assert answer.status_code == 200


@pytest.mark.parametrize("path", PAGES + IMAGES)
def test_a_guest_sees_their_own_and_no_other_guest_does(guest: Client, path: str) -> None:
    photo = make_photo(owner_of(guest), faces=["happy"])
    assert guest.get(address(path, photo)).status_code == 200
    assert Client().get(address(path, photo)).status_code == 404


@pytest.mark.parametrize("path", IMAGES)
def test_a_reviewer_sees_the_images_of_users_and_guests(
    photo: Photo, guest: Client, reviewer_client: Client, path: str
) -> None:
    for one in (photo, make_photo(owner_of(guest), faces=["happy"])):
        assert reviewer_client.get(address(path, one)).status_code == 200


@pytest.mark.parametrize("path", IMAGES)
def test_staff_without_the_permission_sees_none(photo: Photo, bob: User, path: str) -> None:
    User.objects.filter(pk=bob.pk).update(is_staff=True)
    client = Client()
    client.force_login(bob)
    assert client.get(address(path, photo)).status_code == 404


@pytest.mark.parametrize("path", PAGES)
def test_a_reviewer_has_the_admin_and_not_the_owners_pages(
    photo: Photo, reviewer_client: Client, path: str
) -> None:
    assert reviewer_client.get(address(path, photo)).status_code == 404


@pytest.mark.parametrize("path", PAGES + IMAGES)
@pytest.mark.parametrize("who", ["alice_client", "reviewer_client"])
def test_a_deleted_photo_is_404_for_everybody(
    photo: Photo, path: str, who: str, request: pytest.FixtureRequest
) -> None:
    Photo.objects.update(deleted_at=timezone.now())
    assert request.getfixturevalue(who).get(address(path, photo)).status_code == 404


def test_others_photos_are_on_no_list(
    photo: Photo, bob_client: Client, guest: Client, reviewer_client: Client
) -> None:
    for client in (bob_client, guest, reviewer_client, Client()):
        for path in ("/", "/history/", f"/photos/cards/?id={photo.pk}", "/account/"):
            assert str(photo.pk) not in client.get(path).content.decode()


def test_others_photos_are_in_no_download(
    photo: Photo, bob_client: Client, guest: Client, reviewer_client: Client
) -> None:
    for client in (bob_client, guest, reviewer_client, Client()):
        for kind in ("zip", "csv", "json"):
            for ask in (client.get, client.post):
                answer: Any = ask(f"/download/{kind}/", {"id": str(photo.pk)})
                body = b"".join(answer.streaming_content)
                assert str(photo.pk).encode() not in body
                assert b"photo-annotated" not in body


def test_others_photos_are_neither_deleted_nor_brought_back(
    photo: Photo, bob_client: Client, guest: Client, reviewer_client: Client
) -> None:
    for client in (bob_client, guest, reviewer_client, Client()):
        answer = client.post("/photos/delete/", {"id": str(photo.pk)})
        assert answer.json()["deleted"] == []
        assert Photo.objects.live().filter(pk=photo.pk).exists()
    Photo.objects.filter(pk=photo.pk).update(deleted_at=timezone.now())
    for client in (bob_client, guest, reviewer_client, Client()):
        answer = client.post("/photos/restore/", {"id": str(photo.pk)})
        assert answer.json()["restored"] == []
    assert not Photo.objects.live().filter(pk=photo.pk).exists()


def test_no_address_serves_an_original(photo: Photo, alice_client: Client) -> None:
    with photo.original.open("rb") as file:
        original = file.read()
    path = photo.original.name or ""
    tried = [
        f"/photos/{photo.pk}/image/original/",
        f"/photos/{photo.pk}/image/Original/",
        f"/photos/{photo.pk}/image/user/",
        f"/photos/{photo.pk}/image/pk/",
        f"/photos/{photo.pk}/original/",
        f"/{path}",
        f"/media/{path}",
        f"/static/{path}",
        f"/static/../media/{path}",
    ]
    for address_ in tried:
        answer: Any = alice_client.get(address_)
        assert answer.status_code == 404, address_
    for kind in ("display", "thumbnail", "annotated"):
        answer = alice_client.get(f"/photos/{photo.pk}/image/{kind}/")
        assert original not in b"".join(answer)


def test_every_address_of_a_photo_or_a_face_is_tried_here() -> None:
    patterns = {str(entry.pattern) for entry in urls.urlpatterns}
    with_ids = {path for path in patterns if "photo_id" in path or "face_id" in path}
    tried = {
        path.lstrip("/").replace("{id}", "<uuid:photo_id>").replace("{face}", "<int:face_id>")
        for path in PAGES + ACTIONS + IMAGES
    }
    kinds = {path for path in tried if "/image/" in path}
    assert with_ids == tried - kinds | {"photos/<uuid:photo_id>/image/<slug:kind>/"}


@pytest.mark.parametrize("path", ["/photos/{id}/image/nothing/", "/photos/not-an-id/"])
def test_what_does_not_exist_is_404(photo: Photo, alice_client: Client, path: str) -> None:
    assert alice_client.get(path.format(id=photo.pk)).status_code == 404
