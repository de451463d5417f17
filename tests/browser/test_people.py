"""Whose photos are they: what other people see, and what a guest keeps."""

import re

import pytest
from django.core import mail
from playwright.sync_api import Page, expect

from recognizer.models import Photo, User
from tests.browser.conftest import HAPPY, Keeper, VisitorMaker
from tests.browser.files import payload
from tests.conftest import PASSWORD


def upload_one(page: Page) -> None:
    page.goto("/")
    page.set_input_files("#picker", payload("one.jpg", 1))
    expect(page.locator("#recent .tile img")).to_be_visible()


def sign_in(page: Page, name: str) -> None:
    page.goto("/sign-in/")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.locator("main").get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(re.compile("/history/"))


def test_nobody_else_sees_a_guests_photo(visit: VisitorMaker, bob: User) -> None:
    guest, other = visit().page, visit()
    upload_one(guest)
    photo = Photo.objects.get()

    def sees(path: str) -> int:
        return other.page.request.get(path).status

    paths = [
        f"/photos/{photo.pk}/",
        f"/photos/{photo.pk}/image/display/",
        f"/photos/{photo.pk}/image/thumbnail/",
        f"/photos/{photo.pk}/card/",
        f"/api/v1/photos/{photo.pk}",
    ]
    assert [sees(path) for path in paths] == [404] * 5
    other.signs_in_as(bob)
    assert [sees(path) for path in paths] == [404] * 5
    other.page.goto(paths[0])
    expect(other.page.get_by_role("heading", name="Nothing here")).to_be_visible()
    other.page.goto("/history/")
    expect(other.page.get_by_text("No photos yet")).to_be_visible()


def test_a_guest_who_signs_in_keeps_the_photos(visit: VisitorMaker, alice: User) -> None:
    page = visit().page
    upload_one(page)
    sign_in(page, "alice")
    expect(page.locator("#grid .tile__name")).to_have_text("one.jpg")
    page.locator("#grid .tile a").click()
    expect(page.locator(".meta")).not_to_contain_text("Kept until")


def test_an_account_can_be_made_and_left(page: Page) -> None:
    page.goto("/sign-up/")
    page.get_by_label("Username").fill("carol")
    page.get_by_label("Email").fill("carol@example.org")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password confirmation").fill(PASSWORD)
    page.get_by_role("button", name="Make the account").click()
    page.get_by_role("link", name="carol").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("link", name="Sign in")).to_be_visible()


def test_a_wrong_password_is_told_in_words(page: Page, alice: User) -> None:
    page.goto("/sign-in/")
    page.get_by_label("Username").fill("alice")
    page.get_by_label("Password").fill("wrong")
    page.locator("main").get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("correct")


def test_a_forgotten_password_is_set_anew_by_mail(page: Page, alice: User) -> None:
    page.goto("/sign-in/")
    page.get_by_role("link", name="Forgot the password?").click()
    page.get_by_label("Email").fill("alice@example.org")
    page.get_by_role("button", name="Send the link").click()
    expect(page.get_by_role("heading", name="Look into your mail")).to_be_visible()
    message = str(mail.outbox[0].body)
    link = re.search(r"https?://[^/\s]+(/\S+)", message)
    assert link
    page.goto(link.group(1))
    page.get_by_label("New password", exact=True).fill("another horse battery")
    page.get_by_label("New password confirmation").fill("another horse battery")
    page.get_by_role("button", name="Save the password").click()
    expect(page.get_by_role("heading", name="The new password is set")).to_be_visible()


def test_a_token_is_shown_once_and_can_be_revoked(alice_page: Page) -> None:
    page = alice_page
    page.goto("/account/")
    page.get_by_label("Name of the new token").fill("laptop")
    page.get_by_role("button", name="Make a token").click()
    token = page.get_by_label("New token", exact=True).input_value()
    assert len(token) > 20
    page.goto("/account/")
    assert token not in page.content()
    page.get_by_role("button", name="Revoke laptop").click()
    expect(page.get_by_text("You have no tokens.")).to_be_visible()


def test_erasing_everything_asks_first(alice_page: Page, keep: Keeper, alice: User) -> None:
    keep(alice, "one.jpg", HAPPY)
    keep(alice, "two.jpg", HAPPY)
    page = alice_page
    page.goto("/account/")
    page.get_by_role("button", name="Erase all of mine").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Cancel").click()
    assert Photo.objects.count() == 2
    page.get_by_role("button", name="Erase all of mine").click()
    dialog.get_by_role("button", name="Erase all of mine").click()
    expect(page.locator(".messages")).to_contain_text("2 photos were erased.")
    assert Photo.objects.count() == 0


@pytest.mark.parametrize("name", ["alice", "rita"])
def test_only_reviewers_are_led_to_the_review(
    visit: VisitorMaker, alice: User, reviewer: User, name: str
) -> None:
    visitor = visit()
    visitor.signs_in_as({"alice": alice, "rita": reviewer}[name])
    visitor.page.goto("/")
    links = visitor.page.get_by_role("link", name="Review", exact=True)
    expect(links).to_have_count(1 if name == "rita" else 0)
