"""Save what was recognised: once, in one transaction, without losing what people reviewed."""

from itertools import combinations

import numpy as np
from django.core.files.base import ContentFile
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Greatest
from django.utils import timezone
from numpy.typing import NDArray

from recognizer.models import Face, ModelVersion, Photo, Prediction, Review
from recognizer.services import files
from recognizer.vision import Recognition, RecognizedFace, annotate, images

CROP_SIDE = 192
# A face found again is the same face when the boxes overlap at least this much.
SAME_FACE_IOU = 0.5


def save(
    photo: Photo, image: NDArray[np.uint8], result: Recognition, version: ModelVersion
) -> bool:
    """Save a result; False, with nothing changed, when the claim on the photo was lost.

    Recognising again adds predictions: a face found again keeps its row and its reviews, and
    a face that is not found any more is only removed if nobody reviewed it.
    """
    faces = _match(photo, result.faces)
    replaced = _existing_annotated(photo)
    annotated = images.encode_jpeg(annotate(image, result), quality=90)
    with files.removed_on_failure() as written:
        photo.annotated.save("annotated.jpg", ContentFile(annotated), save=False)
        written.append(photo.annotated)
        new_bytes = len(annotated) - (replaced[1] if replaced else 0)
        for face, recognized in zip(faces, result.faces, strict=True):
            if not face.pk:
                crop = images.encode_jpeg(_crop(image, recognized), quality=88, max_side=CROP_SIDE)
                face.crop.save("crop.jpg", ContentFile(crop), save=False)
                written.append(face.crop)
                new_bytes += len(crop)
        with transaction.atomic():
            saved = _finish(photo, new_bytes)
            if saved:
                _save_faces(photo, faces, result, version)
    if not saved:
        files.remove(written)
    elif replaced:
        photo.annotated.storage.delete(replaced[0])
    return saved


def _existing_annotated(photo: Photo) -> tuple[str, int] | None:
    """Name and size of the annotated image that a new one will replace."""
    file = photo.annotated
    return (file.name, files.size(file)) if file.name else None


def _finish(photo: Photo, new_bytes: int) -> bool:
    """Mark the photo done if the claim is still ours."""
    return bool(
        Photo.objects.claimed_as(photo).update(
            status=Photo.Status.DONE,
            error="",
            finished_at=timezone.now(),
            annotated=photo.annotated.name,
            stored_bytes=_changed_by(new_bytes),
        )
    )


def _match(photo: Photo, recognized: tuple[RecognizedFace, ...]) -> list[Face]:
    """For each recognised face its row from an earlier time, or a new unsaved one."""
    known = list(photo.faces.all())
    faces = []
    for number, face in enumerate(recognized, start=1):
        best = max(known, key=lambda row: _iou(row.box, face.box), default=None)
        if best is not None and _iou(best.box, face.box) >= SAME_FACE_IOU:
            known.remove(best)
            best.number = number
            faces.append(best)
        else:
            faces.append(_new_face(photo, number, face))
    return faces


def _new_face(photo: Photo, number: int, face: RecognizedFace) -> Face:
    x, y, width, height = face.box
    return Face(
        photo=photo,
        number=number,
        x=x,
        y=y,
        width=width,
        height=height,
        landmarks=face.as_dict()["landmarks"],
        detection_score=face.detection_score,
    )


def _save_faces(
    photo: Photo, faces: list[Face], result: Recognition, version: ModelVersion
) -> None:
    for face, recognized in zip(faces, result.faces, strict=True):
        found_again = bool(face.pk)
        face.save(update_fields=["number"] if found_again else None)
        face.current, _ = Prediction.objects.get_or_create(
            face=face,
            model_version=version,
            defaults={
                "probabilities": list(recognized.probabilities),
                "emotion": recognized.emotion,
                "confidence": recognized.confidence,
                "uncertain": recognized.uncertain,
                "reasons": list(recognized.reasons),
                "valence": recognized.valence,
                "arousal": recognized.arousal,
            },
        )
        face.doubt = 1 - face.current.confidence
        if found_again:  # A new face has one model's answer only.
            face.disagreement = _disagreement(face)
        face.save(update_fields=["current", "doubt", "disagreement"])
    _remove_unreviewed(photo, kept=faces)


def _disagreement(face: Face) -> float:
    """The largest total variation distance between two models' probabilities, 0-1."""
    answers = face.predictions.values_list("probabilities", flat=True)
    distances = (
        sum(abs(p - q) for p, q in zip(one, other, strict=True)) / 2
        for one, other in combinations(answers, 2)
    )
    return max(distances, default=0.0)


def _remove_unreviewed(photo: Photo, kept: list[Face]) -> None:
    """Remove the faces that are not found any more, but never one that somebody reviewed."""
    gone = photo.faces.exclude(pk__in=[face.pk for face in kept])
    # Locked: a review that is being written is either seen below or comes too late to be lost.
    list(Prediction.objects.select_for_update().filter(face__in=gone).values_list("pk"))
    reviewed = Review.objects.filter(prediction__face__photo=photo).values("prediction__face")
    for number, face in enumerate(gone.filter(pk__in=reviewed), start=len(kept) + 1):
        Face.objects.filter(pk=face.pk).update(number=number)
    for face in gone.exclude(pk__in=reviewed):
        freed = files.size(face.crop)
        Photo.objects.filter(pk=photo.pk).update(stored_bytes=_changed_by(-freed))
        face.delete()


def _changed_by(difference: int) -> Greatest:
    """`stored_bytes` with so many more or fewer; a count that is off must not cost the result."""
    return Greatest(F("stored_bytes") + difference, 0)


def _crop(image: NDArray[np.uint8], face: RecognizedFace) -> NDArray[np.uint8]:
    """A square look at the face with some hair and chin, as far as the photo reaches."""
    x, y, width, height = face.box
    half = round(0.65 * max(width, height))
    centre_x, centre_y = x + width // 2, y + height // 2
    top, left = max(0, centre_y - half), max(0, centre_x - half)
    return image[top : centre_y + half + 1, left : centre_x + half + 1]


def _iou(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> float:
    """Intersection over union of two boxes (x, y, width, height)."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    overlap = max(0, width) * max(0, height)
    return overlap / (a[2] * a[3] + b[2] * b[3] - overlap)
