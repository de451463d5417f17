"""What models may learn from: reviewed faces of owners who agreed."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django import Settings

from recognizer.models import Face, Photo, User
from recognizer.services import reviewed_faces, reviews, uploads
from recognizer.services.owners import Owner
from recognizer.services.reviewed_faces import ExportError, Layout, lend
from recognizer.training.datasets.classes import CLASSES
from recognizer.training.datasets.reading import read_dataset
from tests.factories import GUEST, LANDMARKS, let_review, make_photo, owned_by


@pytest.fixture
def photo(alice: User, jpeg: object, astronaut: np.ndarray) -> Photo:
    """A real photo of Alice's with two faces, which she lends."""
    data = jpeg(astronaut)  # type: ignore[operator]
    outcome = uploads.receive_bytes(Owner(user_id=alice.pk), "portrait.jpg", data)
    assert isinstance(outcome, uploads.Accepted)
    photo = outcome.photo
    model = make_photo(owned_by(alice), "other.jpg", ["happy", "sad"])
    for face in model.faces.order_by("number"):
        face.photo, face.landmarks = photo, LANDMARKS
        face.x, face.y, face.width, face.height = 180, 60, 90, 110
        face.save()
    photo.status = Photo.Status.DONE
    photo.save()
    lend(alice, True)
    return photo


def judge(face: Face, user: User, verdict: str, emotion: str = "") -> None:
    assert face.current
    reviews.record(face.current, "reviewer", verdict, emotion, user)


@pytest.fixture
def reviewed(photo: Photo, reviewer: User) -> Photo:
    one, two = photo.faces.order_by("number")
    judge(one, reviewer, "accept")
    judge(two, reviewer, "correct", "fear")
    return photo


def test_the_training_room_reads_what_is_exported(reviewed: Photo, tmp_path: Path) -> None:
    exported = reviewed_faces.export(tmp_path / "data")
    assert exported.faces == 2
    faces = read_dataset(tmp_path / "data").faces
    named = [CLASSES[column] for column in faces.votes.argmax(axis=1)]
    assert sorted(named) == ["fear", "happy"]
    # One owner: all on one side.
    assert len(set(faces.splits.tolist())) == 1
    image = cv2.imread(str(next((tmp_path / "data" / "faces").iterdir())), cv2.IMREAD_GRAYSCALE)
    assert image is not None
    assert image.shape == (reviewed_faces.SIDE, reviewed_faces.SIDE)
    assert image.std() > 10


def test_class_folders_hold_what_most_agree_on(
    reviewed: Photo, reviewer: User, tmp_path: Path
) -> None:
    ruth = let_review(User.objects.create_user("ruth"))
    judge(reviewed.faces.get(number=1), ruth, "correct", "anger")
    exported = reviewed_faces.export(tmp_path / "data", Layout.FOLDERS)
    assert (exported.faces, exported.divided) == (1, 1)
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["fear"]


def test_votes_are_kept_as_a_distribution(reviewed: Photo, reviewer: User, tmp_path: Path) -> None:
    face = reviewed.faces.get(number=1)
    for name, verdict in (("ruth", "cant_tell"), ("rolf", "not_a_face")):
        judge(face, let_review(User.objects.create_user(name)), verdict)
    ((_, faces),) = reviewed_faces.lent_photos()
    said = {name: count for name, count in faces[0].votes.items() if count}
    assert said == {"happy": 1, "unknown": 1, "not_a_face": 1}
    assert faces[0].majority == ""


def test_only_who_agreed_is_learned_from(reviewed: Photo, alice: User, tmp_path: Path) -> None:
    lend(alice, False)
    with pytest.raises(ExportError, match="no face to export"):
        reviewed_faces.export(tmp_path / "data")
    assert list(tmp_path.glob("*data*")) == []


def test_a_deleted_photo_leaves_the_data(reviewed: Photo) -> None:
    Photo.objects.filter(pk=reviewed.pk).update(deleted_at=timezone.now())
    assert not list(reviewed_faces.lent_photos())


def test_guests_never_count(reviewer: User) -> None:
    photo = make_photo(GUEST, "guest.jpg", ["happy"])
    judge(photo.faces.get(), reviewer, "accept")
    assert not list(reviewed_faces.lent_photos())


def test_names_tell_nothing(reviewed: Photo, alice: User, tmp_path: Path) -> None:
    reviewed_faces.export(tmp_path / "data")
    table = (tmp_path / "data" / "votes.csv").read_text()
    assert "alice" not in table
    assert "portrait" not in table
    assert str(reviewed.pk) not in table


def test_a_photo_that_is_gone_from_the_disk_is_left_out(
    reviewed: Photo, tmp_path: Path, settings: Settings
) -> None:
    (Path(settings.MEDIA_ROOT) / str(reviewed.original)).unlink()
    with pytest.raises(ExportError):
        reviewed_faces.export(tmp_path / "data")


def test_the_command_says_what_it_did(
    reviewed: Photo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("export_reviews", str(tmp_path / "data"))
    assert "2 faces are in" in capsys.readouterr().out
    with pytest.raises(CommandError, match="is there already"):
        call_command("export_reviews", str(tmp_path / "data"))
