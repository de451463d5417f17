"""Who may send unsafe requests from where: a signed-in cookie, a guest's, none, a token."""

from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from recognizer.models import Photo, User
from recognizer.services import tokens
from tests.api.sending import PHOTOS, bearer, detail_of, send
from tests.factories import make_photo, noise, owned_by

HERE = "http://testserver"
ELSEWHERE: list[dict[str, str]] = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://testserver.evil.example"},
    {"Origin": "http://testserver:8080"},
    {"Origin": "http://["},
    {"Origin": HERE, "Sec-Fetch-Site": "cross-site"},
]
FROM_HERE: list[dict[str, str]] = [
    {},
    {"Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "none"},
    {"Origin": HERE},
    {"Origin": HERE, "Sec-Fetch-Site": "same-origin"},
]


def strict() -> Client:
    """A client that the CSRF checks see as they see a browser."""
    return Client(enforce_csrf_checks=True)


@pytest.fixture
def alice_strict(alice: User) -> Client:
    client = strict()
    client.force_login(alice)
    return client


@pytest.mark.django_db
@pytest.mark.parametrize("headers", FROM_HERE)
def test_guests_may_send_from_here_or_from_a_program(headers: dict[str, str]) -> None:
    client = strict()
    assert send(client, noise(1), **headers).status_code == 201
    photo = Photo.objects.get()
    assert client.delete(f"{PHOTOS}/{photo.pk}", headers=headers).status_code == 204


@pytest.mark.django_db
@pytest.mark.parametrize("headers", ELSEWHERE)
def test_guests_may_not_send_from_another_site(headers: dict[str, str]) -> None:
    client = strict()
    refused = send(client, noise(1), **headers)
    detail_of(refused, 403)
    assert not refused.cookies
    assert send(client, noise(1)).status_code == 201
    photo = Photo.objects.get()
    detail_of(send(client, noise(2), **headers), 403)
    detail_of(client.delete(f"{PHOTOS}/{photo.pk}", headers=headers), 403)
    assert Photo.objects.get() == photo


@pytest.mark.django_db
def test_a_site_that_is_trusted_may_send(settings: Settings) -> None:
    settings.CSRF_TRUSTED_ORIGINS = ["https://faces.example.org"]
    answer = send(strict(), noise(1), Origin="https://faces.example.org")
    assert answer.status_code == 201


@pytest.mark.django_db
def test_reading_is_allowed_from_anywhere() -> None:
    assert strict().get(PHOTOS, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200


def test_a_signed_in_cookie_needs_a_csrf_token(alice_strict: Client, alice: User) -> None:
    photo = make_photo(owned_by(alice))
    for headers in ({}, {"Sec-Fetch-Site": "same-origin"}, {"X-CSRFToken": "guessed"}):
        for answer in (
            send(alice_strict, noise(1), **headers),
            alice_strict.delete(f"{PHOTOS}/{photo.pk}", headers=headers),
        ):
            assert "X-CSRFToken" in detail_of(answer, 403)
    assert Photo.objects.get() == photo


def csrf_token(client: Client) -> str:
    client.get("/")
    return client.cookies["csrftoken"].value


def test_a_signed_in_cookie_with_the_csrf_token_may_send(alice_strict: Client, alice: User) -> None:
    headers: dict[str, Any] = {"X-CSRFToken": csrf_token(alice_strict)}
    assert send(alice_strict, noise(1), **headers).status_code == 201
    photo = Photo.objects.get()
    assert photo.user == alice
    assert alice_strict.delete(f"{PHOTOS}/{photo.pk}", headers=headers).status_code == 204


def test_the_csrf_token_does_not_help_another_site(alice_strict: Client) -> None:
    token = csrf_token(alice_strict)
    answer = send(alice_strict, noise(1), X_CSRFToken=token, Origin="https://evil.example")
    detail_of(answer, 403)


def test_a_token_needs_no_csrf_token_wherever_it_comes_from(
    alice: User, alice_strict: Client
) -> None:
    _, token = tokens.create(alice, "laptop")
    for client in (strict(), alice_strict):
        answer = send(client, noise(1), **bearer(token), Origin="https://app.example")
        assert answer.status_code in (200, 201)
