"""What everybody needs: names for everything, no sideways scrolling, targets, a skip link."""

import pytest
from playwright.sync_api import Page, expect

from recognizer.models import User
from tests.browser.conftest import HAPPY, PHONE, UNSURE, Keeper, Look, VisitorMaker
from tests.browser.files import script

PATHS = ["/", "/history/", "/history/?emotion=happy&name=a", "/about/", "/account/", "photo"]
GUEST_PATHS = ["/", "/history/", "/account/", "/sign-in/", "/sign-up/", "/password-reset/", "/no/"]

AUDIT = script("audit.js")
SMALL_TARGETS = script("small_targets.js")


@pytest.fixture
def paths(keep: Keeper, alice: User) -> list[str]:
    """Pages that show every part of the interface."""
    keep(alice, "wall.jpg")
    keep(alice, "odd.jpg", status="failed", error="It gave up.")
    keep(alice, "waiting.jpg", status="queued")
    keep(alice, "a name that is far too long for any tile, and has-no-spaces-" + "x" * 90, HAPPY)
    crowd = keep(alice, "party.jpg", HAPPY, UNSURE, Look("sad"), UNSURE, UNSURE, HAPPY)
    return [f"/photos/{crowd.pk}/" if path == "photo" else path for path in PATHS]


def test_everything_has_a_name_and_nothing_is_inline(alice_page: Page, paths: list[str]) -> None:
    problems = {}
    for path in paths:
        alice_page.goto(path)
        problems[path] = alice_page.evaluate(AUDIT)
    assert problems == {path: [] for path in paths}


def test_so_it_is_for_guests(page: Page) -> None:
    problems = {}
    for path in GUEST_PATHS:
        page.goto(path)
        problems[path] = page.evaluate(AUDIT)
    assert problems == {path: [] for path in GUEST_PATHS}


def test_a_phone_never_scrolls_sideways_and_targets_are_large(
    visit: VisitorMaker, alice: User, paths: list[str]
) -> None:
    visitor = visit(viewport=PHONE, has_touch=True, is_mobile=True)
    visitor.signs_in_as(alice)
    page = visitor.page
    for path in paths:
        page.goto(path)
        widest = page.evaluate("document.documentElement.scrollWidth")
        assert widest <= PHONE["width"], path
        assert page.evaluate(SMALL_TARGETS, 24) == [], path


def test_the_first_tab_skips_to_the_content(page: Page) -> None:
    page.goto("/")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()


def test_the_focus_can_be_seen(page: Page) -> None:
    page.goto("/")
    page.get_by_role("link", name="History").focus()
    page.keyboard.press("Tab")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


def test_motion_stops_for_those_who_ask(visit: VisitorMaker, alice: User, keep: Keeper) -> None:
    keep(alice, "waiting.jpg", status="processing")
    visitor = visit(reduced_motion="reduce")
    visitor.signs_in_as(alice)
    visitor.page.goto("/")
    pulse = visitor.page.locator(".tile .pulse")
    expect(pulse).to_have_css("animation-iteration-count", "1")
