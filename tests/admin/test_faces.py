"""A face's history in the admin."""

from django.test import Client
from django.urls import reverse

from recognizer.models import ModelVersion, Photo, Prediction, User
from recognizer.services import reviews
from recognizer.vision.emotions import EMOTIONS


def test_the_history_names_every_model_and_every_person(
    ruth_client: Client, ruth: User, alice: User, photo: Photo
) -> None:
    face = photo.faces.get(number=1)
    assert face.current
    other = ModelVersion.objects.create(name="another", sha256="2" * 64, card={})
    Prediction.objects.create(
        face=face,
        model_version=other,
        probabilities=[1 / 8] * len(EMOTIONS),
        emotion="fear",
        confidence=1 / 8,
        uncertain=True,
    )
    reviews.record(face.current, "owner", "accept", user=alice)
    reviews.record(face.current, "reviewer", "correct", "sad", ruth, order="random", seconds=3.25)
    reviews.withdraw(ruth)
    page = ruth_client.get(reverse("admin:recognizer_face_change", args=[face.pk]))
    text = page.content.decode()
    for words in ("another", "correct to sad", "withdrawn", "alice", "ruth", "3.2 s", "random"):
        assert words in text


def test_a_face_of_somebody_elses_group_has_no_page(
    ruth_client: Client, ruth: User, photo: Photo, staff_client: Client
) -> None:
    path = reverse("admin:recognizer_face_change", args=[photo.faces.get(number=1).pk])
    assert ruth_client.get(path).status_code == 200
    assert staff_client.get(path).status_code == 403
    ruth.groups.clear()
    assert ruth_client.get(path).status_code == 302
