"""The review queue's page and what its keys send."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from recognizer.models import Face, Opinion, Photo, Review, User
from tests.factories import make_photo, owned_by

QUEUE, VERDICT = reverse("review-queue"), reverse("review-verdict")
UNDO, BACK = reverse("review-undo"), reverse("review-back")


def sent(face: Face, verdict: str = "accept", emotion: str = "", **more: Any) -> dict[str, Any]:
    assert face.current
    return {
        "face": face.pk,
        "prediction": face.current.pk,
        "verdict": verdict,
        "emotion": emotion,
        "order": "uncertain",
        "seconds": "2.5",
        **more,
    }


@pytest.fixture
def faces(photo: Photo) -> list[Face]:
    """The second one, which is uncertain, comes first."""
    photo.faces.filter(number=1).update(doubt=0.1)
    photo.faces.filter(number=2).update(doubt=0.6)
    return list(photo.faces.select_related("current").order_by("number"))


def test_it_shows_the_first_face_and_loads_the_next(ruth_client: Client, faces: list[Face]) -> None:
    answer = ruth_client.get(QUEUE)
    assert answer.context["shown"].face == faces[1]
    assert answer.context["following"] == faces[0]
    page = answer.content.decode()
    assert page.count("data-key=") == 8 + 3 + 2
    assert "2 waiting" in page


def test_a_verdict_is_kept_and_brings_the_next_face(
    ruth_client: Client, ruth: User, faces: list[Face]
) -> None:
    ruth_client.get(QUEUE)
    answer = ruth_client.post(VERDICT, sent(faces[1], "correct", "fear"))
    assert answer.context["shown"].face == faces[0]
    review = Review.objects.get()
    assert (review.reviewer, review.role, review.verdict) == (ruth, "reviewer", "correct")
    assert (review.emotion, review.order, review.seconds) == ("fear", "uncertain", 2.5)
    assert LogEntry.objects.get().user == ruth
    answer = ruth_client.post(VERDICT, sent(faces[0], "cant_tell"))
    assert "Nothing waits" in answer.content.decode()


def test_undo_withdraws_the_last_verdict_and_shows_its_face(
    ruth_client: Client, faces: list[Face]
) -> None:
    ruth_client.post(VERDICT, sent(faces[1], "not_a_face"))
    answer = ruth_client.post(UNDO, {"order": "uncertain"})
    assert answer.context["shown"].face == faces[1]
    assert not Opinion.objects.exists()
    assert [review.verdict for review in Review.objects.order_by("pk")] == [
        "not_a_face",
        "withdrawn",
    ]
    assert LogEntry.objects.count() == 2


def test_undo_does_not_show_what_may_not_be_seen_any_more(
    ruth_client: Client, ruth: User, faces: list[Face]
) -> None:
    ruth_client.post(VERDICT, sent(faces[1]))
    ruth.groups.clear()
    assert ruth_client.post(UNDO, {"order": "uncertain"}).context["shown"] is None
    assert not Opinion.objects.exists()


def test_the_number_of_verdicts_grows_with_each(ruth_client: Client, faces: list[Face]) -> None:
    assert ruth_client.get(QUEUE).context["done"] == 0
    assert ruth_client.post(VERDICT, sent(faces[1])).context["done"] == 1


def test_back_shows_what_was_said_and_lets_it_be_changed(
    ruth_client: Client, faces: list[Face]
) -> None:
    ruth_client.post(VERDICT, sent(faces[1]))
    ruth_client.post(VERDICT, sent(faces[0]))
    first = ruth_client.post(BACK, {"order": "uncertain"})
    assert first.context["shown"].face == faces[0]
    assert "You said: accept" in first.content.decode()
    second = ruth_client.post(BACK, {"order": "uncertain", "before": first.context["shown"].own.pk})
    assert second.context["shown"].face == faces[1]
    ruth_client.post(VERDICT, sent(faces[1], "correct", "anger"))
    assert Opinion.objects.get(face=faces[1]).review.emotion == "anger"
    assert Opinion.objects.count() == 2


def test_the_random_order_marks_its_sample(ruth_client: Client, faces: list[Face]) -> None:
    Face.objects.filter(pk=faces[0].pk).update(shuffle=0.2)
    Face.objects.filter(pk=faces[1].pk).update(shuffle=0.7)
    ruth_client.post(VERDICT, sent(faces[0], order="random"))
    sampled = Face.objects.exclude(sampled_at=None)
    assert list(sampled) == [faces[0]]
    # Only some emotions are no sample of all.
    ruth_client.post(VERDICT, sent(faces[1], order="random", only="sad"))
    assert sampled.count() == 1


def test_the_grid_accepts_all_but_the_marked_ones(ruth_client: Client, ruth: User) -> None:
    photo = make_photo(owned_by(User.objects.create_user("dora")), "crowd.jpg", ["happy"] * 5)
    grid = reverse("review-grid")
    shown = ruth_client.get(grid, {"only": "happy"}).context["faces"]
    assert len(shown) == 5
    wrong = shown[2]
    keys = [str(face.pk) for face in shown]
    answer = ruth_client.post(
        grid, {"face": keys, "wrong": [str(wrong.pk)], "only": "happy", "order": "uncertain"}
    )
    assert Review.objects.count() == 4
    assert {review.order for review in Review.objects.all()} == {"grid"}
    assert not Opinion.objects.filter(face=wrong).exists()
    following = ruth_client.get(answer["Location"])
    assert following.context["shown"].face == wrong
    assert photo.faces.filter(opinions=1).count() == 4


def test_the_grid_accepts_only_what_the_reviewer_holds(
    ruth_client: Client, faces: list[Face]
) -> None:
    ruth_client.post(reverse("review-grid"), {"face": str(faces[0].pk), "only": "happy"})
    assert not Review.objects.exists()
    assert not ruth_client.get(reverse("review-grid")).context["faces"]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"verdict": "perhaps"}, 400),
        ({"verdict": "correct"}, 400),
        ({"verdict": "correct", "emotion": "hunger"}, 400),
        ({"face": "999999"}, 404),
        ({"face": "x"}, 404),
        ({"prediction": ""}, 404),
    ],
)
def test_nonsense_is_refused_and_nothing_is_kept(
    ruth_client: Client, faces: list[Face], change: dict[str, str], status: int
) -> None:
    assert ruth_client.post(VERDICT, {**sent(faces[1]), **change}).status_code == status
    assert not Review.objects.exists()


@pytest.mark.parametrize("seconds", ["", "soon", "-1", "nan", "1e9"])
def test_a_time_that_cannot_be_is_left_out(
    ruth_client: Client, faces: list[Face], seconds: str
) -> None:
    ruth_client.post(VERDICT, sent(faces[1], seconds=seconds))
    assert Review.objects.get().seconds is None


def test_wrong_filters_are_ignored(ruth_client: Client, faces: list[Face]) -> None:
    answer = ruth_client.get(QUEUE, {"order": "backwards", "only": "hunger"})
    assert answer.context["shown"].face == faces[1]


@pytest.mark.parametrize("path", [QUEUE, VERDICT, UNDO, BACK, reverse("review-grid")])
def test_only_reviewers_get_in(staff_client: Client, alice_client: Client, path: str) -> None:
    ask = "get" if path in (QUEUE, reverse("review-grid")) else "post"
    assert getattr(staff_client, ask)(path).status_code == 403
    assert getattr(alice_client, ask)(path).status_code == 302
    assert getattr(Client(), ask)(path).status_code == 302


def test_a_face_of_somebody_elses_group_is_not_there(
    ruth_client: Client, ruth: User, faces: list[Face]
) -> None:
    ruth.groups.clear()
    assert ruth_client.get(QUEUE).context["shown"] is None
    assert ruth_client.post(VERDICT, sent(faces[1])).status_code == 404


def test_the_admin_leads_to_the_queue(ruth_client: Client, staff_client: Client) -> None:
    index = reverse("admin:index")
    assert QUEUE in ruth_client.get(index).content.decode()
    assert f'href="{QUEUE}"' not in staff_client.get(index).content.decode()
