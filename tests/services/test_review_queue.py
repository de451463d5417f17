"""Which face a reviewer gets, and what becomes of their verdicts."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, Permission
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from recognizer.models import Claim, Face, Opinion, Photo, Review, User
from recognizer.services import review_access, review_queue, reviews
from recognizer.services.review_queue import Order, Queue, take
from tests.factories import GUEST, let_review, make_photo, owned_by

EMOTIONS = ["happy", "?sad", "fear", "?anger", "neutral", "surprise"]


@pytest.fixture
def photo(alice: User) -> Photo:
    photo = make_photo(owned_by(alice), "party.jpg", EMOTIONS)
    for number, face in enumerate(photo.faces.order_by("number")):
        face.doubt, face.shuffle = number / 10, (number * 7 % 6) / 10
        face.save()
    return photo


@pytest.fixture
def ruth(db: None) -> User:
    user = User.objects.create_user("ruth", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="review"))
    return let_review(user)


def judge(
    face: Face, user: User, verdict: str = "accept", emotion: str = "", order: str = ""
) -> Review:
    assert face.current
    return reviews.record(face.current, "reviewer", verdict, emotion, user, order=order)


def face_of(review: Review | None) -> Face | None:
    return review.prediction.face if review else None


def numbers(faces: object) -> list[int]:
    return [face.number for face in faces]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("order", "expected"),
    [(Order.UNCERTAIN, [6, 5, 4, 3, 2, 1]), (Order.RANDOM, [1, 2, 3, 4, 5, 6])],
)
def test_faces_come_in_the_order_asked_for(
    photo: Photo, reviewer: User, order: Order, expected: list[int]
) -> None:
    assert numbers(take(Queue(reviewer, order), 6)) == expected


def test_by_disagreement_come_only_faces_that_models_judge_differently(
    photo: Photo, reviewer: User
) -> None:
    photo.faces.filter(number=2).update(disagreement=0.4)
    photo.faces.filter(number=5).update(disagreement=0.7)
    assert numbers(take(Queue(reviewer, Order.DISAGREEMENT), 6)) == [5, 2]


def test_by_emotion_come_only_faces_that_are_called_so(photo: Photo, reviewer: User) -> None:
    assert numbers(take(Queue(reviewer, emotion="fear"), 6)) == [3]


def test_what_is_reviewed_does_not_come_again(photo: Photo, reviewer: User, ruth: User) -> None:
    (face,) = take(Queue(reviewer))
    judge(face, reviewer)
    for user in (reviewer, ruth):
        assert face not in take(Queue(user), 6)


def test_two_reviewers_never_have_the_same_face(photo: Photo, reviewer: User, ruth: User) -> None:
    mine, theirs = take(Queue(reviewer), 2), take(Queue(ruth), 2)
    assert numbers(mine) == [6, 5]
    assert numbers(theirs) == [4, 3]
    # Asking again, as after a reload, gives the same ones.
    assert take(Queue(reviewer), 2) == mine


def test_a_claim_ends_by_itself(photo: Photo, reviewer: User, ruth: User) -> None:
    (face,) = take(Queue(reviewer))
    assert face not in take(Queue(ruth))
    Claim.objects.filter(reviewer=reviewer).update(until=timezone.now() - timedelta(seconds=1))
    assert face in take(Queue(ruth), 2)


def test_another_order_lets_go_of_what_it_does_not_show(
    photo: Photo, reviewer: User, ruth: User
) -> None:
    take(Queue(reviewer))
    take(Queue(reviewer, emotion="fear"))
    assert numbers(take(Queue(ruth), 2)) == [6, 5]


def test_faces_may_want_two_opinions(
    photo: Photo, reviewer: User, ruth: User, settings: Settings
) -> None:
    settings.REVIEW_OPINIONS = 2
    (face,) = take(Queue(reviewer))
    assert take(Queue(ruth)) == [face]
    third = let_review(User.objects.create_user("rolf", is_staff=True))
    third.user_permissions.add(Permission.objects.get(codename="review"))
    assert face not in take(Queue(third), 5)
    judge(face, reviewer)
    assert face not in take(Queue(reviewer), 5)
    judge(face, ruth, "correct", "sad")
    face.refresh_from_db()
    assert face.opinions == 2
    assert face not in take(Queue(third), 5)


def test_a_verdict_can_be_taken_back(photo: Photo, reviewer: User) -> None:
    first, second = take(Queue(reviewer), 2)
    judge(first, reviewer)
    judge(second, reviewer, "not_a_face")
    assert face_of(reviews.withdraw(reviewer)) == second
    # It is all there to read: nothing was removed.
    verdicts = Review.objects.order_by("pk").values_list("verdict", flat=True)
    assert list(verdicts) == ["accept", "not_a_face", "withdrawn"]
    assert [opinion.face for opinion in Opinion.objects.all()] == [first]
    assert take(Queue(reviewer))[0] == second
    assert face_of(reviews.withdraw(reviewer)) == first
    assert reviews.withdraw(reviewer) is None


def test_a_change_of_mind_counts_once(photo: Photo, reviewer: User) -> None:
    (face,) = take(Queue(reviewer))
    judge(face, reviewer)
    judge(face, reviewer, "correct", "sad")
    face.refresh_from_db()
    assert face.opinions == 1
    assert reviews.answer_of(Opinion.objects.get().review) == "sad"


def test_an_owners_verdict_is_no_opinion_of_a_reviewer(photo: Photo, alice: User) -> None:
    face = photo.faces.get(number=1)
    assert face.current
    reviews.record(face.current, "owner", "accept", user=alice)
    face.refresh_from_db()
    assert face.opinions == 0


def test_the_sample_includes_what_the_random_order_passed_over(
    photo: Photo, reviewer: User
) -> None:
    """Reviewed first because it was uncertain: it would be missing from a sample of the rest."""
    judge(photo.faces.get(number=1), reviewer, order="uncertain")
    judge(photo.faces.get(number=4), reviewer, order="uncertain")
    queue = Queue(reviewer, Order.RANDOM)
    (face,) = take(queue)
    assert face.number == 2
    judge(face, reviewer, order="random")
    review_queue.mark_sampled(queue, face)
    sampled = photo.faces.exclude(sampled_at=None).order_by("number")
    assert numbers(sampled) == [1, 2]


@pytest.mark.parametrize("order", [Order.UNCERTAIN, Order.RANDOM])
def test_the_next_face_is_found_without_sorting_all(
    photo: Photo, reviewer: User, order: Order
) -> None:
    """So that it takes as long with 100,000 faces; how long, `make bench` tells."""
    if connection.vendor != "sqlite":
        pytest.skip("reads SQLite's plan")
    plan = Queue(reviewer, order).waiting().filter(claims=None)[:22].explain()
    assert "USE TEMP B-TREE FOR ORDER BY" not in plan
    assert "face_by_doubt" in plan or "face_at_random" in plan


def test_a_step_takes_a_few_queries(
    photo: Photo, reviewer: User, django_assert_max_num_queries: object
) -> None:
    take(Queue(reviewer), 2)
    with django_assert_max_num_queries(8):  # type: ignore[operator]
        assert len(take(Queue(reviewer), 2)) == 2


def test_progress_counts_what_waits_and_what_is_done(photo: Photo, reviewer: User) -> None:
    judge(photo.faces.get(number=1), reviewer)
    assert Queue(reviewer).waiting().count() == 5
    assert review_queue.done_by(reviewer) == 1


def test_faces_without_a_result_do_not_wait(photo: Photo, reviewer: User) -> None:
    photo.faces.filter(number=6).update(current=None)
    assert numbers(take(Queue(reviewer))) == [5]
    Photo.objects.update(deleted_at=timezone.now())
    assert take(Queue(reviewer)) == []


# --- Whose photos ----------------------------------------------------------------------------


def test_a_reviewer_sees_the_photos_of_the_groups_they_may_review(
    alice: User, bob: User, db: None
) -> None:
    team = Group.objects.create(name="team")
    alice.groups.add(team, Group.objects.create(name="choir"))
    hers = make_photo(owned_by(alice), "hers.jpg", ["happy"])
    make_photo(owned_by(bob), "his.jpg", ["happy"])
    make_photo(GUEST, "guest.jpg", ["happy"])
    user = User.objects.create_user("rolf", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="review"))
    assert not review_access.photos_for(user).exists()
    let_review(user, team)
    assert list(review_access.photos_for(user)) == [hers]
    assert [face.photo for face in take(Queue(user), 3)] == [hers]
    let_review(user)
    assert review_access.photos_for(user).count() == 3


def test_without_the_permission_a_scope_opens_nothing(alice: User, bob: User) -> None:
    make_photo(owned_by(alice), "hers.jpg", ["happy"])
    assert not review_access.photos_for(let_review(bob)).exists()


def test_a_closed_account_leaves_its_opinions(photo: Photo, reviewer: User) -> None:
    face = photo.faces.get(number=1)
    judge(face, reviewer)
    reviewer.delete()
    assert Opinion.objects.get().reviewer is None
    assert face.current
    assert face.current.reviews.count() == 1


@pytest.mark.django_db(transaction=True)
def test_ten_reviewers_at_once_never_judge_the_same_face(alice: User) -> None:
    for number in range(8):
        make_photo(owned_by(alice), f"{number}.jpg", EMOTIONS)
    team = [User.objects.create_superuser(f"reviewer {number}") for number in range(10)]

    def work(user: User) -> int:
        done = 0
        try:
            # Two at a time, as the page takes them: the next one is loaded ahead.
            while held := take(Queue(user, Order.UNCERTAIN), 2):
                judge(held[0], user)
                done += 1
        finally:
            connection.close()
        return done

    with ThreadPoolExecutor(len(team)) as pool:
        done = list(pool.map(work, team))
    assert sum(done) == 8 * len(EMOTIONS)
    assert sum(count > 0 for count in done) > 1
    assert Review.objects.count() == Opinion.objects.count() == 8 * len(EMOTIONS)
    assert set(Face.objects.values_list("opinions", flat=True)) == {1}
    assert not Claim.objects.exists()
