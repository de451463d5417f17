from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from recognizer.models import ModelVersion, Photo, User
from recognizer.services import queue
from tests.admin.conftest import names
from tests.factories import GUEST, add_face, add_prediction, make_photo, make_version, owned_by

LIST = reverse("admin:recognizer_photo_changelist")


def change(photo: Photo) -> str:
    return reverse("admin:recognizer_photo_change", args=[photo.pk])


def test_photos_of_users_and_guests_are_listed(
    ruth_client: Client, photo: Photo, guests_photo: Photo
) -> None:
    answer = ruth_client.get(LIST)
    assert names(answer) == {"beach.jpg", "of a guest.jpg"}
    page = answer.content.decode()
    for one in (photo, guests_photo):
        assert f"/photos/{one.pk}/image/thumbnail/" in page
    assert "alice" in page
    assert "guest" in page
    assert '<span class="we-certain">happy 90%</span>' in page
    assert '<span class="we-uncertain">? sad or surprise 45%</span>' in page
    assert "a-guest-of-the-tests" not in page


def test_a_photo_is_shown_with_its_boxes_and_faces(ruth_client: Client, photo: Photo) -> None:
    page = ruth_client.get(change(photo)).content.decode()
    assert f"/photos/{photo.pk}/image/annotated/" in page
    for face in photo.faces.all():
        assert f"/faces/{face.pk}/crop/" in page
        assert reverse("admin:recognizer_prediction_change", args=[face.current_id]) in page
    assert "<meter" in page
    assert "0.9000" in page


def test_a_photo_that_waits_is_shown_without_boxes(ruth_client: Client) -> None:
    photo = make_photo(GUEST, status=Photo.Status.QUEUED)
    photo.annotated.delete()
    page = ruth_client.get(change(photo)).content.decode()
    assert f"/photos/{photo.pk}/image/display/" in page


def test_deleted_photos_are_not_shown(ruth_client: Client, photo: Photo) -> None:
    Photo.objects.update(deleted_at=timezone.now())
    assert names(ruth_client.get(LIST)) == set()
    assert ruth_client.get(change(photo)).status_code == 302


def test_a_name_with_markup_is_escaped(ruth_client: Client) -> None:
    photo = make_photo(GUEST, "<script>alert(1)</script>.jpg", ["happy"])
    for page in (LIST, change(photo)):
        assert "<script>alert(1)" not in ruth_client.get(page).content.decode()


# --- Filters and search ------------------------------------------------------------------------


@pytest.fixture
def album(alice: User) -> None:
    old = timezone.now() - timedelta(days=400)
    make_photo(owned_by(alice), "happy.jpg", ["happy", "happy"])
    make_photo(owned_by(alice), "unsure.jpg", ["?happy"])
    make_photo(GUEST, "failed.jpg", status=Photo.Status.FAILED, created=old)
    other = make_photo(GUEST, "other model.jpg")
    add_face(other, "sad", make_version("other"))


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ({"status__exact": "failed"}, {"failed.jpg"}),
        ({"emotion": "happy"}, {"happy.jpg"}),
        ({"emotion": "sad"}, {"other model.jpg"}),
        ({"uncertain": "yes"}, {"unsure.jpg"}),
        ({"uncertain": "no"}, {"happy.jpg", "failed.jpg", "other model.jpg"}),
        ({"q": "unsure"}, {"unsure.jpg"}),
        ({"q": "alice"}, {"happy.jpg", "unsure.jpg"}),
        ({"q": "nothing"}, set()),
    ],
)
def test_filters_and_search(
    album: None, ruth_client: Client, query: dict[str, str], shown: set[str]
) -> None:
    assert names(ruth_client.get(LIST, query)) == shown


def test_photos_are_filtered_by_model(album: None, ruth_client: Client) -> None:
    for name, shown in (("other", {"other model.jpg"}), ("model-of-the-tests", None)):
        version = ModelVersion.objects.get(name=name)
        answer = ruth_client.get(LIST, {"faces__current__model_version__id__exact": version.pk})
        assert names(answer) == (shown or {"happy.jpg", "unsure.jpg"})
        assert len(answer.context["cl"].result_list) == len(names(answer))


def test_photos_are_filtered_by_date(album: None, ruth_client: Client) -> None:
    year = timezone.now().year
    assert "failed.jpg" not in names(ruth_client.get(LIST, {"created__year": year}))
    recent = {"created__gte": f"{timezone.now() - timedelta(days=7):%Y-%m-%d 00:00:00+00:00}"}
    assert names(ruth_client.get(LIST, recent)) == {"happy.jpg", "unsure.jpg", "other model.jpg"}


def test_the_newest_prediction_decides(ruth_client: Client, photo: Photo) -> None:
    add_prediction(photo.faces.get(number=1), "anger", make_version("newer"))
    assert names(ruth_client.get(LIST, {"emotion": "happy"})) == set()
    assert names(ruth_client.get(LIST, {"emotion": "anger"})) == {"beach.jpg"}


@pytest.mark.parametrize("count", [1, 40])
def test_the_list_takes_the_same_queries_however_many_photos(
    ruth_client: Client, count: int, django_assert_max_num_queries: Any
) -> None:
    for number in range(count):
        make_photo(GUEST, f"{number}.jpg", ["happy", "?sad"])
    with django_assert_max_num_queries(16):
        assert len(names(ruth_client.get(LIST))) == count


@pytest.mark.parametrize("count", [1, 30])
def test_a_photo_takes_the_same_queries_however_many_faces(
    ruth_client: Client, count: int, django_assert_max_num_queries: Any
) -> None:
    photo = make_photo(GUEST, faces=["happy"] * count)
    with django_assert_max_num_queries(8):
        ruth_client.get(change(photo))


# --- Actions -----------------------------------------------------------------------------------


def test_photos_are_queued_again(
    ruth_client: Client,
    photo: Photo,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Any,
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(queue, "send", lambda photo_id, again=False: asked.append(photo_id))
    failed = make_photo(GUEST, status=Photo.Status.FAILED, attempts=3, error="It gave up.")
    busy = make_photo(GUEST, status=Photo.Status.PROCESSING)
    chosen = [photo.pk, failed.pk, busy.pk]
    with django_capture_on_commit_callbacks(execute=True):
        answer = ruth_client.post(
            LIST, {"action": "queue_again", "_selected_action": chosen}, follow=True
        )
    assert b"2 photos were queued." in answer.content
    assert set(asked) == {photo.pk, failed.pk}
    failed.refresh_from_db()
    assert (failed.status, failed.attempts, failed.error) == (Photo.Status.QUEUED, 0, "")
    busy.refresh_from_db()
    assert busy.status == Photo.Status.PROCESSING


def test_a_reviewer_deletes_no_photos(ruth_client: Client, photo: Photo) -> None:
    page = ruth_client.get(LIST).content.decode()
    assert "delete_selected" not in page
    delete = {"action": "delete_selected", "_selected_action": [photo.pk], "post": "yes"}
    ruth_client.post(LIST, delete)
    path = reverse("admin:recognizer_photo_delete", args=[photo.pk])
    assert ruth_client.post(path, {"post": "yes"}).status_code == 403
    assert Photo.objects.exists()


@pytest.mark.parametrize("by", ["action", "page"])
def test_who_may_delete_photos_deletes_all_of_them(
    ruth: User,
    ruth_client: Client,
    photo: Photo,
    by: str,
    django_capture_on_commit_callbacks: Any,
) -> None:
    # A photo with predictions and reviews, which nobody may delete on their own.
    ruth.user_permissions.add(Permission.objects.get(codename="delete_photo"))
    stored = photo.files
    with django_capture_on_commit_callbacks(execute=True):
        if by == "page":
            path = reverse("admin:recognizer_photo_delete", args=[photo.pk])
            ruth_client.post(path, {"post": "yes"})
        else:
            delete = {"action": "delete_selected", "_selected_action": [photo.pk], "post": "yes"}
            ruth_client.post(LIST, delete)
    assert not Photo.objects.exists()
    assert not any(file.storage.exists(file.name or "") for file in stored)
