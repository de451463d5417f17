from typing import Any

import pytest
from django.utils import timezone

from recognizer.models import Photo, Review
from recognizer.services import faces, reviews
from recognizer.services.owners import Owner
from recognizer.vision.emotions import EMOTIONS
from tests.factories import add_prediction, make_photo, make_version


def test_a_face_shows_its_newest_prediction(alice_owner: Owner) -> None:
    photo = make_photo(alice_owner, faces=["happy"])
    add_prediction(photo.faces.get(), "?sad", make_version("newer"))
    (view,) = faces.views_of(photo)
    assert (view.number, view.box) == (1, (10, 10, 20, 24))
    assert (view.emotion, view.confidence) == ("sad", 0.45)
    assert (view.runner_up, view.runner_up_confidence) == ("surprise", 0.4)
    assert view.uncertain
    assert view.label == "? sad or surprise"
    assert view.reason_texts == ["The first two emotions are close."]
    assert [emotion for emotion, _ in view.bars] == list(EMOTIONS)
    assert view.model.startswith("newer ")


def test_a_certain_face_is_called_by_one_emotion(alice_owner: Owner) -> None:
    (view,) = faces.views_of(make_photo(alice_owner, faces=["happy"]))
    assert (view.label, view.uncertain, view.reasons) == ("happy", False, [])


def test_the_owners_newest_verdict_is_shown_and_a_reviewers_is_not(alice_owner: Owner) -> None:
    photo = make_photo(alice_owner, faces=["happy"])
    prediction = photo.faces.get().current
    assert prediction
    reviews.record(prediction, Review.Role.REVIEWER, "correct", "fear")
    assert faces.views_of(photo)[0].own_verdict is None
    said = []
    for verdict, emotion in [("accept", ""), ("correct", "sad"), ("not_a_face", "")]:
        reviews.record(prediction, Review.Role.OWNER, verdict, emotion)
        said.append(faces.view_of(photo.faces.get()).own_verdict)
    assert said == ["right", "sad", "not a face"]


def test_a_verdict_on_an_older_prediction_is_not_said_of_the_new_one(alice_owner: Owner) -> None:
    photo = make_photo(alice_owner, faces=["happy"])
    face = photo.faces.get()
    assert face.current
    reviews.record(face.current, Review.Role.OWNER, "accept")
    add_prediction(face, "sad", make_version("newer"))
    assert faces.views_of(photo)[0].own_verdict is None


@pytest.mark.parametrize("count", [1, 40])
def test_many_faces_take_no_more_queries(
    alice_owner: Owner, count: int, django_assert_max_num_queries: Any
) -> None:
    photo = make_photo(alice_owner, faces=["happy"] * count)
    with django_assert_max_num_queries(2):
        assert len(faces.views_of(photo)) == count


def test_places_of_many_photos_take_one_query(
    alice_owner: Owner, bob_owner: Owner, django_assert_num_queries: Any
) -> None:
    queued = [
        make_photo(owner, status=Photo.Status.QUEUED)
        for owner in (alice_owner, bob_owner, alice_owner, alice_owner)
    ]
    make_photo(alice_owner, status=Photo.Status.QUEUED, deleted_at=timezone.now())
    mine = list(alice_owner.photos().order_by("queued_at"))
    with django_assert_num_queries(1):
        faces.set_queue_places(mine)
        assert [photo.queue_place for photo in mine] == [1, 3, 4]
    assert [Photo.objects.get(pk=photo.pk).queue_place for photo in queued] == [1, 2, 3, 4]


def test_nothing_queued_asks_nothing(alice_owner: Owner, django_assert_num_queries: Any) -> None:
    photos = [make_photo(alice_owner)]
    with django_assert_num_queries(0):
        faces.set_queue_places(photos)


def test_a_tile_names_uncertain_faces_first_and_then_the_most_frequent(
    alice_owner: Owner,
) -> None:
    photo = make_photo(alice_owner, faces=["sad", "happy", "happy", "?fear", "anger"])
    labels = [(label.text[:1], label.uncertain, label.count) for label in photo.tile_labels]
    assert labels[:2] == [("?", True, 1), ("h", False, 2)]
    assert photo.tile_rest == 2
