import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from recognizer.models import Photo, User
from recognizer.services.owners import Owner
from tests.conftest import PASSWORD
from tests.factories import make_photo, make_photos, owned_by
from tests.pages.conftest import owner_of


@pytest.fixture
def mine(alice: User) -> Owner:
    return owned_by(alice)


def names(answer: Any) -> set[str]:
    assert answer.status_code == 200
    return {photo.name for photo in answer.context["page"].photos}


def test_an_empty_history_offers_something_to_do(alice_client: Client) -> None:
    page = alice_client.get("/history/").content.decode()
    assert "No photos yet" in page
    assert 'action="/photos/example/"' in page


def test_a_guest_has_a_history_too(guest: Client, guest_client: Client) -> None:
    assert names(guest.get("/history/")) == {"of a guest.jpg"}
    assert names(Client().get("/history/")) == set()


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("", "abcd"),
        ("?emotion=happy", "a"),
        ("?state=uncertain", "b"),
        ("?state=no_faces", "c"),
        ("?state=failed", "d"),
        ("?name=B.J", "b"),
        ("?emotion=happy&state=failed", ""),
        ("?date_from=2001-01-01&date_to=2001-01-02", ""),
    ],
)
def test_filters_live_in_the_address(
    alice_client: Client, mine: Owner, query: str, shown: str
) -> None:
    make_photo(mine, "a.jpg", ["happy"])
    make_photo(mine, "b.jpg", ["?happy"])
    make_photo(mine, "c.jpg")
    make_photo(mine, "d.jpg", status=Photo.Status.FAILED)
    answer = alice_client.get(f"/history/{query}")
    assert names(answer) == {f"{letter}.jpg" for letter in shown}
    assert answer.context["total"] == len(shown)


@pytest.mark.parametrize(
    "query",
    [
        "emotion=joy",
        "state=maybe",
        "date_from=yesterday",
        "date_to=2026-13-45",
        "name=" + "x" * 300,
        "name=%00",
        "date_from=0000-00-00",
        "unknown=1",
    ],
)
def test_a_wrong_filter_is_ignored_and_never_an_error(
    alice_client: Client, mine: Owner, query: str
) -> None:
    make_photo(mine, "a.jpg", ["happy"])
    assert names(alice_client.get(f"/history/?{query}")) == {"a.jpg"}


def test_no_match_offers_to_clear_the_filters(alice_client: Client, mine: Owner) -> None:
    make_photo(mine)
    page = alice_client.get("/history/?name=nothing").content.decode()
    assert "No photo matches" in page
    assert "Clear all filters" in page


# --- Pages -------------------------------------------------------------------------------------


def test_leafing_keeps_the_filters(alice_client: Client, mine: Owner) -> None:
    now = timezone.now()
    for number, photo in enumerate(make_photos(mine, 130)):
        photo.created = now - timedelta(minutes=number)
        photo.save(update_fields=["created"])
    make_photo(mine, "other.png")
    seen: list[str] = []
    path: str | None = "/history/?name=.jpg"
    while path:
        answer = alice_client.get(path)
        seen += [photo.name for photo in answer.context["page"].photos]
        link = re.search(r'<a class="button" rel="next" href="([^"]+)"', answer.content.decode())
        path = "/history/" + link[1].replace("&amp;", "&") if link else None
    assert len(seen) == 130
    assert seen[0] == "0.jpg"
    assert len(set(seen)) == 130
    assert "other.png" not in seen


@pytest.mark.parametrize("cursor", ["nonsense", "a:b:c", "%00", "é"])
def test_a_page_that_is_none_is_404(alice_client: Client, cursor: str) -> None:
    assert alice_client.get(f"/history/?cursor={cursor}").status_code == 404


@pytest.mark.parametrize("count", [2, 60])
def test_it_takes_the_same_queries_however_many_photos(
    alice_client: Client, mine: Owner, count: int, django_assert_max_num_queries: Any
) -> None:
    for number in range(count):
        status = Photo.Status.QUEUED if number % 2 else Photo.Status.DONE
        make_photo(mine, faces=["happy", "?sad"], status=status)
    # session, user, two counts, photos, faces, places in the queue, permissions (2)
    with django_assert_max_num_queries(9):
        assert len(names(alice_client.get("/history/"))) == 1


def test_a_photo_that_ended_uploading_after_signing_in_is_there(
    guest_client: Client, guest: Client, alice: User
) -> None:
    owner = owner_of(guest)
    guest.post("/sign-in/", {"username": "alice", "password": PASSWORD})
    make_photo(owner, "late.jpg")
    assert names(guest.get("/history/")) == {"late.jpg", "of a guest.jpg"}
    assert Photo.objects.filter(user=alice).count() == 2
