from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from recognizer.models import ModelVersion, Photo, Prediction, Review, User
from recognizer.services import reviews
from tests.admin.conftest import names
from tests.factories import GUEST, add_prediction, make_photo, make_version

LIST = reverse("admin:recognizer_prediction_changelist")
REVIEWS = reverse("admin:recognizer_review_changelist")


def change(prediction: Prediction) -> str:
    return reverse("admin:recognizer_prediction_change", args=[prediction.pk])


def say(client: Client, prediction: Prediction, *lines: tuple[str, str]) -> Any:
    """Send the form of a prediction's page with new verdicts, as the page has it."""
    earlier = list(prediction.reviews.all())
    form: dict[str, Any] = {
        "reviews-TOTAL_FORMS": len(earlier) + len(lines),
        "reviews-INITIAL_FORMS": len(earlier),
        "reviews-MIN_NUM_FORMS": 0,
        "reviews-MAX_NUM_FORMS": 1000,
    }
    for number, review in enumerate(earlier):
        form |= {f"reviews-{number}-id": review.pk, f"reviews-{number}-prediction": prediction.pk}
    for number, (verdict, emotion) in enumerate(lines, start=len(earlier)):
        line = {"prediction": prediction.pk, "verdict": verdict, "emotion": emotion}
        form |= {f"reviews-{number}-{field}": value for field, value in line.items()}
    return client.post(change(prediction), form)


# --- The list ----------------------------------------------------------------------------------


def test_every_prediction_is_listed_with_face_and_probabilities(
    ruth_client: Client, photo: Photo
) -> None:
    answer = ruth_client.get(LIST)
    assert len(answer.context["cl"].result_list) == 2
    page = answer.content.decode()
    for face in photo.faces.all():
        assert f"/faces/{face.pk}/crop/" in page
    assert page.count("<meter") >= 4
    assert "we-uncertain" in page
    assert "model-of-the-tests" in page


def test_older_predictions_stay_listed(ruth_client: Client, photo: Photo) -> None:
    add_prediction(photo.faces.get(number=1), "anger", make_version("newer"))
    assert len(ruth_client.get(LIST).context["cl"].result_list) == 3


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ({"emotion__exact": "happy"}, {"beach.jpg"}),
        ({"emotion__exact": "fear"}, {"of a guest.jpg"}),
        ({"uncertain__exact": "1"}, {"beach.jpg"}),
        ({"reviewed": "yes"}, {"of a guest.jpg"}),
        ({"reviewed": "no"}, {"beach.jpg"}),
        ({"q": "guest"}, {"of a guest.jpg"}),
        ({"q": "alice"}, {"beach.jpg"}),
        ({"created__year": str(timezone.now().year)}, {"beach.jpg", "of a guest.jpg"}),
        ({"created__year": "2001"}, set()),
    ],
)
def test_filters_and_search(
    ruth_client: Client,
    photo: Photo,
    guests_photo: Photo,
    query: dict[str, str],
    shown: set[str],
) -> None:
    for owned in (photo, guests_photo):  # An owner's word is no review.
        prediction = owned.faces.get(number=1).current
        assert prediction
        reviews.record(prediction, Review.Role.OWNER, "accept")
    prediction = guests_photo.faces.get().current
    assert prediction
    reviews.record(prediction, Review.Role.REVIEWER, "accept")
    assert names(ruth_client.get(LIST, query)) == shown


def test_predictions_are_filtered_by_model(ruth_client: Client, photo: Photo) -> None:
    other = make_photo(GUEST, "other.jpg", ["sad"])
    add_prediction(other.faces.get(), "sad", make_version("other"))
    version = ModelVersion.objects.get(name="other")
    assert names(ruth_client.get(LIST, {"model_version__id__exact": version.pk})) == {"other.jpg"}


def test_predictions_of_deleted_photos_are_not_shown(
    ruth_client: Client, prediction: Prediction
) -> None:
    Photo.objects.update(deleted_at=timezone.now())
    assert names(ruth_client.get(LIST)) == set()
    assert ruth_client.get(change(prediction)).status_code == 302
    assert say(ruth_client, prediction, ("accept", "")).status_code == 302
    assert not Review.objects.exists()


@pytest.mark.parametrize("count", [1, 20])
def test_the_list_takes_the_same_queries_however_long_it_is(
    ruth_client: Client, count: int, django_assert_max_num_queries: Any
) -> None:
    for number in range(count):
        photo = make_photo(GUEST, f"{number}.jpg", ["happy"])
        prediction = photo.faces.get().current
        assert prediction
        reviews.record(prediction, Review.Role.REVIEWER, "accept")
    with django_assert_max_num_queries(14):
        assert len(names(ruth_client.get(LIST))) == count


# --- A verdict ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verdict", "emotion"),
    [("accept", ""), ("correct", "sad"), ("not_a_face", ""), ("cant_tell", "")],
)
@pytest.mark.parametrize("who", ["ruth_client", "reviewer_client", "root_client"])
def test_a_reviewer_records_a_verdict(
    prediction: Prediction, verdict: str, emotion: str, who: str, request: pytest.FixtureRequest
) -> None:
    answer = say(request.getfixturevalue(who), prediction, (verdict, emotion))
    assert answer.status_code == 302
    review = Review.objects.get()
    assert (review.prediction, review.verdict, review.emotion) == (prediction, verdict, emotion)
    assert review.role == Review.Role.REVIEWER
    assert review.reviewer
    assert review.reviewer.is_staff
    prediction.refresh_from_db()
    assert (prediction.emotion, prediction.uncertain) == ("happy", False)


def test_the_page_shows_the_face_in_its_photo_and_why(ruth_client: Client, photo: Photo) -> None:
    uncertain = photo.faces.get(number=2)
    assert uncertain.current
    page = ruth_client.get(change(uncertain.current)).content.decode()
    assert page.count("<meter") == 8
    assert f"/photos/{photo.pk}/image/display/" in page
    # This face is marked, and no other.
    assert page.count("<rect") == page.count("we-box--uncertain") == 1
    assert f"/faces/{uncertain.pk}/crop/" in page
    assert "The first two emotions are close." in page
    assert '<option value="not_a_face">not a face</option>' in page


def test_a_second_verdict_is_added_and_none_is_overwritten(
    ruth_client: Client, reviewer_client: Client, prediction: Prediction
) -> None:
    say(ruth_client, prediction, ("accept", ""))
    first = Review.objects.get()
    say(reviewer_client, prediction, ("correct", "sad"))
    say(ruth_client, prediction, ("cant_tell", ""))
    assert [review.verdict for review in Review.objects.order_by("pk")] == [
        "accept",
        "correct",
        "cant_tell",
    ]
    again = Review.objects.get(pk=first.pk)
    assert (again.verdict, again.reviewer, again.created) == (
        "accept",
        first.reviewer,
        first.created,
    )


@pytest.mark.parametrize("who", ["ruth_client", "root_client"])
def test_a_forged_form_changes_and_deletes_no_earlier_verdict(
    prediction: Prediction, who: str, request: pytest.FixtureRequest
) -> None:
    review = reviews.record(prediction, Review.Role.REVIEWER, "accept")
    form = {
        "reviews-TOTAL_FORMS": 1,
        "reviews-INITIAL_FORMS": 1,
        "reviews-0-id": review.pk,
        "reviews-0-prediction": prediction.pk,
        "reviews-0-verdict": "correct",
        "reviews-0-emotion": "sad",
        "reviews-0-DELETE": "on",
        "emotion": "sad",
        "confidence": "0.1",
    }
    request.getfixturevalue(who).post(change(prediction), form)
    again = Review.objects.get()
    assert (again.pk, again.verdict, again.emotion) == (review.pk, "accept", "")
    prediction.refresh_from_db()
    assert (prediction.emotion, prediction.confidence) == ("happy", 0.9)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (("correct", ""), "Choose the emotion"),
        (("accept", "sad"), "Only “correct to” takes an emotion"),
        (("", "sad"), "This field is required"),
        (("maybe", ""), "Select a valid choice"),
        (("correct", "joy"), "Select a valid choice"),
    ],
)
def test_what_makes_no_sense_is_said(
    ruth_client: Client, prediction: Prediction, line: tuple[str, str], reason: str
) -> None:
    answer = say(ruth_client, prediction, line)
    assert answer.status_code == 200
    assert reason in answer.content.decode()
    assert not Review.objects.exists()


def test_an_empty_line_records_nothing(ruth_client: Client, prediction: Prediction) -> None:
    assert say(ruth_client, prediction, ("", "")).status_code == 302
    assert not Review.objects.exists()


@pytest.mark.parametrize("who", ["staff_client", "alice_client", "guest_client"])
def test_nobody_else_records_a_verdict(
    prediction: Prediction, who: str, request: pytest.FixtureRequest
) -> None:
    answer = say(request.getfixturevalue(who), prediction, ("accept", ""))
    assert answer.status_code in (302, 403)
    accept = {"action": "accept", "_selected_action": [prediction.pk]}
    request.getfixturevalue(who).post(LIST, accept)
    assert not Review.objects.exists()


def test_many_are_accepted_at_once(ruth: User, ruth_client: Client, photo: Photo) -> None:
    chosen = list(Prediction.objects.values_list("pk", flat=True))
    answer = ruth_client.post(LIST, {"action": "accept", "_selected_action": chosen}, follow=True)
    assert b"2 were accepted." in answer.content
    recorded = Review.objects.values_list("prediction", "verdict", "role", "reviewer")
    assert set(recorded) == {(pk, "accept", "reviewer", ruth.pk) for pk in chosen}


def test_reviews_are_listed_searched_and_filtered(
    ruth: User, ruth_client: Client, prediction: Prediction, guests_photo: Photo
) -> None:
    reviews.record(prediction, Review.Role.REVIEWER, "correct", "sad", ruth)
    theirs = guests_photo.faces.get().current
    assert theirs
    reviews.record(theirs, Review.Role.OWNER, "accept")

    def verdicts(**query: str) -> set[str]:
        rows = ruth_client.get(REVIEWS, query).context["cl"].result_list
        return {review.verdict for review in rows}

    assert verdicts() == {"correct", "accept"}
    assert verdicts(q="ruth") == {"correct"}
    assert verdicts(q="guest") == {"accept"}
    assert verdicts(role__exact="owner") == {"accept"}
    assert verdicts(verdict__exact="correct") == {"correct"}
    assert verdicts(emotion__exact="sad") == {"correct"}


def test_an_owners_verdict_and_a_reviewers_are_told_apart(
    ruth_client: Client, alice_client: Client, prediction: Prediction
) -> None:
    alice_client.post(
        f"/faces/{prediction.face_id}/verdict/", {"verdict": "correct", "emotion": "fear"}
    )
    say(ruth_client, prediction, ("accept", ""))
    roles = dict(Review.objects.values_list("verdict", "role"))
    assert roles == {"correct": "owner", "accept": "reviewer"}
    page = ruth_client.get(LIST).content.decode()
    assert '<td class="field-reviewed">accept</td>' in page


def test_the_model_filter_shows_while_there_is_one_model(
    ruth_client: Client, prediction: Prediction
) -> None:
    page = ruth_client.get("/admin/recognizer/prediction/").content.decode()
    assert "By model" in page
    assert str(prediction.model_version) in page
