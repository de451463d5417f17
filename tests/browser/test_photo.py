"""One photo's page: boxes and rows, why a face is uncertain, the owner's own verdict."""

import json
import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from recognizer.models import Photo, Review, User
from tests.browser.conftest import HAPPY, UNSURE, Keeper


def open_photo(page: Page, photo: Photo) -> None:
    page.goto(f"/photos/{photo.pk}/")


def test_boxes_lie_on_the_faces_at_every_width(alice_page: Page, keep: Keeper, alice: User) -> None:
    photo = keep(alice, "two.jpg", HAPPY, UNSURE)
    page = alice_page
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 800})
        open_photo(page, photo)
        image = page.locator(".frame__image").bounding_box()
        box = page.locator(".box__line").first.bounding_box()
        assert image
        assert box
        # The photo is fitted into the frame, so its scale is the smaller of the two.
        scale = min(image["width"] / photo.width, image["height"] / photo.height)
        left = image["x"] + (image["width"] - scale * photo.width) / 2
        face = photo.faces.get(number=1)
        assert abs(box["x"] + box["width"] / 2 - (left + scale * (face.x + face.width / 2))) < 2
        assert abs(box["width"] - scale * face.width) < 8  # the line has a width itself


def test_hovering_a_box_lights_its_row_and_the_other_way_round(
    alice_page: Page, keep: Keeper, alice: User
) -> None:
    open_photo(alice_page, keep(alice, "two.jpg", HAPPY, UNSURE))
    boxes, rows = alice_page.locator(".box"), alice_page.locator(".face")
    lit = re.compile(r"\bis-lit\b")

    boxes.nth(1).hover()
    expect(rows.nth(1)).to_have_class(lit)
    expect(rows.nth(0)).not_to_have_class(lit)

    rows.nth(0).hover()
    expect(boxes.nth(0)).to_have_class(lit)
    expect(boxes.nth(1)).not_to_have_class(lit)


def test_the_keyboard_leads_from_a_box_to_its_row(
    alice_page: Page, keep: Keeper, alice: User
) -> None:
    open_photo(alice_page, keep(alice, "two.jpg", HAPPY, UNSURE))
    box = alice_page.get_by_role("link", name="Face 2: ? happy or surprise")
    box.focus()
    alice_page.keyboard.press("Enter")
    expect(alice_page.locator(".face").nth(1)).to_be_focused()


def test_boxes_can_be_hidden_by_button_and_by_key(
    alice_page: Page, keep: Keeper, alice: User
) -> None:
    open_photo(alice_page, keep(alice, "one.jpg", HAPPY))
    button = alice_page.get_by_role("button", name="Boxes")
    overlay = alice_page.locator("#overlay")
    expect(alice_page.locator(".tag")).to_have_text("1happy 93%")

    button.click()
    expect(overlay).to_be_hidden()
    expect(button).to_have_attribute("aria-pressed", "false")

    alice_page.keyboard.press("b")
    expect(overlay).to_be_visible()
    expect(button).to_have_attribute("aria-pressed", "true")


def test_an_uncertain_face_is_red_dashed_and_says_why(
    alice_page: Page, keep: Keeper, alice: User
) -> None:
    open_photo(alice_page, keep(alice, "two.jpg", HAPPY, UNSURE))
    row = alice_page.locator(".face").nth(1)
    expect(row.get_by_role("heading")).to_have_text("? happy or surprise")
    expect(row).to_contain_text("happy 41%, surprise 35%")
    expect(row.locator(".face__reasons li")).to_have_count(2)
    expect(row).to_contain_text("The face is small in the photo.")
    line = alice_page.locator(".box--uncertain .box__line")
    expect(line).to_have_css("stroke-dasharray", "7px, 5px")
    expect(line).to_have_css("stroke", "rgb(255, 92, 104)")
    certain = alice_page.locator(".box:not(.box--uncertain) .box__line")
    expect(certain).to_have_css("stroke-dasharray", "none")


def test_all_eight_probabilities_are_shown_with_numbers(
    alice_page: Page, keep: Keeper, alice: User
) -> None:
    open_photo(alice_page, keep(alice, "one.jpg", HAPPY))
    rows = alice_page.get_by_role("table", name="Probability of each emotion, face 1")
    expect(rows.get_by_role("row")).to_have_count(8)
    expect(rows.get_by_role("row", name="happy")).to_contain_text("93%")
    expect(alice_page.locator(".face__runner")).to_have_text("then surprise 4%")


def test_in_a_crowd_only_the_uncertain_faces_bars_are_open(
    alice_page: Page, keep: Keeper, alice: User
) -> None:
    open_photo(alice_page, keep(alice, "crowd.jpg", *[HAPPY] * 4, UNSURE))
    charts = alice_page.locator(".face .chart")
    expect(charts).to_have_count(5)
    for place in range(4):
        expect(charts.nth(place)).to_be_hidden()
    expect(charts.nth(4)).to_be_visible()


def test_thats_wrong_keeps_the_owners_answer_apart(
    alice_page: Page, keep: Keeper, alice: User
) -> None:
    photo = keep(alice, "one.jpg", HAPPY)
    open_photo(alice_page, photo)
    row = alice_page.locator(".face")
    row.get_by_text("That's wrong").click()
    row.get_by_role("button", name="sad", exact=True).click()
    expect(row.locator(".own")).to_have_text("You said: sad")
    expect(row.locator(".own")).to_be_focused()
    expect(row.get_by_role("heading")).to_contain_text("happy")

    row.get_by_text("Change").click()
    row.get_by_role("button", name="not a face").click()
    expect(row.locator(".own")).to_have_text("You said: not a face")

    verdicts = Review.objects.order_by("pk").values_list("role", "verdict", "emotion")
    assert list(verdicts) == [("owner", "correct", "sad"), ("owner", "not_a_face", "")]


def test_the_page_shows_the_result_when_it_is_there(
    page: Page, portrait: Path, recognize_queued: Callable[[], int]
) -> None:
    page.goto("/")
    page.set_input_files("#picker", portrait)
    page.locator("#recent .tile a").click()
    expect(page.locator(".skeleton--crop")).to_be_visible()
    expect(page.locator("#faces-title")).to_have_text("Queued: next in line")
    recognize_queued()
    expect(page.locator(".face__emotion")).to_contain_text("happy")
    expect(page.locator(".tag")).to_be_visible()


def test_a_guest_reads_until_when_the_photo_is_kept(page: Page, portrait: Path) -> None:
    page.goto("/")
    page.set_input_files("#picker", portrait)
    page.locator("#recent .tile a").click()
    expect(page.locator(".meta")).to_contain_text("Kept until")


def test_no_faces_found_comes_with_advice(alice_page: Page, keep: Keeper, alice: User) -> None:
    open_photo(alice_page, keep(alice, "wall.jpg"))
    expect(alice_page.get_by_role("heading", name="No faces found")).to_be_visible()
    expect(alice_page.locator(".result__faces")).to_contain_text("more light")


def test_a_failed_photo_says_why_and_can_be_tried_again(
    alice_page: Page, keep: Keeper, alice: User
) -> None:
    photo = keep(alice, "odd.jpg", status="failed", error="It gave up.")
    open_photo(alice_page, photo)
    expect(alice_page.locator(".result__faces")).to_contain_text("It gave up.")
    alice_page.get_by_role("button", name="Try again").click()
    expect(alice_page.get_by_role("heading", name="Queued")).to_be_visible()
    photo.refresh_from_db()
    assert photo.status == Photo.Status.QUEUED


def test_arrows_leaf_through_the_photos(alice_page: Page, keep: Keeper, alice: User) -> None:
    older, newer = keep(alice, "older.jpg", HAPPY), keep(alice, "newer.jpg", HAPPY)
    open_photo(alice_page, newer)
    alice_page.keyboard.press("ArrowRight")
    expect(alice_page).to_have_url(re.compile(str(older.pk)))
    alice_page.keyboard.press("ArrowLeft")
    expect(alice_page).to_have_url(re.compile(str(newer.pk)))


def test_the_annotated_photo_and_the_results_can_be_downloaded(
    alice_page: Page, keep: Keeper, alice: User
) -> None:
    open_photo(alice_page, keep(alice, "one.jpg", HAPPY))
    page = alice_page
    page.get_by_text("Download").click()
    with page.expect_download() as image:
        page.get_by_role("link", name="Annotated photo").click()
    assert Path(image.value.path()).read_bytes().startswith(b"\xff\xd8")
    page.get_by_text("Download").click()
    with page.expect_download() as results:
        page.get_by_role("link", name="Results as JSON").click()
    assert "happy" in json.dumps(json.loads(Path(results.value.path()).read_text()))


def test_a_deleted_photo_can_be_brought_back_from_the_next_page(
    alice_page: Page, keep: Keeper, alice: User
) -> None:
    photo = keep(alice, "one.jpg", HAPPY)
    open_photo(alice_page, photo)
    alice_page.get_by_role("button", name="Delete").click()
    expect(alice_page).to_have_url(re.compile("/history/"))
    expect(alice_page.get_by_text("No photos yet")).to_be_visible()
    alice_page.get_by_role("button", name="Undo").click()
    expect(alice_page).to_have_url(re.compile(str(photo.pk)))
    expect(alice_page.locator(".face__emotion")).to_contain_text("happy")
