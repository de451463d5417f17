import csv
import io
import json
import zipfile
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from recognizer.models import Photo, User
from recognizer.services.owners import Owner
from tests.factories import make_photo, make_photos, owned_by

KINDS = {"zip": "application/zip", "csv": "text/csv; charset=utf-8", "json": "application/json"}


@pytest.fixture
def mine(alice: User) -> Owner:
    return owned_by(alice)


def body(answer: Any) -> bytes:
    assert answer.status_code == 200
    assert answer.streaming
    return b"".join(answer.streaming_content)


def names(client: Client, query: str = "", **data: Any) -> set[str]:
    """The photos of a JSON download, by GET, or by POST if there is data."""
    path = f"/download/json/{query}"
    answer = client.post(path, data) if data else client.get(path)
    return {photo["name"] for photo in json.loads(body(answer))}


@pytest.mark.parametrize("kind", KINDS)
def test_files_are_private_attachments_that_are_streamed(
    alice_client: Client, mine: Owner, kind: str
) -> None:
    make_photo(mine, faces=["happy"])
    answer: Any = alice_client.get(f"/download/{kind}/")
    assert answer.headers["Content-Type"] == KINDS[kind]
    disposition = answer.headers["Content-Disposition"]
    assert disposition.startswith('attachment; filename="webemotion-20')
    assert disposition.endswith(f'.{kind}"')
    assert "private" in answer.headers["Cache-Control"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "Content-Length" not in answer.headers
    assert body(answer)


def test_the_photos_that_were_chosen(alice_client: Client, mine: Owner) -> None:
    a, b, _ = (make_photo(mine, f"{letter}.jpg") for letter in "abc")
    assert names(alice_client, f"?id={a.pk}&id={b.pk}") == {"a.jpg", "b.jpg"}
    assert names(alice_client, id=[a.pk, b.pk]) == {"a.jpg", "b.jpg"}


def test_without_a_choice_it_is_all_that_match(alice_client: Client, mine: Owner) -> None:
    make_photo(mine, "a.jpg", ["happy"])
    make_photo(mine, "b.jpg", ["?happy"])
    make_photo(mine, "c.jpg", status=Photo.Status.FAILED)
    assert names(alice_client) == {"a.jpg", "b.jpg", "c.jpg"}
    assert names(alice_client, "?emotion=happy") == {"a.jpg"}
    assert names(alice_client, "?state=uncertain") == {"b.jpg"}
    assert names(alice_client, "?name=nothing") == set()


@pytest.mark.parametrize("given", ["nonsense", "", "00000000-0000-4000-8000-000000000000"])
def test_a_choice_of_nothing_is_nothing_and_not_everything(
    alice_client: Client, mine: Owner, given: str
) -> None:
    make_photo(mine)
    assert names(alice_client, f"?id={given}") == set()
    assert names(alice_client, id=given) == set()


def test_a_zip_of_many_has_unique_readable_names(alice_client: Client, mine: Owner) -> None:
    chosen = [make_photo(mine, name) for name in ("IMG.jpg", "img.JPG", "IMG.png", "пляж 😀.jpg")]
    answer = alice_client.post("/download/zip/", {"id": [photo.pk for photo in chosen]})
    unzipped = zipfile.ZipFile(io.BytesIO(body(answer)))
    assert unzipped.testzip() is None
    found = sorted(unzipped.namelist(), key=str.casefold)
    assert found[-1] == "пляж 😀-annotated.jpg"
    assert len({name.casefold() for name in found}) == 4


def test_a_csv_is_a_table_and_harmless(alice_client: Client, mine: Owner) -> None:
    make_photo(mine, "=cmd|' /C calc'!A0.jpg", ["happy", "?sad"])
    text = body(alice_client.get("/download/csv/")).decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["emotion"] for row in rows] == ["happy", "sad"]
    assert rows[0]["file_name"].startswith("'=cmd")


def test_a_guest_downloads_their_own(guest: Client, mine: Owner) -> None:
    make_photo(mine, "of alice.jpg")
    assert names(guest) == {"of a guest.jpg"}
    assert names(Client()) == set()


@pytest.mark.parametrize("kind", KINDS)
def test_other_methods_and_forged_forms_are_refused(
    alice: User, alice_client: Client, kind: str
) -> None:
    path = f"/download/{kind}/"
    assert alice_client.put(path).status_code == 405
    assert alice_client.delete(path).status_code == 405
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(alice)
    assert strict.post(path, {"id": "1"}).status_code == 403


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_many_photos_take_few_queries(
    alice_client: Client,
    mine: Owner,
    kind: str,
    settings: Settings,
    django_assert_max_num_queries: Any,
) -> None:
    make_photos(mine, 300)
    # session, user, photos, faces of each hundred
    with django_assert_max_num_queries(6):
        body(alice_client.get(f"/download/{kind}/"))
