"""Two models on the same faces, as a reviewer may see them."""

from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.utils import timezone

from recognizer.models import Face, ModelVersion, Photo, User
from recognizer.services import model_comparison, reviews
from recognizer.services.model_comparison import Compared, compare
from tests.factories import (
    GUEST,
    add_face,
    add_prediction,
    let_review,
    make_photo,
    make_version,
    owned_by,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def old() -> ModelVersion:
    return make_version("old")


@pytest.fixture
def new() -> ModelVersion:
    return make_version("new")


@pytest.fixture
def photo(alice: User) -> Photo:
    return make_photo(owned_by(alice))


def seen(photo: Photo, before: str, now: str) -> Face:
    """A face that the old model calls one thing and the new one another."""
    face = add_face(photo, before, make_version("old"))
    add_prediction(face, now, make_version("new"))
    return face


def judge(face: Face, user: User, verdict: str, emotion: str = "") -> None:
    assert face.current
    reviews.record(face.current, "reviewer", verdict, emotion, user)


def numbers(found: Compared) -> dict[str, tuple[int, int]]:
    return {
        "same": (found.same.hits, found.same.of),
        "old": (found.old_right.hits, found.old_right.of),
        "new": (found.new_right.hits, found.new_right.of),
    }


def test_it_counts_who_is_right(
    reviewer: User, photo: Photo, old: ModelVersion, new: ModelVersion
) -> None:
    for before, now, truth in (
        ("happy", "happy", "happy"),
        ("happy", "happy", "sad"),
        ("happy", "sad", "sad"),
        ("happy", "fear", "fear"),
        ("anger", "sad", "anger"),
        ("anger", "sad", "fear"),
        ("sad", "neutral", ""),
        ("?sad", "sad", ""),
    ):
        face = seen(photo, before, now)
        if truth:
            judge(face, reviewer, "correct", truth)
    found = compare(reviewer, old, new)
    assert numbers(found) == {"same": (3, 8), "old": (2, 6), "new": (3, 6)}
    assert (found.mended, found.spoilt) == (2, 1)
    assert [(one.old.emotion, one.new.emotion, one.truth) for one in found.changes] == [
        # Reviewed ones first, the newest of them first.
        ("anger", "sad", "fear"),
        ("anger", "sad", "anger"),
        ("happy", "fear", "fear"),
        ("happy", "sad", "sad"),
        ("sad", "neutral", ""),
    ]


def test_the_other_way_round_is_the_mirror_image(
    reviewer: User, photo: Photo, old: ModelVersion, new: ModelVersion
) -> None:
    for before, now in (("happy", "sad"), ("fear", "sad"), ("sad", "happy")):
        judge(seen(photo, before, now), reviewer, "correct", "sad")
    there, back = compare(reviewer, old, new), compare(reviewer, new, old)
    assert (there.mended, there.spoilt) == (back.spoilt, back.mended) == (2, 1)
    assert (there.old_right, there.new_right) == (back.new_right, back.old_right)
    assert {(one.old, one.new) for one in there.changes} == {
        (one.new, one.old) for one in back.changes
    }


def test_accepting_either_models_answer_is_a_truth(
    reviewer: User, photo: Photo, old: ModelVersion, new: ModelVersion
) -> None:
    judge(seen(photo, "happy", "sad"), reviewer, "accept")  # the newest answer: the new model's
    found = compare(reviewer, old, new)
    assert numbers(found) == {"same": (0, 1), "old": (0, 1), "new": (1, 1)}


@pytest.mark.parametrize("verdict", ["cant_tell", "not_a_face"])
def test_what_has_no_emotion_judges_nobody(
    reviewer: User, photo: Photo, old: ModelVersion, new: ModelVersion, verdict: str
) -> None:
    judge(seen(photo, "happy", "sad"), reviewer, verdict)
    found = compare(reviewer, old, new)
    assert numbers(found) == {"same": (0, 1), "old": (0, 0), "new": (0, 0)}
    assert [one.truth for one in found.changes] == [""]


def test_the_majority_of_the_reviewers_is_the_truth(
    reviewer: User, photo: Photo, old: ModelVersion, new: ModelVersion
) -> None:
    face = seen(photo, "happy", "sad")
    ruth, rolf = (let_review(User.objects.create_user(name)) for name in ("ruth", "rolf"))
    judge(face, reviewer, "correct", "happy")
    judge(face, ruth, "correct", "sad")
    assert compare(reviewer, old, new).old_right.of == 0
    judge(face, rolf, "correct", "happy")
    found = compare(reviewer, old, new)
    assert (found.old_right.hits, found.new_right.hits) == (1, 0)
    assert found.changes[0].truth == "happy"


def test_only_faces_that_both_have_seen_are_compared(
    reviewer: User, photo: Photo, old: ModelVersion, new: ModelVersion
) -> None:
    for version in (old, new, make_version("third")):
        judge(add_face(photo, "happy", version), reviewer, "accept")
    found = compare(reviewer, old, new)
    assert numbers(found) == {"same": (0, 0), "old": (0, 0), "new": (0, 0)}
    assert not found.changes


def test_a_model_agrees_with_itself(reviewer: User, photo: Photo, old: ModelVersion) -> None:
    judge(seen(photo, "happy", "sad"), reviewer, "correct", "happy")
    found = compare(reviewer, old, old)
    assert numbers(found) == {"same": (1, 1), "old": (1, 1), "new": (1, 1)}
    assert (found.mended, found.spoilt, found.changes) == (0, 0, [])


def test_a_reviewer_sees_the_faces_of_their_groups_only(
    alice: User, bob: User, old: ModelVersion, new: ModelVersion, reviewer: User
) -> None:
    team = Group.objects.create(name="team")
    alice.groups.add(team)
    reviewer.groups.clear()
    let_review(reviewer, team)
    faces = [
        seen(make_photo(owner), "happy", "sad") for owner in (owned_by(alice), owned_by(bob), GUEST)
    ]
    for face in faces:
        judge(face, reviewer, "correct", "sad")
    found = compare(reviewer, old, new)
    assert numbers(found) == {"same": (0, 1), "old": (0, 1), "new": (1, 1)}
    assert [one.face for one in found.changes] == [faces[0]]
    nobody = User.objects.create_user("nobody", is_staff=True)
    assert compare(nobody, old, new).same.of == 0


def test_a_deleted_photo_is_not_compared(
    reviewer: User, photo: Photo, old: ModelVersion, new: ModelVersion
) -> None:
    seen(photo, "happy", "sad")
    Photo.objects.update(deleted_at=timezone.now())
    assert compare(reviewer, old, new).same.of == 0


def test_many_changes_are_counted_and_some_are_shown(
    reviewer: User,
    photo: Photo,
    old: ModelVersion,
    new: ModelVersion,
    monkeypatch: pytest.MonkeyPatch,
    django_assert_max_num_queries: Any,
) -> None:
    monkeypatch.setattr(model_comparison, "SHOWN", 3)
    faces = [seen(photo, "happy", "sad") for _ in range(8)]
    judge(faces[2], reviewer, "correct", "sad")
    with django_assert_max_num_queries(9):
        found = compare(reviewer, old, new)
    assert found.same.of == 8
    assert [one.face for one in found.changes] == [faces[2], faces[7], faces[6]]
