"""The history: filters in the URL, keys, selection, downloads, deleting with undo."""

import re
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, ViewportSize, expect

from recognizer.models import Photo, User
from recognizer.services import gallery
from tests.browser.conftest import DESK, HAPPY, PHONE, UNSURE, Keeper, Look, VisitorMaker


@pytest.fixture
def photos(keep: Keeper, alice: User) -> list[Photo]:
    """Six photos, the newest first, as the history shows them."""
    return [
        keep(alice, "wall.jpg"),
        keep(alice, "odd.jpg", status="failed", error="It gave up."),
        keep(alice, "funeral.jpg", Look("sad")),
        keep(alice, "maybe.jpg", UNSURE),
        keep(alice, "party 2.jpg", HAPPY, UNSURE),
        keep(alice, "party 1.jpg", HAPPY),
    ][::-1]


@pytest.fixture
def page(alice_page: Page, photos: list[Photo]) -> Page:
    alice_page.goto("/history/")
    return alice_page


def names(page: Page) -> Locator:
    return page.locator("#grid .tile__name")


def focused_name(page: Page) -> Locator:
    return page.locator("#grid .tile__open:focus .tile__name")


def test_the_newest_photo_comes_first_with_its_faces(page: Page) -> None:
    expect(names(page)).to_have_text(
        ["party 1.jpg", "party 2.jpg", "maybe.jpg", "funeral.jpg", "odd.jpg", "wall.jpg"]
    )
    tiles = page.locator("#grid .tile")
    expect(tiles.nth(1)).to_contain_text("2 faces")
    expect(tiles.nth(1).locator(".emotion")).to_have_text(["? happy or surprise", "happy"])
    expect(tiles.nth(4)).to_contain_text("It gave up.")
    expect(tiles.nth(5)).to_contain_text("No faces found")


def test_a_crowds_tile_puts_the_uncertain_face_first(
    alice_page: Page, keep: Keeper, alice: User
) -> None:
    keep(alice, "crowd.jpg", *[HAPPY] * 4, Look("sad"), UNSURE, Look("sad"))
    alice_page.goto("/history/")
    tile = alice_page.locator("#grid .tile")
    expect(tile.locator(".emotion")).to_have_text(["? happy or surprise", "happy ×4"])
    expect(tile.locator(".tile__more")).to_have_text("and 2 more")


def test_on_a_phone_the_filters_wait_behind_a_button(page: Page) -> None:
    page.set_viewport_size(PHONE)
    emotion = page.get_by_label("Emotion")
    expect(emotion).to_be_hidden()
    photo = page.locator("#grid .tile").first.bounding_box()
    assert photo
    assert photo["y"] < PHONE["height"] / 2.5

    page.get_by_text("Filters", exact=True).click()
    emotion.select_option("happy")
    expect(names(page)).to_have_text(["party 1.jpg", "party 2.jpg"])
    expect(emotion).to_be_visible()
    page.reload()
    expect(emotion).to_be_hidden()
    expect(page.locator(".chips").get_by_role("link", name="happy")).to_be_visible()


def test_a_filter_applies_at_once_and_lives_in_the_url(page: Page) -> None:
    page.get_by_label("Emotion").select_option("happy")
    expect(names(page)).to_have_text(["party 1.jpg", "party 2.jpg"])
    expect(page).to_have_url(re.compile(r"/history/\?emotion=happy$"))

    page.get_by_label("File name").press_sequentially("2")
    expect(names(page)).to_have_text(["party 2.jpg"])
    expect(page.get_by_label("File name")).to_be_focused()

    page.reload()
    expect(names(page)).to_have_text(["party 2.jpg"])
    expect(page.get_by_label("Emotion")).to_have_value("happy")


def test_going_back_brings_the_filters_back(page: Page) -> None:
    page.get_by_label("Show").select_option("failed")
    expect(names(page)).to_have_text(["odd.jpg"])
    page.go_back()
    expect(names(page)).to_have_count(6)
    expect(page.get_by_label("Show")).to_have_value("")


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("uncertain", ["party 2.jpg", "maybe.jpg"]),
        ("no_faces", ["wall.jpg"]),
        ("failed", ["odd.jpg"]),
    ],
)
def test_states_filter(page: Page, state: str, expected: list[str]) -> None:
    page.get_by_label("Show").select_option(state)
    expect(names(page)).to_have_text(expected)


def test_a_chip_takes_its_filter_away(page: Page) -> None:
    page.goto("/history/?emotion=happy&name=2")
    expect(names(page)).to_have_text(["party 2.jpg"])
    page.locator(".chips").get_by_role("link", name="happy").click()
    expect(page).to_have_url(re.compile(r"\?name=2$"))
    expect(names(page)).to_have_text(["party 2.jpg"])


def test_nothing_matching_offers_to_clear_the_filters(page: Page) -> None:
    page.goto("/history/?name=nowhere")
    page.get_by_role("link", name="Clear all filters").click()
    expect(names(page)).to_have_count(6)


@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
def test_filters_work_without_scripts(
    visit: VisitorMaker, alice: User, photos: list[Photo], viewport: ViewportSize
) -> None:
    visitor = visit(java_script_enabled=False, viewport=viewport)
    visitor.signs_in_as(alice)
    page = visitor.page
    page.goto("/history/")
    if viewport == PHONE:
        page.get_by_text("Filters", exact=True).click()
    page.get_by_label("Emotion").select_option("sad")
    page.get_by_role("button", name="Filter").click()
    expect(names(page)).to_have_text(["funeral.jpg"])


def test_arrows_move_and_enter_opens(page: Page, photos: list[Photo]) -> None:
    page.set_viewport_size({"width": 600, "height": 900})  # three in a row
    page.keyboard.press("ArrowRight")
    expect(focused_name(page)).to_have_text("party 1.jpg")
    page.keyboard.press("ArrowRight")
    expect(focused_name(page)).to_have_text("party 2.jpg")
    page.keyboard.press("ArrowDown")
    expect(focused_name(page)).to_have_text("odd.jpg")
    page.keyboard.press("ArrowLeft")
    expect(focused_name(page)).to_have_text("funeral.jpg")
    page.keyboard.press("ArrowUp")
    expect(focused_name(page)).to_have_text("party 1.jpg")
    page.keyboard.press("End")
    expect(focused_name(page)).to_have_text("wall.jpg")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(str(photos[5].pk)))


def test_one_tile_alone_is_in_the_tab_order(page: Page) -> None:
    expect(page.locator("#grid .tile__open[tabindex='0']")).to_have_count(1)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#grid .tile__open[tabindex='0'] .tile__name")).to_have_text("party 2.jpg")


def test_space_and_x_select_and_escape_lets_go(page: Page) -> None:
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    expect(page.locator("#bulk-count")).to_have_text("1 selected")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("x")
    expect(page.locator("#bulk-count")).to_have_text("2 selected")
    page.keyboard.press("Escape")
    expect(page.locator("#bulk")).to_be_hidden()


def test_shift_and_click_selects_a_range(page: Page) -> None:
    picks = page.locator("#grid .tile__pick input")
    picks.nth(1).click()
    picks.nth(4).click(modifiers=["Shift"])
    expect(page.locator("#bulk-count")).to_have_text("4 selected")
    expect(page.locator("#grid .tile__pick input:checked")).to_have_count(4)
    page.get_by_role("button", name="Select nothing").click()
    expect(page.locator("#bulk")).to_be_hidden()
    picks.nth(0).click()
    expect(page.locator("#bulk-count")).to_have_text("1 selected")


def test_all_on_the_page_can_be_selected_and_downloaded(page: Page) -> None:
    page.get_by_role("button", name="Select all on this page").click()
    expect(page.locator("#bulk-count")).to_have_text("6 selected")
    with page.expect_download() as download:
        page.locator("#bulk").get_by_role("button", name="ZIP").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        found = {Path(name).stem.removesuffix("-annotated") for name in archive.namelist()}
    assert {"party 1", "party 2", "maybe", "funeral", "wall"} <= found


def test_the_results_of_some_come_as_csv(page: Page) -> None:
    page.locator("#grid .tile__pick input").first.click()
    with page.expect_download() as download:
        page.locator("#bulk").get_by_role("button", name="CSV").click()
    text = Path(download.value.path()).read_text(encoding="utf-8-sig")
    assert "party 1.jpg" in text
    assert "party 2.jpg" not in text


def test_deleting_can_be_undone_in_place(page: Page) -> None:
    picks = page.locator("#grid .tile__pick input")
    for place in (1, 3, 4):
        picks.nth(place).click()
    page.locator("#bulk").get_by_role("button", name="Delete").click()
    expect(names(page)).to_have_text(["party 1.jpg", "maybe.jpg", "wall.jpg"])
    expect(page.locator("#total")).to_have_text("3 photos")
    toast = page.locator(".toast")
    expect(toast).to_contain_text("3 photos deleted")
    expect(toast).to_contain_text(re.compile(r"Undo \(\d+ s\)"))
    assert Photo.objects.live().count() == 3

    toast.get_by_role("button", name="Undo").click()
    expect(names(page)).to_have_text(
        ["party 1.jpg", "party 2.jpg", "maybe.jpg", "funeral.jpg", "odd.jpg", "wall.jpg"]
    )
    expect(page.locator("#total")).to_have_text("6 photos")
    assert Photo.objects.live().count() == 6


def test_the_keyboard_deletes_and_undoes(page: Page) -> None:
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Delete")
    expect(names(page)).to_have_count(5)
    expect(focused_name(page)).to_have_text("maybe.jpg")
    page.keyboard.press("Control+z")
    expect(names(page)).to_have_count(6)
    expect(focused_name(page)).to_have_text("party 2.jpg")


def test_the_undo_goes_away_when_its_time_is_over(page: Page) -> None:
    page.clock.install()
    page.goto("/history/")
    page.locator("#grid .tile__pick input").first.click()
    page.locator("#bulk").get_by_role("button", name="Delete").click()
    expect(page.locator(".toast")).to_contain_text("1 photo deleted")
    page.clock.run_for(11_000)
    expect(page.locator(".toast")).to_have_count(0)


def test_slash_finds_the_search_and_question_mark_lists_the_keys(page: Page) -> None:
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keys")
    expect(dialog).to_be_visible()
    expect(dialog).to_contain_text("Move between photos")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    page.keyboard.press("/")
    expect(page.get_by_label("File name")).to_be_focused()
    page.keyboard.type("?")
    expect(dialog).to_be_hidden()


def test_single_keys_can_be_switched_off(page: Page) -> None:
    page.keyboard.press("?")
    page.get_by_label("Use single keys").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    expect(page.get_by_label("File name")).not_to_be_focused()


def test_more_photos_come_on_the_same_page(
    alice_page: Page, photos: list[Photo], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gallery.page, "__defaults__", ("", 4))
    alice_page.goto("/history/")
    expect(names(alice_page)).to_have_count(4)
    alice_page.get_by_role("link", name="Show more").click()
    expect(names(alice_page)).to_have_count(6)
    expect(alice_page.get_by_role("link", name="Show more")).to_have_count(0)


def test_a_failed_photo_is_tried_again_from_its_tile(page: Page) -> None:
    tile = page.locator("#grid .tile").nth(4)
    tile.locator(".tile__pick input").click()
    tile.get_by_role("button", name="Try again").click()
    expect(tile).to_contain_text("Queued")
    expect(tile.locator(".tile__pick input")).to_be_checked()


def test_an_empty_history_leads_to_the_upload(visit: VisitorMaker) -> None:
    page = visit().page
    page.goto("/history/")
    page.get_by_role("link", name="Upload photos").click()
    expect(page.get_by_text("Choose photos")).to_be_visible()
