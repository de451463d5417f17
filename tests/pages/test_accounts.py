import re
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.core import mail
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from recognizer.models import ApiToken, Photo, User
from recognizer.services import tokens
from tests.api.sending import PHOTOS, bearer, send
from tests.conftest import PASSWORD
from tests.factories import let_review, make_photo, noise, owned_by
from tests.pages.conftest import owner_of

NEW = {"username": "carol", "email": "carol@example.org"}
NEW |= {"password1": PASSWORD, "password2": PASSWORD}


def sign_in(client: Client, username: str = "alice", password: str = PASSWORD) -> Any:
    return client.post("/sign-in/", {"username": username, "password": password})


def page(answer: Any) -> str:
    assert answer.status_code == 200
    return str(answer.content.decode())


# --- Sign up -----------------------------------------------------------------------------------


def test_signing_up_opens_an_account_without_any_rights(guest_client: Client) -> None:
    answer = guest_client.post("/sign-up/", NEW)
    assert answer.headers["Location"] == "/history/"
    user = User.objects.get()
    assert (user.username, user.email) == ("carol", "carol@example.org")
    assert not user.is_staff
    assert not user.is_superuser
    assert not user.has_perm("recognizer.review")
    assert user.password != PASSWORD
    assert "carol" in page(guest_client.get("/account/"))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"username": "ALICE"}, "This user name is taken."),
        ({"username": "no spaces allowed"}, "Enter a valid username."),
        ({"email": ""}, "This field is required."),
        ({"email": "nonsense"}, "Enter a valid email address."),
        ({"password1": "123", "password2": "123"}, "This password is too short."),
        ({"password2": "another one"}, "password fields didn’t match"),
        ({"username": ""}, "This field is required."),
    ],
)
def test_what_is_wrong_is_said(
    guest_client: Client, alice: User, change: dict[str, str], reason: str
) -> None:
    answer = guest_client.post("/sign-up/", NEW | change)
    assert reason in page(answer)
    assert User.objects.get() == alice


def test_a_form_cannot_give_itself_rights(guest_client: Client) -> None:
    guest_client.post("/sign-up/", NEW | {"is_staff": "on", "is_superuser": "on"})
    user = User.objects.get()
    assert not user.is_staff
    assert not user.is_superuser


def test_sign_up_can_be_switched_off(guest_client: Client, settings: Settings) -> None:
    settings.SIGNUP_ENABLED = False
    assert guest_client.get("/sign-up/").status_code == 404
    assert guest_client.post("/sign-up/", NEW).status_code == 404
    assert not User.objects.exists()
    for path in ("/", "/sign-in/", "/account/"):
        assert "/sign-up/" not in page(guest_client.get(path))


def test_who_is_signed_in_needs_no_account(alice_client: Client) -> None:
    assert alice_client.get("/sign-up/").headers["Location"] == "/history/"
    assert alice_client.get("/sign-in/").headers["Location"] == "/history/"


# --- Sign in and out ---------------------------------------------------------------------------


def test_a_guest_who_signs_in_keeps_the_photos(guest: Client, alice: User) -> None:
    photo = Photo.objects.get()
    sign_in(guest)
    photo.refresh_from_db()
    assert (photo.user, photo.guest) == (alice, "")
    assert guest.get(f"/photos/{photo.pk}/").status_code == 200
    assert guest.get(f"/photos/{photo.pk}/image/display/").status_code == 200


def test_a_guest_who_signs_up_keeps_the_photos(guest: Client) -> None:
    guest.post("/sign-up/", NEW)
    assert Photo.objects.get().user == User.objects.get()


def test_duplicates_are_merged_when_signing_in(alice_client: Client, guest_client: Client) -> None:
    send(alice_client, noise(1))
    send(guest_client, noise(1))
    send(guest_client, noise(2))
    assert sign_in(guest_client).status_code == 302
    listed = guest_client.get(PHOTOS).json()["items"]
    assert len(listed) == 2
    assert guest_client.get("/account/").context["photo_count"] == 2


def test_a_wrong_password_adopts_nothing(guest: Client, alice: User) -> None:
    answer = sign_in(guest, password="wrong")
    assert "Please enter a correct" in page(answer)
    assert Photo.objects.get().user is None


def test_signing_in_changes_the_session_key(guest: Client, alice: User) -> None:
    before = guest.session.session_key
    sign_in(guest)
    assert guest.session.session_key != before


def test_after_signing_out_the_photos_are_not_to_be_seen(guest: Client, alice: User) -> None:
    sign_in(guest)
    photo = Photo.objects.get()
    assert guest.get("/sign-out/").status_code == 405
    assert guest.post("/sign-out/").headers["Location"] == "/"
    assert guest.get(f"/photos/{photo.pk}/").status_code == 404
    assert "guest" not in guest.session
    send(guest, noise(5))
    assert Photo.objects.filter(user=None).count() == 1


def test_the_next_user_of_a_browser_gets_nothing_of_the_last(
    guest: Client, alice: User, bob: User
) -> None:
    sign_in(guest)
    guest.post("/sign-out/")
    sign_in(guest, "bob")
    assert not owned_by(bob).photos().exists()
    assert owned_by(alice).photos().count() == 1


def test_signing_in_leads_only_to_this_site(guest_client: Client, alice: User) -> None:
    form = {"username": "alice", "password": PASSWORD}
    answer = guest_client.post("/sign-in/", form | {"next": "https://evil.example/"})
    assert answer.headers["Location"] == "/history/"
    guest_client.post("/sign-out/")
    answer = guest_client.post("/sign-in/", form | {"next": "/account/"})
    assert answer.headers["Location"] == "/account/"


def test_every_page_is_headed_by_the_sites_name(guest_client: Client) -> None:
    for path in ("/sign-in/", "/sign-up/", "/password-reset/", "/about/"):
        text = page(guest_client.get(path))
        assert "<span>WebEmotion</span>" in text
        assert "testserver" not in text


# --- Passwords ---------------------------------------------------------------------------------


def test_a_forgotten_password_is_reset_by_mail(guest_client: Client, alice: User) -> None:
    answer = guest_client.post("/password-reset/", {"email": "alice@example.org"}, follow=True)
    assert "Look into your mail" in page(answer)
    (message,) = mail.outbox
    assert message.to == ["alice@example.org"]
    assert message.subject == "A new password for WebEmotion"
    assert "\n" not in message.subject
    assert "alice on WebEmotion" in message.body
    link = re.search(r"http://testserver(/password-reset/\S+)", str(message.body))
    assert link
    form = guest_client.get(link[1], follow=True)
    assert "Set a new password" in page(form)
    new = {"new_password1": "another good one", "new_password2": "another good one"}
    done = guest_client.post(form.redirect_chain[-1][0], new, follow=True)
    assert "The new password is set" in page(done)
    assert sign_in(guest_client).status_code == 200
    assert sign_in(guest_client, password="another good one").status_code == 302
    again = Client().get(link[1], follow=True)
    assert "This link no longer works" in page(again)


def test_the_link_leads_to_the_public_address(
    guest_client: Client, alice: User, settings: Settings
) -> None:
    settings.PUBLIC_URL = settings.PUBLIC_ORIGIN = "https://faces.example.org"
    guest_client.post("/password-reset/", {"email": "alice@example.org"})
    assert "https://faces.example.org/password-reset/" in mail.outbox[0].body
    assert "testserver" not in mail.outbox[0].body


def test_nobody_learns_who_has_an_account(guest_client: Client, alice: User) -> None:
    known = guest_client.post("/password-reset/", {"email": "alice@example.org"}, follow=True)
    unknown = guest_client.post("/password-reset/", {"email": "nobody@example.org"}, follow=True)
    assert page(known) == page(unknown)
    assert len(mail.outbox) == 1


def test_a_password_is_changed(alice_client: Client) -> None:
    new = {"new_password1": "another good one", "new_password2": "another good one"}
    wrong = alice_client.post("/password-change/", {"old_password": "wrong", **new})
    assert "was entered incorrectly" in page(wrong)
    done = alice_client.post("/password-change/", {"old_password": PASSWORD, **new}, follow=True)
    assert "The new password is set" in page(done)
    assert alice_client.get("/account/").context["user"].is_authenticated


def test_only_who_is_signed_in_changes_a_password(guest_client: Client) -> None:
    location = guest_client.get("/password-change/").headers["Location"]
    assert location == "/sign-in/?next=/password-change/"


# --- API tokens --------------------------------------------------------------------------------


def make_token(client: Client, name: str = "laptop") -> Any:
    return client.post("/account/tokens/", {"name": name})


def test_a_token_is_shown_once(alice_client: Client, alice: User) -> None:
    answer = make_token(alice_client)
    text = re.search(r"we_[\w-]{40,}", page(answer))
    assert text
    assert "no-store" in answer.headers["Cache-Control"]
    assert tokens.user_of(text[0]) == alice
    again = page(alice_client.get("/account/"))
    assert "laptop" in again
    assert "we_" not in again
    assert text[0] not in str(dict(alice_client.session))


def test_a_token_works_until_it_is_revoked(alice_client: Client) -> None:
    text = re.search(r"we_[\w-]{40,}", page(make_token(alice_client)))
    assert text
    assert Client().get(PHOTOS, headers=bearer(text[0])).status_code == 200
    path = reverse("token-revoke", args=[ApiToken.objects.get().pk])
    answer = alice_client.post(path, follow=True)
    assert "The token is revoked." in page(answer)
    assert "You have no tokens." in page(answer)
    assert Client().get(PHOTOS, headers=bearer(text[0])).status_code == 401


def test_others_see_and_revoke_no_token(
    alice: User, bob_client: Client, guest: Client, reviewer_client: Client
) -> None:
    token, text = tokens.create(alice, "laptop of alice")
    for client in (bob_client, guest, reviewer_client, Client()):
        assert "laptop of alice" not in page(client.get("/account/"))
        client.post(reverse("token-revoke", args=[token.pk]))
    assert tokens.user_of(text) == alice


def test_guests_have_no_tokens(guest: Client) -> None:
    # Not back to this address, which only takes forms, but to the page with the form.
    for path in ("/account/tokens/", "/account/tokens/1/revoke/"):
        assert guest.post(path, {"name": "x"}).headers["Location"] == "/sign-in/?next=/account/"
    assert not ApiToken.objects.exists()


@pytest.mark.parametrize("name", ["", " ", "x" * 101, "\0"])
def test_a_token_needs_a_name(alice_client: Client, name: str) -> None:
    answer = alice_client.post("/account/tokens/", {"name": name}, follow=True)
    assert "Give the token a name" in page(answer)
    assert not ApiToken.objects.exists()


def test_tokens_are_made_and_revoked_by_forms_of_this_site_only(alice: User) -> None:
    token, _ = tokens.create(alice, "laptop")
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    for path in ("/account/tokens/", f"/account/tokens/{token.pk}/revoke/"):
        assert client.get(path).status_code == 405
        assert client.post(path, {"name": "x"}).status_code == 403
    assert ApiToken.objects.get().revoked is None


# --- Who is who --------------------------------------------------------------------------------


def test_only_reviewers_are_led_to_the_admin(
    alice_client: Client, reviewer_client: Client, guest_client: Client
) -> None:
    for client, led in ((alice_client, False), (guest_client, False), (reviewer_client, True)):
        assert ('href="/admin/"' in page(client.get("/"))) is led


def test_the_permission_opens_what_a_scope_names(alice: User, alice_client: Client) -> None:
    photo = make_photo(owned_by(User.objects.create_user("dora")), faces=["happy"])
    path = f"/photos/{photo.pk}/image/display/"
    assert alice_client.get(path).status_code == 404
    alice.user_permissions.add(Permission.objects.get(codename="review"))
    assert alice_client.get(path).status_code == 404
    let_review(alice)
    assert alice_client.get(path).status_code == 200


def test_a_guests_own_value_is_never_shown(guest: Client) -> None:
    secret = owner_of(guest).guest
    photo = Photo.objects.get()
    for path in ("/", "/history/", "/account/", f"/photos/{photo.pk}/", f"{PHOTOS}/{photo.pk}"):
        assert secret not in page(guest.get(path))


def test_an_owner_lends_their_faces_and_takes_them_back(alice: User, alice_client: Client) -> None:
    assert "I agree" in page(alice_client.get("/account/"))
    alice_client.post("/account/lend/", {"lend": "on"})
    alice.refresh_from_db()
    assert alice.lends_since is not None
    assert "You agreed" in page(alice_client.get("/account/"))
    alice_client.post("/account/lend/")
    alice.refresh_from_db()
    assert alice.lends_since is None


def test_a_guest_cannot_lend(guest: Client) -> None:
    assert guest.post("/account/lend/", {"lend": "on"}).status_code == 302
    assert "I agree" not in page(guest.get("/account/"))
