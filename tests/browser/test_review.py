"""The review queue, driven by the keyboard."""

import os
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from recognizer.models import Opinion, Photo, Review, User
from recognizer.services import recognition, uploads
from recognizer.services.owners import Owner
from tests.browser.conftest import HAPPY, PHONE, UNSURE, Keeper, Look, VisitorMaker

QUEUE = "/admin/review/"
SCREENS = os.environ.get("SCREENS", "")


@pytest.fixture
def photo(keep: Keeper, alice: User) -> Photo:
    photo = keep(alice, "party.jpg", HAPPY, UNSURE, Look("fear", 0.6))
    for face in photo.faces.select_related("current"):
        face.doubt = 1 - face.current.confidence if face.current else 0
        face.save()
    return photo


@pytest.fixture
def desk(visit: VisitorMaker, reviewer: User, photo: Photo) -> Page:
    visitor = visit()
    visitor.signs_in_as(reviewer)
    visitor.page.goto(QUEUE)
    return visitor.page


def said() -> list[tuple[int, str, str]]:
    rows = Review.objects.order_by("pk")
    return list(rows.values_list("prediction__face__number", "verdict", "emotion"))


def test_keys_judge_one_face_after_the_other(desk: Page) -> None:
    status = desk.get_by_role("status")
    expect(status).to_contain_text("3 waiting")
    expect(desk.locator(".rv-said")).to_contain_text("? happy or surprise")
    desk.keyboard.press("8")  # surprise
    expect(desk.locator(".rv-said")).to_contain_text("fear")
    desk.keyboard.press("x")
    expect(desk.locator(".rv-said")).to_contain_text("happy")
    desk.keyboard.press("Enter")
    expect(desk.locator(".rv-empty")).to_be_visible()
    assert said() == [(2, "correct", "surprise"), (3, "not_a_face", ""), (1, "accept", "")]
    assert all(review.seconds is not None for review in Review.objects.all())


def test_undo_and_back(desk: Page) -> None:
    desk.keyboard.press("u")
    expect(desk.locator(".rv-said")).to_contain_text("fear")
    desk.keyboard.press("z")
    expect(desk.locator(".rv-said")).to_contain_text("? happy or surprise")
    desk.keyboard.press("5")  # what was predicted: accepted
    expect(desk.locator(".rv-said")).to_contain_text("fear")
    desk.keyboard.press("ArrowLeft")
    expect(desk.locator(".rv-said")).to_contain_text("You said: accept")
    desk.keyboard.press("7")
    expect(desk.locator(".rv-said")).to_contain_text("fear")
    assert [verdict for _, verdict, _ in said()] == ["cant_tell", "withdrawn", "accept", "correct"]
    assert Opinion.objects.get().review.emotion == "sad"


def test_buttons_do_what_the_keys_do(desk: Page) -> None:
    desk.get_by_role("button", name="Can't tell").click()
    expect(desk.locator(".rv-said")).to_contain_text("fear")
    desk.get_by_role("button", name="Accept").click()
    expect(desk.locator(".rv-said")).to_contain_text("happy")
    assert said() == [(2, "cant_tell", ""), (3, "accept", "")]


def test_the_list_of_keys_opens_and_closes(desk: Page) -> None:
    desk.keyboard.press("?")
    expect(desk.locator("#keys")).to_be_visible()
    desk.keyboard.press("8")  # Judges nothing while the list is open.
    desk.keyboard.press("Escape")
    expect(desk.locator("#keys")).to_be_hidden()
    assert said() == []


def test_two_reviewers_get_different_faces(
    desk: Page, visit: VisitorMaker, django_user_model: type[User]
) -> None:
    root = visit()
    root.signs_in_as(django_user_model.objects.create_superuser("root"))
    root.page.goto(QUEUE)
    theirs = root.page.locator("[name=face]").input_value()
    assert theirs != desk.locator("[name=face]").input_value()


def test_the_picture_is_there_on_a_desk_and_a_phone(
    visit: VisitorMaker, reviewer: User, alice: User, portrait: Path
) -> None:
    """A real photo, really recognised; SCREENS=folder keeps what it looks like."""
    outcome = uploads.receive_bytes(Owner(user_id=alice.pk), "portrait.jpg", portrait.read_bytes())
    assert isinstance(outcome, uploads.Accepted)
    recognition.recognize(outcome.photo.pk)
    for name, options in (("desk", {}), ("phone", {"viewport": PHONE})):
        visitor = visit(**options)
        visitor.signs_in_as(reviewer)
        visitor.page.goto(QUEUE)
        expect(visitor.page.locator(".rv-large image")).to_have_count(1)
        wider = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert visitor.page.evaluate(wider) <= 0, name
        if SCREENS:
            visitor.page.wait_for_timeout(800)
            visitor.page.screenshot(path=f"{SCREENS}/review-{name}.png", full_page=True)
