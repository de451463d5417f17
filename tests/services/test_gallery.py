import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from recognizer.models import Photo, PhotoQuerySet
from recognizer.services import gallery
from recognizer.services.gallery import Filters
from recognizer.services.owners import Owner
from tests.factories import add_face, add_prediction, make_photo, make_photos, make_version

Assert = Callable[..., Any]


def names(owner: Owner, **filters: Any) -> list[str]:
    found = gallery.matching(owner.photos(), Filters(**filters))
    return list(found.order_by("name").values_list("name", flat=True))


# --- Filters -----------------------------------------------------------------------------------


@pytest.fixture
def album(alice_owner: Owner, bob_owner: Owner) -> Owner:
    make_photo(alice_owner, "a happy one.jpg", ["happy"])
    make_photo(alice_owner, "b unsure.jpg", ["?happy"])
    make_photo(alice_owner, "c both.jpg", ["sad", "?happy", "happy"])
    make_photo(alice_owner, "d nobody.jpg")
    make_photo(alice_owner, "e failed.jpg", status=Photo.Status.FAILED)
    make_photo(alice_owner, "f queued.jpg", status=Photo.Status.QUEUED)
    make_photo(alice_owner, "g deleted.jpg", ["happy"], deleted_at=timezone.now())
    make_photo(bob_owner, "h of bob.jpg", ["happy"])
    return alice_owner


@pytest.mark.parametrize(
    ("filters", "letters"),
    [
        ({}, "abcdef"),
        ({"emotion": "happy"}, "ac"),
        ({"emotion": "sad"}, "c"),
        ({"emotion": "anger"}, ""),
        ({"state": "uncertain"}, "bc"),
        ({"state": "no_faces"}, "d"),
        ({"state": "failed"}, "e"),
        ({"emotion": "happy", "state": "uncertain"}, "c"),
        ({"name": "UNSURE"}, "b"),
        ({"name": "%"}, ""),
        ({"name": "o", "emotion": "happy"}, "ac"),
    ],
)
def test_filters(album: Owner, filters: dict[str, str], letters: str) -> None:
    assert "".join(name[0] for name in names(album, **filters)) == letters


def test_a_photo_of_many_matching_faces_is_one_photo(alice_owner: Owner) -> None:
    make_photo(alice_owner, faces=["happy"] * 5)
    assert len(names(alice_owner, emotion="happy")) == 1


def test_only_the_newest_prediction_of_a_face_counts(alice_owner: Owner) -> None:
    photo = make_photo(alice_owner, faces=["happy"])
    add_prediction(photo.faces.get(), "sad", make_version("newer"))
    assert names(alice_owner, emotion="happy") == []
    assert names(alice_owner, emotion="sad") == ["photo.jpg"]


@pytest.mark.parametrize(
    ("filters", "days"),
    [
        ({"date_from": date(2026, 5, 4)}, ["4", "5"]),
        ({"date_to": date(2026, 5, 4)}, ["3", "4"]),
        ({"date_from": date(2026, 5, 4), "date_to": date(2026, 5, 4)}, ["4"]),
        ({"date_from": date(2026, 5, 6)}, []),
        ({"date_from": date(1, 1, 1), "date_to": date(9999, 12, 31)}, ["3", "4", "5"]),
    ],
)
def test_dates_are_whole_days(
    alice_owner: Owner, filters: dict[str, date], days: list[str]
) -> None:
    for day, clock in ((3, (23, 59)), (4, (0, 0)), (5, (0, 0))):
        make_photo(alice_owner, str(day), created=datetime(2026, 5, day, *clock, tzinfo=UTC))
    assert names(alice_owner, **filters) == days


def test_days_are_those_of_the_sites_time_zone(alice_owner: Owner, settings: Settings) -> None:
    settings.TIME_ZONE = "Asia/Tokyo"
    make_photo(alice_owner, "late", created=datetime(2026, 5, 4, 16, 0, tzinfo=UTC))
    assert names(alice_owner, date_from=date(2026, 5, 5)) == ["late"]


# --- Pages -------------------------------------------------------------------------------------


def leaf_through(owner: Owner, size: int) -> list[list[Photo]]:
    pages, cursor = [], ""
    while True:
        page = gallery.page(owner.photos(), cursor, size)
        pages.append(page.photos)
        if page.next_cursor is None:
            return pages
        cursor = page.next_cursor


def test_pages_are_newest_first_and_hold_every_photo_once(alice_owner: Owner) -> None:
    now = timezone.now()
    for days in (3, 1, 2):
        make_photos(alice_owner, 9, created=now - timedelta(days=days))  # nine at one moment
    pages = leaf_through(alice_owner, 5)
    assert [len(page) for page in pages] == [5, 5, 5, 5, 5, 2]
    shown = [photo for page in pages for photo in page]
    assert len({photo.pk for photo in shown}) == 27
    assert shown == sorted(shown, key=lambda photo: (photo.created, photo.pk), reverse=True)


@pytest.mark.parametrize("count", [0, 5])
def test_the_last_page_says_that_it_is_the_last(alice_owner: Owner, count: int) -> None:
    make_photos(alice_owner, count)
    page = gallery.page(alice_owner.photos(), size=5)
    assert (len(page.photos), page.next_cursor) == (count, None)


def test_photos_that_come_and_go_do_not_shift_the_next_page(alice_owner: Owner) -> None:
    now = timezone.now()
    old = [make_photo(alice_owner, created=now - timedelta(hours=n)) for n in range(4)]
    page = gallery.page(alice_owner.photos(), size=2)
    assert page.next_cursor
    make_photo(alice_owner)
    old[1].delete()  # the very photo that the cursor names
    following = gallery.page(alice_owner.photos(), page.next_cursor, size=2)
    assert following.photos == old[2:]


@pytest.mark.parametrize("cursor", ["nonsense", "a:b:c", "é", "\0", "WyJhIl0:1:x" * 50])
def test_a_cursor_that_is_not_ours_is_refused(alice_owner: Owner, cursor: str) -> None:
    with pytest.raises(gallery.BadCursor):
        gallery.page(alice_owner.photos(), cursor)


def test_a_cursor_of_somebody_else_shows_only_ones_own(
    alice_owner: Owner, bob_owner: Owner
) -> None:
    make_photos(alice_owner, 3)
    mine = make_photo(bob_owner, created=timezone.now() - timedelta(days=1))
    cursor = gallery.page(alice_owner.photos(), size=2).next_cursor
    assert cursor
    assert gallery.page(bob_owner.photos(), cursor).photos == [mine]


@pytest.mark.parametrize("count", [3, 30])
def test_a_page_takes_the_same_queries_however_many_photos_and_faces(
    alice_owner: Owner, count: int, django_assert_max_num_queries: Assert
) -> None:
    for number in range(count):
        make_photo(alice_owner, str(number), ["happy", "?sad"])
    with django_assert_max_num_queries(2):
        page = gallery.page(alice_owner.photos())
        assert all(face.label for photo in page.photos for face in photo.tile_faces)
        assert {photo.faces_found for photo in page.photos} == {2}


def test_a_page_does_not_load_the_models_long_cards(
    alice_owner: Owner, django_assert_max_num_queries: Assert
) -> None:
    make_photo(alice_owner, faces=["happy"])
    face = gallery.page(alice_owner.photos()).photos[0].tile_faces[0]
    assert face.current
    assert "card" in face.current.model_version.get_deferred_fields()
    with django_assert_max_num_queries(0):
        assert str(face.current.model_version).startswith("model-of-the-tests ")


def test_a_far_page_is_found_by_the_index(
    alice_owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_photos(alice_owner, 20)
    cursor = gallery.page(alice_owner.photos(), size=5).next_cursor
    assert cursor
    plans: list[str] = []
    really = PhotoQuerySet.with_results

    def explained(photos: Any) -> Any:
        if connection.vendor == "postgresql":  # It would not use an index for so few rows.
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
        plans.append(photos.explain())
        return really(photos)

    monkeypatch.setattr(PhotoQuerySet, "with_results", explained)
    gallery.page(alice_owner.photos(), cursor, size=5)
    # Not a walk over all newer photos: the search starts at the cursor's moment, in order.
    assert re.search(r"user_id=\? AND created<\?|Index Cond: .*user_id.*created <= ", plans[0])
    assert not re.search(r"TEMP B-TREE|Sort", plans[0])


# --- Leafing -----------------------------------------------------------------------------------


def test_neighbours_are_the_next_older_and_newer_of_the_same_owner(
    alice_owner: Owner, bob_owner: Owner
) -> None:
    now = timezone.now()
    made = [make_photo(alice_owner, created=now) for _ in range(3)]
    made += [make_photo(alice_owner, created=now - timedelta(hours=1))]
    make_photo(bob_owner, created=now - timedelta(minutes=30))
    photos = alice_owner.photos()
    ordered = sorted(made, key=lambda photo: (photo.created, photo.pk), reverse=True)
    pairs = [gallery.neighbours(photos, photo) for photo in ordered]
    assert [older for older, _ in pairs] == [*ordered[1:], None]
    assert [newer for _, newer in pairs] == [None, *ordered[:-1]]


def test_a_face_without_a_prediction_is_not_shown(alice_owner: Owner) -> None:
    photo = make_photo(alice_owner)
    face = add_face(photo)
    face.current = None
    face.save()
    assert photo.tile_faces == []
