from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from recognizer.models import Photo, User
from recognizer.services.owners import Owner
from tests.api.sending import send
from tests.factories import make_photo, noise, owned_by


@pytest.fixture
def mine(alice: User) -> Owner:
    return owned_by(alice)


def delete(client: Client, *photos: Photo) -> Any:
    return client.post("/photos/delete/", {"id": [photo.pk for photo in photos]})


def restore(client: Client, *photos: Photo) -> Any:
    return client.post("/photos/restore/", {"id": [photo.pk for photo in photos]})


def test_several_are_deleted_and_brought_back(
    alice_client: Client, mine: Owner, settings: Settings
) -> None:
    photos = [make_photo(mine) for _ in range(3)]
    answer = delete(alice_client, *photos[:2])
    gone = {str(photo.pk) for photo in photos[:2]}
    assert set(answer.json()["deleted"]) == gone
    assert answer.json()["undo_seconds"] == settings.UNDO_SECONDS == 10
    assert mine.photos().get() == photos[2]
    assert set(restore(alice_client, *photos).json()["restored"]) == gone
    assert mine.photos().count() == 3


def test_a_guest_can_delete_and_undo(guest: Client) -> None:
    photo = Photo.objects.get()
    assert delete(guest, photo).json()["deleted"] == [str(photo.pk)]
    assert guest.get(f"/photos/{photo.pk}/").status_code == 404
    assert restore(guest, photo).json()["restored"] == [str(photo.pk)]
    assert guest.get(f"/photos/{photo.pk}/").status_code == 200


def test_an_undo_after_sending_it_again_keeps_one(alice_client: Client, mine: Owner) -> None:
    send(alice_client, noise(1))
    old = Photo.objects.get()
    delete(alice_client, old)
    assert send(alice_client, noise(1)).status_code == 201
    assert restore(alice_client, old).json()["restored"] == []
    assert mine.photos().count() == 1


def test_an_undo_comes_too_late(alice_client: Client, mine: Owner) -> None:
    photo = make_photo(mine, deleted_at=timezone.now() - timedelta(minutes=1))
    assert restore(alice_client, photo).json()["restored"] == []


def test_a_form_without_scripts_goes_back_to_the_history(alice_client: Client, mine: Owner) -> None:
    photo = make_photo(mine)
    answer = alice_client.post(
        "/photos/delete/", {"id": photo.pk}, headers={"Accept": "text/html,*/*"}, follow=True
    )
    assert answer.redirect_chain == [("/history/", 302)]
    assert b"1 photo was deleted." in answer.content


@pytest.mark.parametrize("path", ["/photos/delete/", "/photos/restore/", "/account/erase/"])
def test_nothing_is_deleted_by_reading_or_from_another_site(
    alice: User, mine: Owner, path: str
) -> None:
    photo = make_photo(mine)
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    assert client.get(path, {"id": str(photo.pk)}).status_code == 405
    assert client.post(path, {"id": photo.pk}).status_code == 403
    assert mine.photos().get() == photo


@pytest.mark.parametrize("ids", [[], ["nonsense"], [""], ["'; DROP TABLE photos;--"]])
def test_ids_that_are_none_delete_nothing(
    alice_client: Client, mine: Owner, ids: list[str]
) -> None:
    make_photo(mine)
    answer = alice_client.post("/photos/delete/", {"id": ids})
    assert answer.json()["deleted"] == []
    assert mine.photos().exists()


# --- Erase all of mine -------------------------------------------------------------------------


def test_a_user_erases_everything_of_theirs_at_once(
    alice_client: Client,
    mine: Owner,
    bob: User,
    settings: Settings,
    django_capture_on_commit_callbacks: Any,
) -> None:
    for _ in range(3):
        make_photo(mine, faces=["happy"])
    make_photo(mine, deleted_at=timezone.now())
    other = make_photo(owned_by(bob))
    with django_capture_on_commit_callbacks(execute=True):
        answer = alice_client.post("/account/erase/", follow=True)
    assert answer.redirect_chain == [("/account/", 302)]
    assert b"4 photos were erased." in answer.content
    assert Photo.objects.get() == other
    left = {path.name for path in Path(settings.MEDIA_ROOT).rglob("*") if path.is_file()}
    assert left == {Path(file.name or "").name for file in other.files}


def test_a_guest_erases_everything_of_theirs(guest: Client, mine: Owner) -> None:
    users = make_photo(mine)
    assert "1 photo is kept for you." in guest.get("/account/").content.decode()
    guest.post("/account/erase/")
    assert Photo.objects.get() == users
    assert "No photos are kept for you." in guest.get("/account/").content.decode()


def test_a_stranger_erases_nothing(guest_client: Client, mine: Owner) -> None:
    make_photo(mine)
    guest_client.post("/account/erase/")
    assert Photo.objects.count() == 1
