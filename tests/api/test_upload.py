from collections.abc import Callable
from typing import Any

from django.test import Client
from django.utils.dateparse import parse_datetime
from numpy.typing import NDArray
from pytest_django import Settings

from recognizer.models import Photo, User
from recognizer.services import tokens
from tests.api.sending import PHOTOS, bearer, detail_of, send
from tests.factories import noise

KEYS = ["id", "status", "name", "created", "width", "height", "error", "note", "faces"]


def test_a_new_photo_is_201_and_queued(alice_client: Client, alice: User) -> None:
    answer = send(alice_client, noise(1))
    assert answer.status_code == 201
    photo = answer.json()
    assert list(photo) == KEYS
    row = Photo.objects.get()
    assert photo["id"] == str(row.pk)
    assert row.user == alice
    assert (photo["status"], photo["name"]) == ("queued", "face.jpg")
    assert (photo["width"], photo["height"]) == (64, 48)
    assert photo["error"] is photo["note"] is None
    assert photo["faces"] == []
    created = parse_datetime(photo["created"])
    assert created
    assert created.tzinfo


def test_the_same_bytes_are_200_and_the_same_photo(
    alice_client: Client, bob_client: Client, guest_client: Client
) -> None:
    for client in (alice_client, bob_client, guest_client):
        first = send(client, noise(1))
        again = send(client, noise(1), "other name.jpg")
        assert (first.status_code, again.status_code) == (201, 200)
        assert again.json() == first.json()
    assert Photo.objects.count() == 3


def test_the_same_bytes_bring_the_result(
    alice_client: Client,
    astronaut: NDArray[Any],
    jpeg: Callable[..., bytes],
    recognize_queued: Callable[[], int],
) -> None:
    data = jpeg(astronaut)
    send(alice_client, data)
    recognize_queued()
    again = send(alice_client, data)
    assert (again.status_code, again.json()["status"]) == (200, "done")
    assert len(again.json()["faces"]) == 1


def test_the_same_bytes_queue_a_failed_photo_again(alice_client: Client) -> None:
    send(alice_client, noise(1))
    Photo.objects.update(status=Photo.Status.FAILED, error="It gave up.")
    again = send(alice_client, noise(1))
    assert (again.status_code, again.json()["status"], again.json()["error"]) == (
        200,
        "queued",
        None,
    )


def test_a_stranger_becomes_a_guest(guest_client: Client, settings: Settings) -> None:
    answer = send(guest_client, noise(1))
    assert answer.status_code == 201
    cookie = answer.cookies[settings.SESSION_COOKIE_NAME]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    assert int(cookie["max-age"]) > settings.GUEST_RETENTION_DAYS * 86_400
    photo = Photo.objects.get()
    assert photo.user is None
    assert photo.guest == guest_client.session["guest"]
    assert photo.guest not in answer.content.decode()


def test_a_guest_stays_the_same_guest(guest_client: Client) -> None:
    for seed in range(3):
        send(guest_client, noise(seed))
    assert len(set(Photo.objects.values_list("guest", flat=True))) == 1
    assert len(guest_client.get(PHOTOS).json()["items"]) == 3


def test_reading_makes_nobody_a_guest(guest_client: Client) -> None:
    answer = guest_client.get(PHOTOS)
    assert answer.json() == {"items": [], "next": None}
    assert not answer.cookies


def test_a_refused_photo_stores_nothing_and_the_next_one_works(guest_client: Client) -> None:
    detail_of(send(guest_client, b"no image"), 422)
    assert not Photo.objects.exists()
    assert send(guest_client, noise(1)).status_code == 201


# --- Limits ------------------------------------------------------------------------------------


def test_too_many_uploads_are_429_with_a_time_to_wait(
    alice_client: Client, bob_client: Client, settings: Settings
) -> None:
    settings.UPLOADS_PER_HOUR = 2
    answers = [send(alice_client, noise(seed), f"{seed}.jpg") for seed in range(3)]
    assert [answer.status_code for answer in answers] == [201, 201, 429]
    assert "“2.jpg”" in detail_of(answers[2], 429)
    assert 0 < int(answers[2].headers["Retry-After"]) <= 3601
    assert send(bob_client, noise(1)).status_code == 201
    assert Photo.objects.count() == 3


def test_a_new_cookie_is_no_new_quota(db: None, settings: Settings) -> None:
    settings.UPLOADS_PER_HOUR_PER_ADDRESS = 2
    answers = [send(Client(), noise(seed)) for seed in range(3)]
    assert [answer.status_code for answer in answers] == [201, 201, 429]
    elsewhere = Client(REMOTE_ADDR="198.51.100.7")
    assert send(elsewhere, noise(4)).status_code == 201


def test_a_token_has_its_users_quota(alice_client: Client, alice: User, settings: Settings) -> None:
    settings.UPLOADS_PER_HOUR = 1
    _, token = tokens.create(alice, "laptop")
    assert send(Client(), noise(1), **bearer(token)).status_code == 201
    assert send(alice_client, noise(2)).status_code == 429


def test_a_full_site_is_507(alice_client: Client, settings: Settings) -> None:
    settings.DISK_LIMIT_MB = 0
    assert "“face.jpg”" in detail_of(send(alice_client, noise(1)), 507)
    assert not Photo.objects.exists()
