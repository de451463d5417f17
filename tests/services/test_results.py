import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from numpy.typing import NDArray
from PIL import Image

from recognizer.models import Face, ModelVersion, Photo, Prediction, Review
from recognizer.services import results, reviews
from recognizer.vision import EMOTIONS, Recognition, RecognizedFace
from tests.factories import GUEST, LANDMARKS, make_photo, make_version
from tests.services.conftest import Disk

Box = tuple[int, int, int, int]
LEFT: Box = (20, 20, 60, 80)
RIGHT: Box = (120, 30, 40, 50)


@pytest.fixture
def image() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 255, (150, 200, 3), dtype=np.uint8)


@pytest.fixture
def photo(db: None) -> Photo:
    """Claimed, as a worker would have it in hand."""
    photo = make_photo(
        GUEST,
        status=Photo.Status.PROCESSING,
        attempts=1,
        claimed_at=timezone.now(),
        width=200,
        height=150,
    )
    photo.annotated.delete(save=True)
    return photo


def face(box: Box, happy: float = 0.9, reasons: tuple[str, ...] = ()) -> RecognizedFace:
    shares = dict.fromkeys(EMOTIONS, 0.0) | {"happy": happy, "fear": 1 - happy}
    landmarks = {name: (float(x), float(y)) for name, (x, y) in LANDMARKS.items()}
    return RecognizedFace(box, landmarks, 0.98, tuple(shares.values()), reasons)


def save(
    photo: Photo,
    image: NDArray[np.uint8],
    *faces: RecognizedFace,
    version: ModelVersion | None = None,
) -> bool:
    """As a worker does: claim, then save what was found."""
    Photo.objects.filter(pk=photo.pk).update(status=Photo.Status.PROCESSING)
    claimed = Photo.objects.get(pk=photo.pk)
    found = Recognition(width=200, height=150, faces=faces)
    return results.save(claimed, image, found, version or make_version())


def test_it_keeps_valence_and_arousal_where_the_model_gives_them(
    photo: Photo, image: NDArray[np.uint8]
) -> None:
    read = dataclasses.replace(face(LEFT), valence=0.7125, arousal=-0.25)
    assert save(photo, image, read, face(RIGHT))
    first, second = (row.current for row in photo.faces.order_by("number"))
    assert first
    assert second
    assert (first.valence, first.arousal) == (0.7125, -0.25)
    assert second.valence is second.arousal is None


def test_it_saves_every_face_with_its_prediction(
    photo: Photo, image: NDArray[np.uint8], disk: Disk
) -> None:
    before = photo.stored_bytes - disk.bytes
    assert save(photo, image, face(LEFT, 0.9), face(RIGHT, 0.4, ("close_call",)))
    photo.refresh_from_db()
    first, second = photo.faces.order_by("number")
    assert (first.number, first.box, second.number, second.box) == (1, LEFT, 2, RIGHT)
    assert (first.landmarks, first.detection_score) == (LANDMARKS, 0.98)
    assert first.current
    assert second.current
    assert first.current.model_version.name == "model-of-the-tests"
    assert (first.current.emotion, first.current.confidence) == ("happy", 0.9)
    assert (first.current.uncertain, first.current.reasons) == (False, [])
    assert (second.current.emotion, second.current.uncertain) == ("fear", True)
    assert second.current.reasons == ["close_call"]
    assert second.current.probabilities == pytest.approx([0, 0, 0, 0.6, 0.4, 0, 0, 0])
    assert photo.status == Photo.Status.DONE
    assert disk.names == {file.name for file in photo.files}
    assert photo.stored_bytes - disk.bytes == before


def test_crops_and_the_annotated_image_are_clean_jpegs(
    photo: Photo, image: NDArray[np.uint8]
) -> None:
    save(photo, image, face(LEFT))
    photo.refresh_from_db()
    with Image.open(photo.annotated) as annotated, Image.open(photo.faces.get().crop) as crop:
        assert (annotated.format, annotated.size) == ("JPEG", (200, 150))
        assert crop.format == "JPEG"
        assert max(crop.size) <= results.CROP_SIDE


def test_a_crop_at_the_edge_stays_inside_the_photo(photo: Photo, image: NDArray[np.uint8]) -> None:
    boxes: list[Box] = [(0, 0, 30, 40), (170, 110, 30, 40), (0, 0, 200, 150), (199, 149, 1, 1)]
    save(photo, image, *(face(box) for box in boxes))
    for row in photo.faces.all():
        with Image.open(row.crop) as crop:
            assert min(crop.size) >= 1


def test_a_lost_claim_changes_nothing(photo: Photo, image: NDArray[np.uint8], disk: Disk) -> None:
    stale = Photo.objects.get(pk=photo.pk)
    Photo.objects.filter(pk=photo.pk).update(attempts=2)
    before, bytes_before = disk.names, photo.stored_bytes
    found = Recognition(width=200, height=150, faces=(face(LEFT),))
    assert not results.save(stale, image, found, make_version())
    photo.refresh_from_db()
    assert photo.status == Photo.Status.PROCESSING
    assert not photo.annotated
    assert photo.stored_bytes == bytes_before
    assert not Face.objects.exists()
    assert disk.names == before


def test_a_failure_in_the_middle_leaves_no_files_and_no_rows(
    photo: Photo, image: NDArray[np.uint8], disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = disk.names

    def breaks(*_: Any, **__: Any) -> None:
        raise ValueError("broken")

    monkeypatch.setattr(Prediction, "save", breaks)
    with pytest.raises(ValueError, match="broken"), transaction.atomic():
        save(photo, image, face(LEFT))
    assert disk.names == before
    assert not Face.objects.exists()


# --- Recognised again --------------------------------------------------------------------------


def test_a_new_model_adds_predictions_and_never_changes_old_ones(
    photo: Photo, image: NDArray[np.uint8]
) -> None:
    save(photo, image, face(LEFT, 0.9), version=make_version("old"))
    old = Prediction.objects.get()
    save(photo, image, face(LEFT, 0.2), version=make_version("new"))
    row = photo.faces.get()
    assert row.predictions.count() == 2
    assert row.current
    assert row.current.model_version.name == "new"
    assert row.current.emotion == "fear"
    old.refresh_from_db()
    assert (old.emotion, old.confidence, old.model_version.name) == ("happy", 0.9, "old")


def test_a_face_knows_the_doubt_of_its_model_and_the_disagreement_of_two(
    photo: Photo, image: NDArray[np.uint8]
) -> None:
    save(photo, image, face(LEFT, happy=0.9), version=make_version("one"))
    row = photo.faces.get()
    assert row.doubt == pytest.approx(0.1)
    assert row.disagreement == 0
    save(photo, image, face(LEFT, happy=0.6), version=make_version("other"))
    row.refresh_from_db()
    # The second model moves 0.3 of the probability from happy to fear.
    assert row.doubt == pytest.approx(0.4)
    assert row.disagreement == pytest.approx(0.3)


def test_the_same_model_again_adds_nothing(photo: Photo, image: NDArray[np.uint8]) -> None:
    save(photo, image, face(LEFT))
    first = Prediction.objects.get()
    save(photo, image, face(LEFT, 0.5))
    assert Prediction.objects.get() == first


def test_a_face_that_moved_a_little_is_the_same_face(
    photo: Photo, image: NDArray[np.uint8]
) -> None:
    save(photo, image, face(LEFT), face(RIGHT))
    known = {row.box: row.pk for row in photo.faces.all()}
    x, y, width, height = RIGHT
    save(photo, image, face((x + 4, y - 3, width, height)), face(LEFT), version=make_version("b"))
    rows = {row.number: row.pk for row in photo.faces.all()}
    assert rows == {1: known[RIGHT], 2: known[LEFT]}
    assert Prediction.objects.count() == 4


def test_a_face_that_nobody_reviewed_goes_with_its_file_when_it_is_not_found_again(
    photo: Photo,
    image: NDArray[np.uint8],
    disk: Disk,
    django_capture_on_commit_callbacks: Any,
) -> None:
    base = photo.stored_bytes - disk.bytes
    save(photo, image, face(LEFT), face(RIGHT))
    with django_capture_on_commit_callbacks(execute=True):
        save(photo, image, face(RIGHT))
    photo.refresh_from_db()
    assert [row.box for row in photo.faces.all()] == [RIGHT]
    assert disk.names == {file.name for file in photo.files}
    assert photo.stored_bytes - disk.bytes == base


@pytest.mark.parametrize("role", Review.Role.values)
def test_a_reviewed_face_is_never_removed(
    photo: Photo, image: NDArray[np.uint8], role: str, disk: Disk
) -> None:
    save(photo, image, face(LEFT), face(RIGHT))
    reviewed = photo.faces.get(number=1)
    assert reviewed.current
    reviews.record(reviewed.current, role, "not_a_face")
    save(photo, image, face(RIGHT), version=make_version("new"))
    photo.refresh_from_db()
    assert [row.box for row in photo.faces.order_by("number")] == [RIGHT, LEFT]
    assert Review.objects.get().prediction == reviewed.current
    assert disk.names == {file.name for file in photo.files}


def test_a_review_of_an_older_prediction_keeps_the_face_too(
    photo: Photo, image: NDArray[np.uint8]
) -> None:
    save(photo, image, face(LEFT), version=make_version("old"))
    old = photo.faces.get()
    assert old.current
    reviews.record(old.current, Review.Role.REVIEWER, "accept")
    save(photo, image, face(LEFT), version=make_version("new"))
    save(photo, image, version=make_version("newest"))
    assert photo.faces.get() == old


def test_a_wrong_count_of_bytes_does_not_cost_the_result(
    photo: Photo, image: NDArray[np.uint8]
) -> None:
    save(photo, image, face(LEFT))
    Photo.objects.update(stored_bytes=0)
    assert save(photo, image)
    photo.refresh_from_db()
    assert photo.stored_bytes >= 0
    assert photo.status == Photo.Status.DONE


# --- Written once ------------------------------------------------------------------------------


def test_predictions_and_reviews_are_written_once(photo: Photo, image: NDArray[np.uint8]) -> None:
    save(photo, image, face(LEFT))
    prediction = Prediction.objects.get()
    review = reviews.record(prediction, Review.Role.REVIEWER, "accept")
    prediction.emotion = "sad"
    review.verdict = "cant_tell"
    for row in (prediction, review):
        with pytest.raises(ValidationError, match="written once"):
            row.save()
    prediction.refresh_from_db()
    review.refresh_from_db()
    assert (prediction.emotion, review.verdict) == ("happy", "accept")


@pytest.mark.parametrize("count", [1, 30])
def test_it_takes_as_many_queries_as_there_are_faces_and_no_more(
    photo: Photo,
    image: NDArray[np.uint8],
    count: int,
    django_assert_max_num_queries: Callable[..., Any],
) -> None:
    faces = [face((5 * i, 3 * i, 4, 3)) for i in range(count)]
    version = make_version()
    with django_assert_max_num_queries(10 + 8 * count):
        assert save(photo, image, *faces, version=version)
