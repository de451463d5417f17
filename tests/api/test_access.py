"""The owner, another user, a guest, a stranger, a reviewer; by cookie and by token."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from recognizer.models import ApiToken, Photo, User
from recognizer.services import tokens
from tests.api.sending import PHOTOS, bearer, detail_of, send
from tests.factories import make_photo, noise, owned_by


@pytest.fixture
def guest(guest_client: Client) -> Client:
    """A guest who has a photo."""
    send(guest_client, noise(99))
    return guest_client


def answers(client: Client, photo_id: Any, **headers: str) -> list[Any]:
    path = f"{PHOTOS}/{photo_id}"
    return [
        client.get(path, headers=headers),
        client.get(f"{path}/annotated", headers=headers),
        client.delete(path, headers=headers),
    ]


@pytest.fixture
def photo(alice: User) -> Photo:
    return make_photo(owned_by(alice), faces=["happy"])


@pytest.mark.parametrize("who", ["bob_client", "guest", "reviewer_client", "guest_client"])
def test_a_users_photo_is_404_for_everybody_else(
    photo: Photo, who: str, request: pytest.FixtureRequest
) -> None:
    client = request.getfixturevalue(who)
    theirs = [detail_of(answer, 404) for answer in answers(client, photo.pk)]
    nobodys = [detail_of(answer, 404) for answer in answers(client, uuid4())]
    assert theirs == nobodys  # not even that it exists
    assert Photo.objects.filter(pk=photo.pk).exists()


@pytest.mark.parametrize("who", ["alice_client", "reviewer_client"])
def test_a_guests_photo_is_404_for_users(
    guest: Client, who: str, request: pytest.FixtureRequest
) -> None:
    photo = Photo.objects.get()
    for answer in answers(request.getfixturevalue(who), photo.pk):
        detail_of(answer, 404)
    assert Photo.objects.exists()


def test_a_guests_photo_is_404_for_other_guests(guest: Client) -> None:
    photo = Photo.objects.get()
    another = Client()
    send(another, noise(1))
    for client in (another, Client()):
        for answer in answers(client, photo.pk):
            detail_of(answer, 404)


def test_the_owner_may_do_it_all(photo: Photo, alice_client: Client, guest: Client) -> None:
    make = [answer.status_code for answer in answers(alice_client, photo.pk)]
    assert make == [200, 200, 204]
    mine = Photo.objects.get()
    Photo.objects.filter(pk=mine.pk).update(status="done", annotated=photo.annotated.name)
    assert [answer.status_code for answer in answers(guest, mine.pk)] == [200, 200, 204]


def test_lists_hold_only_ones_own(
    photo: Photo, alice_client: Client, bob_client: Client, guest: Client, reviewer_client: Client
) -> None:
    lengths = [
        len(client.get(PHOTOS).json()["items"])
        for client in (alice_client, bob_client, guest, reviewer_client, Client())
    ]
    assert lengths == [1, 0, 1, 0, 0]


# --- Tokens ------------------------------------------------------------------------------------


def test_a_token_acts_as_its_user(alice: User, photo: Photo) -> None:
    _, token = tokens.create(alice, "laptop")
    client = Client(enforce_csrf_checks=True)  # Tokens need no CSRF token.
    assert [a.status_code for a in answers(client, photo.pk, **bearer(token))] == [200, 200, 204]
    answer = send(client, noise(1), **bearer(token))
    assert answer.status_code == 201
    assert Photo.objects.get().user == alice
    assert not answer.cookies


def test_a_token_decides_and_not_the_cookie_beside_it(
    alice: User, bob_client: Client, photo: Photo
) -> None:
    _, token = tokens.create(alice, "laptop")
    assert bob_client.get(f"{PHOTOS}/{photo.pk}", headers=bearer(token)).status_code == 200
    assert len(bob_client.get(PHOTOS, headers=bearer(token)).json()["items"]) == 1


def test_a_token_of_another_user_sees_nothing(bob: User, photo: Photo) -> None:
    _, token = tokens.create(bob, "laptop")
    for answer in answers(Client(), photo.pk, **bearer(token)):
        detail_of(answer, 404)


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer ", "Bearer wrong", "bearer we_wrong", "Bearer a b", "Bearer é"]
)
def test_a_wrong_token_is_401_even_with_a_good_cookie(
    alice_client: Client, photo: Photo, header: str
) -> None:
    headers = {"Authorization": header}
    for answer in answers(alice_client, photo.pk, **headers):
        detail_of(answer, 401)
    detail_of(send(alice_client, noise(1), **headers), 401)
    detail_of(alice_client.get(PHOTOS, headers=headers), 401)
    assert Photo.objects.count() == 1


def test_a_revoked_token_is_401(alice: User, photo: Photo) -> None:
    token, text = tokens.create(alice, "laptop")
    tokens.revoke(alice, token.pk)
    detail_of(Client().get(PHOTOS, headers=bearer(text)), 401)


def test_the_token_of_a_closed_account_is_401(alice: User, photo: Photo) -> None:
    _, text = tokens.create(alice, "laptop")
    User.objects.update(is_active=False)
    detail_of(Client().get(PHOTOS, headers=bearer(text)), 401)


def test_another_kind_of_authorization_is_left_to_the_cookie(
    alice_client: Client, photo: Photo
) -> None:
    # A site behind a password of its web server sends it along with every request.
    answer = alice_client.get(PHOTOS, headers={"Authorization": "Basic dXNlcjpwdw=="})
    assert len(answer.json()["items"]) == 1


def test_using_a_token_is_noted(alice: User) -> None:
    _, text = tokens.create(alice, "laptop")
    Client().get(PHOTOS, headers=bearer(text))
    seen = ApiToken.objects.get().last_used
    assert seen
    assert seen > timezone.now() - timedelta(minutes=1)
