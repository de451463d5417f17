from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from pytest_django import Settings

from recognizer.models import Photo, User
from tests.api.sending import send_raw
from tests.factories import make_photo, make_photos, noise, owned_by
from tests.pages.conftest import owner_of


def upload(client: Client, *files: tuple[str, bytes]) -> str:
    """Send the form as a browser without scripts does; the page that follows."""
    images = [SimpleUploadedFile(name, data) for name, data in files]
    answer = client.post("/", {"image": images}, follow=True)
    assert answer.redirect_chain == [("/", 302)]
    page: str = answer.content.decode()
    return page


def test_an_empty_site_offers_an_example(guest_client: Client) -> None:
    page = guest_client.get("/").content.decode()
    assert 'action="/photos/example/"' in page
    assert "No photos yet" in page


def test_the_page_says_who_sees_a_photo_and_how_long_it_stays(
    guest_client: Client, alice_client: Client, settings: Settings
) -> None:
    page = guest_client.get("/").content.decode()
    assert "reviewers" in page
    assert f"deleted after {settings.GUEST_RETENTION_DAYS} days" in page
    assert "not of what a person feels" in page
    assert (
        f"deleted after {settings.GUEST_RETENTION_DAYS} days"
        not in alice_client.get("/").content.decode()
    )


def test_looking_at_the_page_starts_no_session(guest_client: Client, settings: Settings) -> None:
    answer = guest_client.get("/")
    assert settings.SESSION_COOKIE_NAME not in answer.cookies
    assert settings.CSRF_COOKIE_NAME in answer.cookies


def test_the_newest_photos_are_shown(alice_client: Client, alice: User, bob: User) -> None:
    mine = [make_photo(owned_by(alice), f"mine {number}.jpg") for number in range(14)]
    make_photo(owned_by(bob), "of bob.jpg")
    answer = alice_client.get("/")
    assert answer.context["recent"] == mine[:1:-1]
    assert answer.context["photo_count"] == 14
    assert "of bob" not in answer.content.decode()


@pytest.mark.parametrize("count", [1, 12])
def test_it_takes_the_same_queries_however_many_photos(
    alice_client: Client, alice: User, count: int, django_assert_max_num_queries: Any
) -> None:
    for _ in range(count):
        make_photo(owned_by(alice), faces=["happy", "?sad"], status=Photo.Status.QUEUED)
    with django_assert_max_num_queries(8):
        alice_client.get("/")


# --- The form without scripts ------------------------------------------------------------------


def test_the_form_takes_several_photos(alice_client: Client, alice: User) -> None:
    page = upload(alice_client, ("a.jpg", noise(1)), ("b.jpg", noise(2)))
    assert "2 photos were uploaded." in page
    assert set(Photo.objects.values_list("name", "user")) == {
        ("a.jpg", alice.pk),
        ("b.jpg", alice.pk),
    }


def test_a_bad_file_is_named_and_costs_the_others_nothing(guest_client: Client) -> None:
    page = upload(guest_client, ("a.jpg", noise(1)), ("bad.jpg", b"no"), ("empty.jpg", b""))
    assert "1 photo was uploaded." in page
    assert "“bad.jpg” is not an image" in page
    assert "“empty.jpg” is empty" in page
    assert Photo.objects.get().name == "a.jpg"
    assert owner_of(guest_client).photos().count() == 1


def test_a_form_without_a_file_says_so_and_starts_no_session(
    guest_client: Client, settings: Settings
) -> None:
    page = guest_client.post("/", follow=True).content.decode()
    assert "Choose at least one photo first." in page
    assert settings.SESSION_COOKIE_NAME not in guest_client.cookies


def test_a_file_that_is_far_too_large_is_named(guest_client: Client, settings: Settings) -> None:
    settings.MAX_UPLOAD_BYTES = 2**20
    send_raw(guest_client, bytes(5 * 2**20), b"endless.jpg", path="/")
    page = guest_client.get("/").content.decode()
    assert "“endless.jpg” is larger than 1 MB" in page
    assert "Choose at least one photo" not in page


def test_the_form_has_quotas_too(alice_client: Client, settings: Settings) -> None:
    settings.UPLOADS_PER_HOUR = 1
    page = upload(alice_client, ("a.jpg", noise(1)), ("b.jpg", noise(2)))
    assert "1 photo was uploaded." in page
    assert "“b.jpg” was not taken: too many uploads this hour." in page


def test_the_form_needs_a_csrf_token(alice: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    answer = client.post("/", {"image": SimpleUploadedFile("a.jpg", noise(1))})
    assert answer.status_code == 403
    assert b"Please try again" in answer.content
    assert not Photo.objects.exists()


# --- The example -------------------------------------------------------------------------------


def test_the_example_shows_a_result(
    guest_client: Client, recognize_queued: Callable[[], int]
) -> None:
    answer = guest_client.post("/photos/example/")
    photo = Photo.objects.get()
    assert answer.headers["Location"] == f"/photos/{photo.pk}/"
    assert photo.guest == owner_of(guest_client).guest
    recognize_queued()
    page = guest_client.get(f"/photos/{photo.pk}/")
    (face,) = page.context["faces"]
    assert face.emotion == "happy"


def test_the_example_twice_is_one_photo(guest_client: Client) -> None:
    places = {guest_client.post("/photos/example/").headers["Location"] for _ in range(2)}
    assert len(places) == 1
    assert Photo.objects.count() == 1


def test_the_example_counts_like_any_photo(db: None, settings: Settings) -> None:
    # Otherwise it would be the way to fill the disk: each call without a cookie is a new guest.
    settings.UPLOADS_PER_HOUR_PER_ADDRESS = 2
    places = [Client().post("/photos/example/").headers["Location"] for _ in range(3)]
    assert Photo.objects.count() == 2
    assert places[2] == "/"


def test_the_example_is_refused_on_a_full_site(guest_client: Client, settings: Settings) -> None:
    settings.DISK_LIMIT_MB = 0
    page = guest_client.post("/photos/example/", follow=True).content.decode()
    assert "“astronaut.jpg” was not stored" in page


def test_the_example_is_only_posted(guest_client: Client) -> None:
    assert guest_client.get("/photos/example/").status_code == 405


# --- Tiles while something moves ---------------------------------------------------------------


def test_many_tiles_come_in_one_answer(
    alice_client: Client, alice: User, django_assert_max_num_queries: Any
) -> None:
    photos = make_photos(owned_by(alice), 30, status=Photo.Status.QUEUED)
    # session, user, photos, faces, places in the queue, permissions (2)
    with django_assert_max_num_queries(7):
        answer = alice_client.get("/photos/cards/", {"id": [str(photo.pk) for photo in photos]})
    page = answer.content.decode()
    for photo in photos:
        assert f'id="photo-{photo.pk}"' in page
    assert page.count('hx-swap-oob="true"') == 30
    assert "Queued: next" in page
    assert "Queued: no. 30" in page


def test_tiles_of_nothing_are_nothing(alice_client: Client, alice: User) -> None:
    make_photo(owned_by(alice))
    for query in ("", "?id=", "?id=nonsense", "?id=1"):
        answer = alice_client.get(f"/photos/cards/{query}")
        assert answer.status_code == 200
        assert b"<li" not in answer.content


def test_a_tile_says_its_state(alice_client: Client, alice: User) -> None:
    said = {}
    for status in Photo.Status.values:
        photo = make_photo(owned_by(alice), status=status, error="It gave up.")
        said[status] = alice_client.get(f"/photos/{photo.pk}/card/").content.decode()
    assert "Queued: next" in said["queued"]
    assert "Reading faces…" in said["processing"]
    assert "No faces found" in said["done"]
    assert "It gave up." in said["failed"]
    assert {status for status, page in said.items() if "data-moving" in page} == {
        "queued",
        "processing",
    }


def test_a_tile_names_the_faces_and_marks_the_uncertain(alice_client: Client, alice: User) -> None:
    photo = make_photo(owned_by(alice), faces=["happy", "?sad"])
    page = alice_client.get(f"/photos/{photo.pk}/card/").content.decode()
    assert '<span class="emotion">happy</span>' in page
    assert '<span class="emotion emotion--uncertain">? sad or surprise</span>' in page
