"""Files into the page, from everywhere, and what becomes of them before the site has them."""

import json
import re
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import FilePayload, Page, Route, expect

from recognizer.models import Photo, User
from tests.browser.conftest import Keeper, VisitorMaker
from tests.browser.files import drop, paste, payload, picture, script

API = "**/api/v1/photos"
Recognize = Callable[[], int]


def answer(route: Route, status: int, body: object, **headers: str) -> None:
    route.fulfill(
        status=status, body=json.dumps(body), content_type="application/json", headers=headers
    )


def test_a_result_replaces_the_tile_without_a_reload(
    page: Page, portrait: Path, recognize_queued: Recognize
) -> None:
    page.goto("/")
    page.evaluate("window.sameDocument = true")
    page.set_input_files("#picker", portrait)
    tile = page.locator("#recent .tile")
    expect(tile).to_contain_text("Queued: next")
    expect(tile.locator("img")).to_be_visible()

    recognize_queued()

    expect(tile.locator(".emotion")).to_have_text("happy")
    expect(tile).to_contain_text("1 face")
    expect(tile).not_to_have_attribute("data-moving", re.compile(""))
    assert page.evaluate("window.sameDocument")


def test_many_files_go_up_and_all_belong_to_the_new_guest(page: Page) -> None:
    page.goto("/")
    page.set_input_files("#picker", [payload(f"photo {n}.jpg", n) for n in range(1, 8)])
    expect(page.locator("#uploads-title")).to_have_text("7 photos uploaded")
    expect(page.locator("#recent .tile")).to_have_count(7)
    assert len(set(Photo.objects.values_list("guest", flat=True))) == 1


def test_a_file_can_be_dropped_anywhere(page: Page) -> None:
    page.goto("/")
    drop(page, ("dropped.jpg", picture(1)), on=".footer")
    expect(page.locator("#recent .tile")).to_contain_text("dropped.jpg")
    expect(page.locator("#curtain")).to_be_hidden()


def test_the_whole_page_shows_that_it_takes_a_drop(page: Page) -> None:
    page.goto("/")
    carried = page.evaluate_handle(
        "() => { const t = new DataTransfer(); t.items.add(new File(['x'], 'x')); return t }"
    )
    page.dispatch_event(".footer", "dragenter", {"dataTransfer": carried})
    expect(page.locator("#curtain")).to_be_visible()
    page.dispatch_event(".footer", "dragleave", {"dataTransfer": carried})
    expect(page.locator("#curtain")).to_be_hidden()


def test_an_image_can_be_pasted(page: Page) -> None:
    page.goto("/")
    paste(page, ("image.png", picture(1)))
    expect(page.locator("#recent .tile__name")).to_have_text(re.compile(r"^pasted-.*\.jpeg$"))


def test_a_dropped_folder_is_walked_to_the_bottom(page: Page) -> None:
    page.goto("/")
    walked = page.evaluate(script("walk_folder.js"), {"photos": 950, "others": 3})
    assert walked == {"found": 951, "largest": 100, "skipped": 3}


def test_three_go_up_at_once_and_a_crowd_makes_few_rows(
    alice_page: Page, keep: Keeper, alice: User
) -> None:
    """Hundreds of files must not trouble the tab."""
    keep(alice, "here before.jpg")
    page = alice_page
    page.route(API, lambda route: answer(route, 201, {"id": str(uuid.uuid4())}))
    page.route("**/photos/cards/*", lambda route: route.fulfill(status=503))
    page.goto("/")
    page.evaluate(script("watch_uploads.js"))
    page.evaluate(
        """() => {
          const transfer = new DataTransfer();
          for (let n = 0; n < 300; n++) transfer.items.add(new File([`${n}`], `${n}.jpg`));
          const picker = document.querySelector("#picker");
          picker.files = transfer.files;
          picker.dispatchEvent(new Event("change", {bubbles: true}));
        }"""
    )
    expect(page.locator("#uploads-title")).to_have_text("300 photos uploaded", timeout=30_000)
    assert page.evaluate("window.most") == {"flying": 3, "rows": 8}
    expect(page.locator("#recent .tile")).to_have_count(48)


def test_progress_and_state_are_shown_for_each_file(page: Page) -> None:
    held: list[Route] = []
    page.route(API, lambda route: held.append(route))
    page.goto("/")
    page.set_input_files("#picker", [payload("one.jpg", 1), payload("two.jpg", 2)])
    first, second = page.locator("#rows .row").nth(0), page.locator("#rows .row").nth(1)
    expect(first).to_contain_text("one.jpg")
    expect(first).to_have_attribute("data-state", "uploading")
    expect(first.get_by_role("progressbar", name="Upload of one.jpg")).to_be_visible()
    expect(second).to_contain_text("Waiting")
    expect(page.locator("#uploads-title")).to_have_text("0 of 2 uploaded")

    second.get_by_role("button", name="Cancel two.jpg").click()
    expect(second).to_have_count(0)
    first.get_by_role("button", name="Cancel one.jpg").click()
    expect(page.locator("#uploads")).to_be_hidden()


def test_the_sites_sentence_is_shown_and_one_file_can_be_retried(page: Page) -> None:
    page.route(API, lambda route: answer(route, 507, {"detail": "The disk is full."}), times=1)
    page.goto("/")
    page.set_input_files("#picker", payload("one.jpg", 1))
    row = page.locator("#rows .row")
    expect(row).to_contain_text("The disk is full.")
    row.get_by_role("button", name="Retry one.jpg").click()
    expect(page.locator("#recent .tile")).to_contain_text("one.jpg")
    expect(row).to_have_count(0)


def test_all_failed_files_can_be_retried_together(page: Page) -> None:
    page.route(API, lambda route: route.abort(), times=3)
    page.goto("/")
    page.set_input_files(
        "#picker",
        [payload(f"{n}.jpg", n) for n in range(1, 4)],
    )
    expect(page.locator("#uploads-title")).to_have_text("0 photos uploaded · 3 failed")
    expect(page.locator("#rows .row").first).to_contain_text("cannot be reached")
    page.get_by_role("button", name="Retry all failed").click()
    expect(page.locator("#uploads-title")).to_have_text("3 photos uploaded")
    expect(page.locator("#recent .tile")).to_have_count(3)


def test_it_waits_as_long_as_the_site_asks(page: Page) -> None:
    page.route(
        API,
        lambda route: answer(route, 429, {"detail": "Too many."}, **{"Retry-After": "1"}),
        times=1,
    )
    page.goto("/")
    page.set_input_files("#picker", payload("one.jpg", 1))
    expect(page.locator("#uploads-note")).to_contain_text("Too many. Goes on in 1 s.")
    expect(page.locator("#rows .row")).to_contain_text("Waiting")
    expect(page.locator("#recent .tile")).to_contain_text("one.jpg")


def test_empty_and_too_large_files_are_refused_before_they_go_up(page: Page) -> None:
    page.goto("/")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.evaluate(
        """() => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([], "empty.jpg"));
          transfer.items.add(new File([new Uint8Array(26 * 1048576)], "huge.jpg"));
          document.querySelector("main").dispatchEvent(
            new DragEvent("drop", {dataTransfer: transfer, bubbles: true, cancelable: true}));
        }"""
    )
    rows = page.locator("#rows .row")
    expect(rows.nth(0)).to_contain_text("“empty.jpg” is empty (0 bytes).")
    expect(rows.nth(1)).to_contain_text("“huge.jpg” has 26 MB; the limit is 25 MB.")
    expect(rows.nth(0).get_by_role("button", name="Retry")).to_be_hidden()
    assert not any("/api/" in url for url in asked)
    rows.nth(0).get_by_role("button", name="Remove empty.jpg").click()
    expect(rows).to_have_count(1)


def test_the_servers_refusal_names_the_file(page: Page) -> None:
    page.goto("/")
    page.set_input_files(
        "#picker", FilePayload(name="page.jpg", mimeType="image/jpeg", buffer=b"<html>hello")
    )
    row = page.locator("#rows .row")
    expect(row).to_contain_text("“page.jpg” is not an image")
    expect(row.locator(".row__size")).to_have_text("11 bytes")


@pytest.mark.parametrize(
    ("status", "helps"),
    [(403, True), (413, False), (415, False), (422, False), (500, True), (507, True)],
)
def test_a_retry_is_offered_only_where_it_can_help(page: Page, status: int, helps: bool) -> None:
    page.route(API, lambda route: answer(route, status, {"detail": "No."}))
    page.goto("/")
    page.set_input_files("#picker", payload("one.jpg", 1))
    row = page.locator("#rows .row")
    expect(row).to_contain_text("No.")
    expect(row.get_by_role("button", name="Retry")).to_be_visible(visible=helps)
    expect(page.get_by_role("button", name="Retry all failed")).to_be_visible(visible=helps)
    row.get_by_role("button", name="Remove one.jpg").click()
    expect(page.locator("#uploads")).to_be_hidden()


def test_the_same_photo_again_is_found_not_added(alice_page: Page) -> None:
    page = alice_page
    file = payload("one.jpg", 1)
    page.goto("/")
    page.set_input_files("#picker", file)
    expect(page.locator("#uploads-title")).to_have_text("1 photo uploaded")
    page.set_input_files("#picker", file)
    expect(page.locator("#uploads-note")).to_have_text("1 was here already.")
    expect(page.locator("#recent .tile")).to_have_count(1)


def test_an_empty_site_offers_an_example_and_shows_its_result(
    page: Page, recognize_queued: Recognize
) -> None:
    page.goto("/")
    page.get_by_role("button", name="Try an example").click()
    expect(page.get_by_role("heading", name="Queued")).to_be_visible()
    recognize_queued()
    expect(page.get_by_role("heading", name="1 face")).to_be_visible()
    expect(page.locator(".face__emotion")).to_contain_text("happy")


def test_it_says_who_sees_a_photo_how_long_it_stays_and_what_it_is_not(page: Page) -> None:
    page.goto("/")
    facts = page.locator(".facts")
    expect(facts).to_contain_text("You, and this site's reviewers.")
    expect(facts).to_contain_text("deleted after 14 days")
    expect(facts).to_contain_text("not what a person feels")
    expect(facts).to_contain_text("not for judging employees or pupils")


def test_a_phone_offers_its_camera(visit: VisitorMaker) -> None:
    page = visit(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True).page
    page.goto("/")
    expect(page.get_by_text("Take a photo")).to_be_visible()
    expect(page.locator("#camera")).to_have_attribute("capture", "environment")


def test_uploading_works_without_scripts(visit: VisitorMaker) -> None:
    page = visit(java_script_enabled=False).page
    page.goto("/")
    page.set_input_files(
        "input[name=image]",
        [payload(f"{n}.jpg", n) for n in range(1, 3)],
    )
    page.locator("#drop").get_by_role("button", name="Upload").click()
    expect(page.locator(".messages")).to_contain_text("2 photos were uploaded.")
    expect(page.locator("#recent .tile")).to_have_count(2)


def test_polling_stops_when_nothing_moves(alice_page: Page, keep: Keeper, alice: User) -> None:
    keep(alice, "done.jpg")
    asked: list[str] = []
    alice_page.on("request", lambda request: asked.append(request.url))
    alice_page.goto("/")
    alice_page.wait_for_timeout(1200)
    assert not any("/photos/cards/" in url for url in asked)
