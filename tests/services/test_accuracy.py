"""The estimate of how right the model is, against counts made by hand."""

from datetime import date

import numpy as np
import pytest
from django.contrib.auth.models import Group
from django.utils import timezone

from recognizer.models import Face, ModelVersion, Photo, Prediction, User
from recognizer.services import accuracy, reviews
from recognizer.services.accuracy import Selection, Share, estimate, krippendorff
from recognizer.vision.emotions import EMOTIONS
from tests.factories import let_review, make_photo, owned_by


@pytest.fixture
def photo(alice: User) -> Photo:
    return make_photo(owned_by(alice), "party.jpg", ["happy", "happy", "?sad", "fear", "anger"])


def say(face: Face, user: User, verdict: str, emotion: str = "", sampled: bool = True) -> None:
    assert face.current
    reviews.record(face.current, "reviewer", verdict, emotion, user)
    if sampled:
        Face.objects.filter(pk=face.pk).update(sampled_at=timezone.now())


@pytest.fixture
def said(photo: Photo, reviewer: User) -> None:
    one, two, three, four, five = photo.faces.select_related("current").order_by("number")
    say(one, reviewer, "accept")
    say(two, reviewer, "correct", "surprise")
    say(three, reviewer, "accept")
    say(four, reviewer, "not_a_face")
    say(five, reviewer, "correct", "neutral", sampled=False)


def test_only_sampled_faces_count(said: None, reviewer: User) -> None:
    found = estimate(Selection(reviewer))
    assert found.population == 5
    assert len(found.judged) == 4
    assert (found.accuracy.hits, found.accuracy.of) == (2, 3)
    assert (found.no_faces.hits, found.undecided.hits) == (1, 0)
    assert (found.coverage.hits, found.coverage.of) == (2, 3)
    assert (found.when_certain.hits, found.when_certain.of) == (1, 2)
    assert found.confusion["surprise"]["happy"] == 1
    assert sum(sum(row.values()) for row in found.confusion.values()) == 3


def test_risk_falls_with_coverage_as_counted(said: None, reviewer: User) -> None:
    found = estimate(Selection(reviewer))
    for place, judged in enumerate(found.judged):
        judged.prediction.confidence = 0.9 - place / 10
    points = found.risk_coverage
    assert [coverage for coverage, _ in points] == pytest.approx([1 / 3, 2 / 3, 1])
    assert points[-1][1] == pytest.approx(1 / 3)


def test_faces_of_one_confidence_are_one_point(said: None, reviewer: User) -> None:
    found = estimate(Selection(reviewer))
    for judged in found.judged:
        judged.prediction.confidence = 0.5
    ((coverage, error),) = found.risk_coverage
    assert (coverage, error) == pytest.approx((1, 1 / 3))


def test_bins_hold_every_answer(said: None, reviewer: User) -> None:
    bins = estimate(Selection(reviewer)).reliability
    assert sum(one.right.of for one in bins) == 3
    assert all(one.low <= one.confidence <= one.high for one in bins)


def test_most_of_the_reviewers_decide(photo: Photo, reviewer: User) -> None:
    others = [let_review(User.objects.create_user(name)) for name in ("rolf", "ruth")]
    face = photo.faces.get(number=1)
    say(face, reviewer, "correct", "fear")
    say(face, others[0], "accept")
    assert estimate(Selection(reviewer)).undecided.hits == 1
    say(face, others[1], "accept")
    found = estimate(Selection(reviewer))
    assert (found.accuracy.hits, found.accuracy.of) == (1, 1)
    assert found.agreement is not None


def test_a_selection_by_day_group_and_model(said: None, photo: Photo, reviewer: User) -> None:
    team = Group.objects.create(name="team")
    assert not estimate(Selection(reviewer, owners=team)).judged
    assert photo.user
    photo.user.groups.add(team)
    assert len(estimate(Selection(reviewer, owners=team)).judged) == 4
    day = photo.created.date()
    assert len(estimate(Selection(reviewer, since=day, until=day)).judged) == 4
    assert not estimate(Selection(reviewer, until=date(2000, 1, 1))).judged
    other = ModelVersion.objects.create(name="other", sha256="1" * 64, card={})
    face = photo.faces.get(number=1)
    shares = [1.0 if emotion == "sad" else 0.0 for emotion in EMOTIONS]
    Prediction.objects.create(
        face=face,
        model_version=other,
        probabilities=shares,
        emotion="sad",
        confidence=1.0,
        uncertain=False,
    )
    found = estimate(Selection(reviewer, version=other))
    assert found.population == 1
    # The reviewer accepted "happy", and this model says "sad".
    assert (found.accuracy.hits, found.accuracy.of) == (0, 1)


def test_weeks_begin_on_monday(said: None, photo: Photo, reviewer: User) -> None:
    ((week, share),) = estimate(Selection(reviewer)).by_week
    assert week.weekday() == 0
    assert 0 <= (photo.created.date() - week).days < 7
    assert share.of == 3


def test_without_reviews_nothing_is_known(photo: Photo, reviewer: User) -> None:
    found = estimate(Selection(reviewer))
    assert found.accuracy.value is None
    assert found.accuracy.interval == pytest.approx((0, 1))
    assert found.agreement is None
    assert found.more_needed == pytest.approx(1064, abs=3)


def test_it_asks_the_database_a_few_times_only(
    said: None, reviewer: User, django_assert_max_num_queries: object
) -> None:
    with django_assert_max_num_queries(6):  # type: ignore[operator]
        estimate(Selection(reviewer))


# --- Numbers ---------------------------------------------------------------------------------


def test_wilson_intervals_of_known_shares() -> None:
    assert Share(10, 8).interval == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert Share(100, 100).interval == pytest.approx((0.9630, 1.0), abs=1e-4)
    assert Share(5, 0).interval[0] == 0


@pytest.mark.parametrize(("hits", "of"), [(85, 100), (50, 100), (99, 100), (1, 1), (870, 1000)])
def test_more_answers_are_as_many_as_it_takes(hits: int, of: int) -> None:
    share = Share(of, hits)
    more = share.more_for(0.03)
    assert share._with(more).margin <= 0.03
    assert more == 0 or share._with(more - 1).margin > 0.03


def test_intervals_hold_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for hits in rng.binomial(60, 0.87, 2000):
        low, high = Share(60, int(hits)).interval
        held += low <= 0.87 <= high
    assert 0.93 < held / 2000 < 0.97


def test_agreement_of_known_answers() -> None:
    # Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability", nominal data, any number
    # of observers, missing data: 0.743.
    a, b, c, d = "1234"
    e = "5"
    units = [
        [a, a, a], [b, b, c, b], [c, c, c, c], [c, c, c, c], [b, b, b, b], [a, b, c, d],
        [d, d, d, d], [a, a, b, a], [b, b, b, b], [e, e, e], [a, a], [c],
    ]  # fmt: skip
    assert krippendorff(units) == pytest.approx(0.743, abs=0.001)
    assert krippendorff([["a", "a"], ["b", "b"]]) == 1
    assert krippendorff([["a"], []]) is None


def test_the_interval_needs_more_the_nearer_to_a_half() -> None:
    needs = [Share(100, hits).more_for(0.03) for hits in (50, 70, 90)]
    assert needs == sorted(needs, reverse=True)
    assert accuracy.WANTED_MARGIN == 0.03
