"""The page that says how accurate the model is on the site's photos."""

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from recognizer.models import Face, Photo, User
from recognizer.services import reviews

PAGE = reverse("review-accuracy")


@pytest.fixture
def reviewed(photo: Photo, ruth: User) -> None:
    for face, verdict in zip(photo.faces.order_by("number"), ("accept", "correct"), strict=True):
        assert face.current
        emotion = "fear" if verdict == "correct" else ""
        reviews.record(face.current, "reviewer", verdict, emotion, ruth, order="random")
    Face.objects.update(sampled_at=timezone.now())


def test_it_says_how_often_it_was_right(ruth_client: Client, reviewed: None) -> None:
    answer = ruth_client.get(PAGE)
    page = answer.content.decode()
    assert "<b>50%</b> right" in page
    assert "From 2 randomly sampled faces of 2." in page
    assert answer.context["found"].more_needed > 1000
    assert page.count("<circle") >= 1


def test_without_a_sample_it_leads_to_the_queue(ruth_client: Client, photo: Photo) -> None:
    page = ruth_client.get(PAGE).content.decode()
    assert f"{reverse('review-queue')}?order=random" in page


def test_filters_are_taken_and_nonsense_is_ignored(
    ruth_client: Client, reviewed: None, alice: User
) -> None:
    team = Group.objects.create(name="team")
    answer = ruth_client.get(PAGE, {"owners": str(team.pk)})
    assert not answer.context["found"].judged
    alice.groups.add(team)
    answer = ruth_client.get(PAGE, {"owners": str(team.pk), "since": "2000-01-01"})
    assert len(answer.context["found"].judged) == 2
    answer = ruth_client.get(PAGE, {"owners": "x", "since": "soon", "version": "-1"})
    assert len(answer.context["found"].judged) == 2


def test_only_reviewers_get_in(staff_client: Client, alice_client: Client) -> None:
    assert staff_client.get(PAGE).status_code == 403
    assert alice_client.get(PAGE).status_code == 302


def test_only_their_groups_can_be_chosen(ruth_client: Client, ruth: User, reviewed: None) -> None:
    ruth.groups.clear()
    answer = ruth_client.get(PAGE)
    assert not answer.context["form"].fields["owners"].queryset
    assert not answer.context["found"].judged
