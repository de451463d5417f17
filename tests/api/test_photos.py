from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from numpy.typing import NDArray

from recognizer.models import Photo, User
from recognizer.vision.emotions import EMOTIONS
from tests.api.sending import PHOTOS, detail_of, send
from tests.factories import add_face, lose, make_photo, make_photos, noise, owned_by

Assert = Callable[..., Any]


def ids(answer: Any) -> list[str]:
    return [photo["id"] for photo in answer.json()["items"]]


# --- One ---------------------------------------------------------------------------------------


def test_a_done_photo_has_its_faces(
    alice_client: Client,
    astronaut: NDArray[Any],
    jpeg: Callable[..., bytes],
    recognize_queued: Callable[[], int],
) -> None:
    created = send(alice_client, jpeg(astronaut), "astronaut.jpg").json()
    recognize_queued()
    photo = alice_client.get(f"{PHOTOS}/{created['id']}").json()
    assert {key: photo[key] for key in ("id", "name", "created", "width", "height")} == {
        key: created[key] for key in ("id", "name", "created", "width", "height")
    }
    assert (photo["status"], photo["error"]) == ("done", None)
    (face,) = photo["faces"]
    x, y, width, height = face["box"]
    assert 0 <= x <= 224 <= x + width <= 512  # her nose
    assert 0 <= y <= 127 <= y + height <= 512
    assert x < face["landmarks"]["left_eye"][0] < face["landmarks"]["right_eye"][0] < x + width
    assert (face["emotion"], face["uncertain"], face["reasons"]) == ("happy", False, [])
    assert list(face["probabilities"]) == list(EMOTIONS)
    assert sum(face["probabilities"].values()) == pytest.approx(1, abs=1e-6)
    assert face["confidence"] == max(face["probabilities"].values())
    assert 0.5 < face["valence"] <= 1
    assert -1 <= face["arousal"] <= 1


def test_no_faces_is_done_with_an_empty_list(
    alice_client: Client, recognize_queued: Callable[[], int]
) -> None:
    created = send(alice_client, noise(1)).json()
    recognize_queued()
    photo = alice_client.get(f"{PHOTOS}/{created['id']}").json()
    assert (photo["status"], photo["faces"], photo["error"]) == ("done", [], None)


def test_a_failed_photo_says_why(alice_client: Client, alice: User) -> None:
    photo = make_photo(owned_by(alice), status=Photo.Status.FAILED, error="It gave up.")
    answer = alice_client.get(f"{PHOTOS}/{photo.pk}").json()
    assert (answer["status"], answer["error"], answer["faces"]) == ("failed", "It gave up.", [])


def test_a_score_that_rounding_took_past_1_is_answered_all_the_same(
    alice_client: Client, alice: User
) -> None:
    photo = make_photo(owned_by(alice), faces=["happy"])
    photo.faces.update(detection_score=1.0000001)
    answer = alice_client.get(f"{PHOTOS}/{photo.pk}")
    assert answer.status_code == 200


# --- All ---------------------------------------------------------------------------------------


def test_the_list_is_newest_first_and_leaves_deleted_ones_out(
    alice_client: Client, alice: User
) -> None:
    now = timezone.now()
    made = [make_photo(owned_by(alice), created=now - timedelta(hours=n)) for n in range(3)]
    make_photo(owned_by(alice), deleted_at=now)
    answer = alice_client.get(PHOTOS)
    assert ids(answer) == [str(photo.pk) for photo in made]
    assert answer.json()["next"] is None


def test_pages_hold_every_photo_once(alice_client: Client, alice: User) -> None:
    photos = make_photos(owned_by(alice), 120)
    answer = alice_client.get(PHOTOS)
    seen, pages = ids(answer), 1
    while cursor := answer.json()["next"]:
        answer = alice_client.get(PHOTOS, {"cursor": cursor})
        seen, pages = seen + ids(answer), pages + 1
    assert pages == 3
    assert sorted(seen) == sorted(str(photo.pk) for photo in photos)


def test_a_page_is_as_long_as_asked(alice_client: Client, alice: User) -> None:
    make_photos(owned_by(alice), 7)
    first = alice_client.get(PHOTOS, {"limit": 5})
    second = alice_client.get(PHOTOS, {"limit": 5, "cursor": first.json()["next"]})
    assert (len(ids(first)), len(ids(second)), second.json()["next"]) == (5, 2, None)


@pytest.mark.parametrize("query", [{"cursor": "nonsense"}, {"limit": "0"}, {"limit": "201"}])
def test_a_wrong_question_is_422(alice_client: Client, query: dict[str, str]) -> None:
    detail = detail_of(alice_client.get(PHOTOS, query), 422)
    assert next(iter(query)) in detail


@pytest.mark.parametrize("count", [2, 25])
def test_the_list_takes_the_same_queries_however_long_it_is(
    alice_client: Client, alice: User, count: int, django_assert_max_num_queries: Assert
) -> None:
    for _ in range(count):
        make_photo(owned_by(alice), faces=["happy", "?sad"])
    with django_assert_max_num_queries(4):  # session, user, photos, faces
        assert len(ids(alice_client.get(PHOTOS))) == count


@pytest.mark.parametrize("count", [1, 30])
def test_one_photo_takes_the_same_queries_however_many_faces(
    alice_client: Client, alice: User, count: int, django_assert_max_num_queries: Assert
) -> None:
    photo = make_photo(owned_by(alice), faces=["happy"] * count)
    with django_assert_max_num_queries(4):
        alice_client.get(f"{PHOTOS}/{photo.pk}")


def test_known_bytes_take_the_same_queries_however_many_faces(
    alice_client: Client, django_assert_max_num_queries: Assert
) -> None:
    send(alice_client, noise(1))
    photo = Photo.objects.get()
    for _ in range(30):
        add_face(photo)
    with django_assert_max_num_queries(20):
        assert len(send(alice_client, noise(1)).json()["faces"]) == 30


# --- The annotated image -----------------------------------------------------------------------


def test_the_annotated_image_of_a_done_photo(alice_client: Client, alice: User) -> None:
    photo = make_photo(owned_by(alice), faces=["happy"])
    answer = alice_client.get(f"{PHOTOS}/{photo.pk}/annotated")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    with photo.annotated.open("rb") as file:
        assert b"".join(answer) == file.read()


@pytest.mark.parametrize("status", ["queued", "processing"])
def test_before_it_is_done_it_is_409(alice_client: Client, alice: User, status: str) -> None:
    photo = make_photo(owned_by(alice), status=status)
    detail = detail_of(alice_client.get(f"{PHOTOS}/{photo.pk}/annotated"), 409)
    assert status in detail


def test_of_a_failed_photo_it_is_409_with_the_reason(alice_client: Client, alice: User) -> None:
    photo = make_photo(owned_by(alice), status=Photo.Status.FAILED, error="It gave up.")
    detail = detail_of(alice_client.get(f"{PHOTOS}/{photo.pk}/annotated"), 409)
    assert detail == "It gave up."


def test_an_image_that_is_gone_from_the_disk_is_404(alice_client: Client, alice: User) -> None:
    photo = make_photo(owned_by(alice))
    lose(photo.annotated)
    detail_of(alice_client.get(f"{PHOTOS}/{photo.pk}/annotated"), 404)


# --- Delete ------------------------------------------------------------------------------------


def test_deleting_is_for_good(
    alice_client: Client, alice: User, django_capture_on_commit_callbacks: Any
) -> None:
    photo, other = make_photo(owned_by(alice), faces=["happy"]), make_photo(owned_by(alice))
    path = f"{PHOTOS}/{photo.pk}"
    with django_capture_on_commit_callbacks(execute=True):
        answer = alice_client.delete(path)
    assert (answer.status_code, answer.content) == (204, b"")
    assert list(Photo.objects.all()) == [other]
    assert not photo.original.storage.exists(photo.original.name or "")
    for again in (alice_client.get(path), alice_client.delete(path)):
        detail_of(again, 404)


def test_a_photo_that_waits_for_an_undo_is_404(alice_client: Client, alice: User) -> None:
    photo = make_photo(owned_by(alice), deleted_at=timezone.now())
    path = f"{PHOTOS}/{photo.pk}"
    for answer in (
        alice_client.get(path),
        alice_client.get(f"{path}/annotated"),
        alice_client.delete(path),
    ):
        detail_of(answer, 404)
