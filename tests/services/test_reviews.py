import pytest
from django.db import IntegrityError

from recognizer.models import Prediction, Review, User
from recognizer.services import faces, reviews
from recognizer.services.owners import Owner
from tests.factories import make_photo


@pytest.fixture
def prediction(alice_owner: Owner) -> Prediction:
    make_photo(alice_owner, faces=["happy"])
    return Prediction.objects.get()


@pytest.mark.parametrize(
    ("verdict", "emotion"),
    [
        ("accept", ""),
        ("correct", "sad"),
        ("correct", "happy"),
        ("not_a_face", ""),
        ("cant_tell", ""),
    ],
)
def test_a_verdict_is_added(
    prediction: Prediction, reviewer: User, verdict: str, emotion: str
) -> None:
    review = reviews.record(prediction, Review.Role.REVIEWER, verdict, emotion, reviewer)
    review.refresh_from_db()
    assert (review.verdict, review.emotion, review.reviewer) == (verdict, emotion, reviewer)
    prediction.refresh_from_db()
    assert prediction.emotion == "happy"


@pytest.mark.parametrize(
    ("verdict", "emotion"),
    [
        ("correct", ""),
        ("correct", "joy"),
        ("accept", "happy"),
        ("accept", "joy"),
        ("maybe", ""),
        ("", ""),
        ("not_a_face", "sad"),
    ],
)
def test_a_verdict_that_makes_no_sense_is_refused(
    prediction: Prediction, verdict: str, emotion: str
) -> None:
    with pytest.raises(reviews.BadVerdict, match="got"):
        reviews.record(prediction, Review.Role.OWNER, verdict, emotion)
    assert not Review.objects.exists()


@pytest.mark.parametrize(("verdict", "emotion"), [("correct", ""), ("accept", "sad")])
def test_the_database_refuses_it_too(prediction: Prediction, verdict: str, emotion: str) -> None:
    with pytest.raises(IntegrityError, match="review_names_an_emotion_only_to_correct"):
        Review.objects.create(prediction=prediction, role="owner", verdict=verdict, emotion=emotion)


def test_verdicts_pile_up_and_the_newest_of_the_owner_counts(
    prediction: Prediction, alice: User, reviewer: User
) -> None:
    assert faces.view_of(prediction.face).own_verdict is None
    reviews.record(prediction, Review.Role.OWNER, "accept", user=alice)
    newest = reviews.record(prediction, Review.Role.OWNER, "correct", "sad", alice)
    reviews.record(prediction, Review.Role.REVIEWER, "cant_tell", user=reviewer)
    view = faces.view_of(prediction.face)
    assert (view.own_verdict, view.own_verdict_at) == ("sad", newest.created)
    assert Review.objects.count() == 3
