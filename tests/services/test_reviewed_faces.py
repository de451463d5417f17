"""What models may learn from: reviewed faces of owners who agreed."""

import csv
import hashlib
from collections import Counter
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import cv2
import numpy as np
import pytest
from django.core.files.base import ContentFile
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django import Settings

from recognizer.models import Face, Photo, User
from recognizer.services import held_out, model_versions, reviewed_faces, reviews, uploads
from recognizer.services.owners import Owner
from recognizer.services.reviewed_faces import ExportError, Layout, lend
from recognizer.training.datasets.classes import CLASSES
from recognizer.training.datasets.reading import read_dataset
from recognizer.vision.preprocessing import Preprocessing
from tests.factories import (
    GUEST,
    LANDMARKS,
    add_faces,
    let_review,
    make_photo,
    make_photos,
    noise,
    owned_by,
)


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
    # One photo: all on one side.
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
    assert [path.parent.name for path in (tmp_path / "data" / "train").glob("*/*.png")] == ["fear"]


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
    assert f"Faces in {tmp_path / 'data'}: 2, " in capsys.readouterr().out
    with pytest.raises(CommandError, match="is there already"):
        call_command("export_reviews", str(tmp_path / "data"))


# --- What is held out --------------------------------------------------------------------------


def readable(owner: Owner, seed: int, reviewer: User) -> Photo:
    """A photo with real pixels, another for each seed, and two reviewed faces."""
    data = noise(seed)
    photo = make_photo(
        owner, f"{seed}.jpg", ["happy", "sad"], sha256=hashlib.sha256(data).hexdigest()
    )
    photo.original.save("original", ContentFile(data))
    for face in photo.faces.all():
        judge(face, reviewer, "accept")
    return photo


@pytest.fixture
def site(alice: User, bob: User, reviewer: User) -> list[Photo]:
    """Five photos of Alice's and five of Bob's, all lent; the first ones are copies."""
    for user in (alice, bob):
        lend(user, True)
    numbers = {alice: range(5), bob: (0, 5, 6, 7, 8)}
    return [
        readable(owned_by(user), number, reviewer)
        for user, seeds in numbers.items()
        for number in seeds
    ]


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "votes.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_an_export_says_on_which_side_each_face_is(site: list[Photo], tmp_path: Path) -> None:
    exported = reviewed_faces.export(tmp_path / "data")
    sides = Counter(Photo.objects.values_list("held_out", flat=True))
    assert (exported.faces, exported.photos, exported.people) == (20, 10, 2)
    assert exported.held_out == 2 * sides[True]
    assert 0 < exported.held_out < 20
    splits = Counter(row["split"] for row in rows_of(tmp_path / "data"))
    assert splits == {"PublicTest": exported.held_out, "Training": 20 - exported.held_out}
    faces = read_dataset(tmp_path / "data").faces
    assert Counter(faces.splits.tolist()) == splits


def test_class_folders_keep_the_sides_apart(site: list[Photo], tmp_path: Path) -> None:
    exported = reviewed_faces.export(tmp_path / "data", Layout.FOLDERS)
    assert exported.held_out == 2 * Photo.objects.filter(held_out=True).count() > 0
    faces = read_dataset(tmp_path / "data").faces
    assert (faces.splits == "PublicTest").sum() == exported.held_out
    assert len(faces) == exported.faces == 20


def test_what_is_lent_while_an_export_runs_waits_for_the_next(
    site: list[Photo], reviewer: User, alice: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = held_out.together

    def meanwhile(photos: list[Photo]) -> dict[UUID, str]:
        readable(owned_by(alice), 77, reviewer)
        return together(photos)

    monkeypatch.setattr(held_out, "together", meanwhile)
    assert reviewed_faces.export(tmp_path / "data").faces == 20
    monkeypatch.undo()
    assert reviewed_faces.export(tmp_path / "next").faces == 22


def test_what_was_decided_meanwhile_stands(site: list[Photo]) -> None:
    photos = [photo for photo, _ in reviewed_faces.lent_photos()]
    Photo.objects.filter(pk=photos[3].pk).update(held_out=True)
    held_out.decide(photos)
    assert photos[3].held_out is True
    assert dict(Photo.objects.values_list("pk", "held_out")) == {
        photo.pk: photo.held_out for photo in photos
    }


def test_faces_and_copies_of_a_photo_are_one_group(site: list[Photo], tmp_path: Path) -> None:
    reviewed_faces.export(tmp_path / "data")
    rows = rows_of(tmp_path / "data")
    # Nine pictures of two faces, and one that was sent twice.
    assert sorted(Counter(row["group"] for row in rows).values()) == [2] * 8 + [4]
    assert len({(row["group"], row["split"]) for row in rows}) == 9


def test_where_many_people_lend_a_person_is_a_group(
    site: list[Photo], reviewer: User, tmp_path: Path
) -> None:
    for number in range(held_out.ENOUGH_PEOPLE):
        user = User.objects.create_user(f"user-{number}")
        lend(user, True)
        for seed in (100 + 2 * number, 101 + 2 * number):
            readable(owned_by(user), seed, reviewer)
    reviewed_faces.export(tmp_path / "data")
    rows = rows_of(tmp_path / "data")
    sizes = Counter(row["group"] for row in rows)
    assert list(sizes.values()).count(4) >= held_out.ENOUGH_PEOPLE
    # Nobody's photos on one side are torn apart: at most two groups for Alice and two for Bob.
    assert len(sizes) <= held_out.ENOUGH_PEOPLE + 4
    assert len({(row["group"], row["split"]) for row in rows}) == len(sizes)
    read_dataset(tmp_path / "data")


def test_names_of_a_split_export_tell_nothing(site: list[Photo], tmp_path: Path) -> None:
    reviewed_faces.export(tmp_path / "data")
    table = (tmp_path / "data" / "votes.csv").read_text()
    for photo in site:
        assert photo.sha256[:16] not in table
        assert str(photo.pk) not in table


def test_the_fingerprint_is_of_what_is_learned_from(
    site: list[Photo], alice: User, reviewer: User, tmp_path: Path
) -> None:
    def fingerprint(name: str) -> str:
        return reviewed_faces.export(tmp_path / name).fingerprint

    first = fingerprint("first")
    assert fingerprint("again") == first
    files = [{row["file"] for row in rows_of(tmp_path / name)} for name in ("first", "again")]
    assert not files[0] & files[1]
    judge(site[0].faces.get(number=1), reviewer, "correct", "fear")
    with_another_verdict = fingerprint("verdict")
    assert with_another_verdict != first
    Photo.objects.filter(pk=site[1].pk).update(
        held_out=not Photo.objects.get(pk=site[1].pk).held_out
    )
    with_another_side = fingerprint("side")
    site[2].delete()
    assert len({first, with_another_verdict, with_another_side, fingerprint("less")}) == 4


def test_faces_are_cut_as_the_model_that_learns_wants_them(
    site: list[Photo], tmp_path: Path
) -> None:
    def exported(name: str, preprocessing: Preprocessing | None) -> str:
        folder = tmp_path / name
        return reviewed_faces.export(folder, preprocessing=preprocessing).fingerprint

    own = model_versions.classifier().card.preprocessing
    assert exported("own", own) == exported("not given", None)
    assert exported("wider", replace(own, margin=own.margin + 0.5)) != exported("again", own)


def test_what_is_lent_no_longer_leaves_and_comes_back_to_its_side(
    site: list[Photo], bob: User, tmp_path: Path
) -> None:
    def sides() -> dict[object, bool | None]:
        return dict(Photo.objects.values_list("pk", "held_out"))

    reviewed_faces.export(tmp_path / "first")
    first = sides()
    lend(bob, False)
    exported = reviewed_faces.export(tmp_path / "without")
    assert (exported.faces, exported.people) == (10, 1)
    lend(bob, True)
    Photo.objects.filter(pk=site[0].pk).update(deleted_at=timezone.now())
    assert reviewed_faces.export(tmp_path / "deleted").faces == 18
    assert sides() == first


def test_lent_faces_are_counted_by_their_side(
    site: list[Photo], bob: User, reviewer: User, tmp_path: Path
) -> None:
    readable(GUEST, 20, reviewer)
    add_faces(make_photos(owned_by(bob), 1), 3)  # not reviewed
    assert reviewed_faces.count_lent() == {None: 20}
    exported = reviewed_faces.export(tmp_path / "data")
    held_out = exported.held_out
    assert reviewed_faces.count_lent() == {True: held_out, False: 20 - held_out}
    Photo.objects.filter(pk=site[0].pk).update(deleted_at=timezone.now())
    assert reviewed_faces.count_lent().total() == 18
    lend(bob, False)
    assert reviewed_faces.count_lent().total() == 8


def test_a_guests_photo_gets_no_side(site: list[Photo], reviewer: User, tmp_path: Path) -> None:
    # Not even as a copy of one that is lent.
    photo = readable(GUEST, 0, reviewer)
    exported = reviewed_faces.export(tmp_path / "data")
    photo.refresh_from_db()
    assert photo.held_out is None
    assert exported.faces == 20
