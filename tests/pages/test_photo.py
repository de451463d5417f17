from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from recognizer.models import Photo, Review, User
from recognizer.services import reviews
from recognizer.services.owners import Owner
from tests.factories import make_photo, owned_by
from tests.pages.conftest import owner_of


@pytest.fixture
def mine(alice: User) -> Owner:
    return owned_by(alice)


def page_of(client: Client, photo: Photo, part: str = "") -> str:
    answer = client.get(f"/photos/{photo.pk}/{part}")
    assert answer.status_code == 200
    return str(answer.content.decode())


def test_every_face_is_named_with_its_runner_up_and_all_eight(
    alice_client: Client, mine: Owner
) -> None:
    photo = make_photo(mine, "beach.jpg", ["happy", "?sad"])
    page = page_of(alice_client, photo)
    assert "beach.jpg" in page
    assert "90%" in page
    assert "then surprise 6%" in page
    assert "? sad or surprise" in page
    assert "The first two emotions are close." in page
    assert page.count("chart__row") >= 16
    for face in photo.faces.all():
        assert f"/faces/{face.pk}/crop/" in page
    assert page.count("box--uncertain") == 1


def test_the_states_say_what_is_going_on(alice_client: Client, mine: Owner) -> None:
    pages = {
        status: page_of(alice_client, make_photo(mine, status=status, error="It gave up."))
        for status in Photo.Status.values
    }
    assert "Queued: next in line" in pages["queued"]
    assert "Reading faces…" in pages["processing"]
    assert "No faces found" in pages["done"]
    assert "It gave up." in pages["failed"]
    assert "Try again" in pages["failed"]
    assert {status for status, page in pages.items() if "data-poll" in page} == {
        "queued",
        "processing",
    }


def test_the_changing_part_comes_alone(alice_client: Client, mine: Owner) -> None:
    part = page_of(alice_client, make_photo(mine, faces=["happy"]), "result/")
    assert part.lstrip().startswith("<div class=")
    assert "<html" not in part


def test_a_guest_is_told_until_when_it_is_kept(guest: Client, alice_client: Client) -> None:
    photo = Photo.objects.get()
    assert photo.expires
    assert f'datetime="{photo.expires:%Y-%m-%dT%H:%M}' in page_of(guest, photo)
    assert "Kept until" in page_of(guest, photo)


def test_a_user_is_told_no_date(alice_client: Client, mine: Owner) -> None:
    assert "Kept until" not in page_of(alice_client, make_photo(mine))


def test_it_leads_to_its_own_neighbours_only(alice_client: Client, mine: Owner, bob: User) -> None:
    now = timezone.now()
    old, here, new = (make_photo(mine, created=now + timedelta(hours=n)) for n in range(3))
    make_photo(owned_by(bob), created=now + timedelta(minutes=30))
    context = alice_client.get(f"/photos/{here.pk}/").context
    assert (context["older"], context["newer"]) == (old, new)


def test_the_first_of_several_pictures_says_so(alice_client: Client, mine: Owner) -> None:
    photo = make_photo(mine, note="The file holds 3 pictures; only the first is read.")
    assert "only the first is read" in page_of(alice_client, photo)


@pytest.mark.parametrize("count", [1, 30])
def test_it_takes_the_same_queries_however_many_faces(
    alice_client: Client, mine: Owner, count: int, django_assert_max_num_queries: Any
) -> None:
    photo = make_photo(mine, faces=["happy"] * count)
    # session, user, photo, two neighbours, faces, verdicts, permissions (2)
    with django_assert_max_num_queries(9):
        page_of(alice_client, photo)


# --- Try again ---------------------------------------------------------------------------------


def test_a_failed_photo_can_be_queued_again(alice_client: Client, mine: Owner) -> None:
    photo = make_photo(mine, status=Photo.Status.FAILED, attempts=3, error="It gave up.")
    answer = alice_client.post(f"/photos/{photo.pk}/retry/")
    assert answer.headers["Location"] == f"/photos/{photo.pk}/"
    photo.refresh_from_db()
    assert (photo.status, photo.attempts, photo.error) == (Photo.Status.QUEUED, 0, "")


def test_scripts_get_the_tile_back(alice_client: Client, mine: Owner) -> None:
    photo = make_photo(mine, status=Photo.Status.FAILED)
    answer = alice_client.post(f"/photos/{photo.pk}/retry/", headers={"HX-Request": "true"})
    assert b"Queued: next" in answer.content
    assert answer.content.lstrip().startswith(b"<li")


@pytest.mark.parametrize("status", ["queued", "processing", "done"])
def test_what_did_not_fail_is_not_done_again(
    alice_client: Client, mine: Owner, status: str
) -> None:
    photo = make_photo(mine, status=status, attempts=1)
    alice_client.post(f"/photos/{photo.pk}/retry/")
    photo.refresh_from_db()
    assert (photo.status, photo.attempts) == (status, 1)


def test_trying_again_is_only_posted(alice_client: Client, mine: Owner) -> None:
    photo = make_photo(mine, status=Photo.Status.FAILED)
    assert alice_client.get(f"/photos/{photo.pk}/retry/").status_code == 405


# --- That's wrong ------------------------------------------------------------------------------


def say(client: Client, photo: Photo, **fields: str) -> Any:
    """As htmx sends it."""
    face = photo.faces.get()
    return client.post(f"/faces/{face.pk}/verdict/", fields, headers={"HX-Request": "true"})


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"verdict": "correct", "emotion": "sad"}, "sad"),
        ({"verdict": "accept"}, "right"),
        ({"verdict": "not_a_face"}, "not a face"),
        ({"verdict": "cant_tell"}, "can&#x27;t tell"),
    ],
)
def test_the_owners_verdict_is_kept_beside_the_prediction(
    alice_client: Client, alice: User, mine: Owner, fields: dict[str, str], words: str
) -> None:
    photo = make_photo(mine, faces=["happy"])
    answer = say(alice_client, photo, **fields)
    assert f"<strong>{words}</strong>" in answer.content.decode()
    review = Review.objects.get()
    assert (review.role, review.reviewer, review.verdict) == ("owner", alice, fields["verdict"])
    face = photo.faces.get()
    assert face.current
    assert face.current.emotion == "happy"


def test_a_guest_may_say_so_too(guest: Client) -> None:
    photo = make_photo(owner_of(guest), faces=["happy"])
    say(guest, photo, verdict="correct", emotion="fear")
    review = Review.objects.get()
    assert (review.role, review.reviewer, review.emotion) == ("owner", None, "fear")


def test_a_second_verdict_is_added_and_the_newest_is_shown(
    alice_client: Client, mine: Owner
) -> None:
    photo = make_photo(mine, faces=["happy"])
    say(alice_client, photo, verdict="correct", emotion="sad")
    answer = say(alice_client, photo, verdict="correct", emotion="fear")
    assert b"<strong>fear</strong>" in answer.content
    assert Review.objects.count() == 2


def test_a_reviewers_verdict_is_not_shown_as_ones_own(alice_client: Client, mine: Owner) -> None:
    photo = make_photo(mine, faces=["happy"])
    prediction = photo.faces.get().current
    assert prediction
    reviews.record(prediction, Review.Role.REVIEWER, "correct", "fear")
    assert "You said" not in page_of(alice_client, photo)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"verdict": "maybe"},
        {"verdict": "correct"},
        {"verdict": "correct", "emotion": "<script>"},
        {"verdict": "accept", "emotion": "sad"},
    ],
)
def test_a_verdict_that_makes_no_sense_is_400(
    alice_client: Client, mine: Owner, fields: dict[str, str]
) -> None:
    answer = say(alice_client, make_photo(mine, faces=["happy"]), **fields)
    assert answer.status_code == 400
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert not Review.objects.exists()


def test_without_scripts_one_is_back_at_the_photo(alice_client: Client, mine: Owner) -> None:
    photo = make_photo(mine, faces=["happy"])
    path = f"/faces/{photo.faces.get().pk}/verdict/"
    answer = alice_client.post(path, {"verdict": "accept"})
    assert answer.headers["Location"] == f"/photos/{photo.pk}/"


def test_a_verdict_is_only_posted(alice_client: Client, mine: Owner) -> None:
    face = make_photo(mine, faces=["happy"]).faces.get()
    assert alice_client.get(f"/faces/{face.pk}/verdict/").status_code == 405
