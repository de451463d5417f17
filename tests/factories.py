"""Photos, faces and predictions put straight into the database, for tests that need no pixels."""

import hashlib
import io
import uuid
from collections.abc import Iterable
from typing import Any

import numpy as np
from django.contrib.auth.models import Group
from django.core.files.base import ContentFile
from django.db.models.fields.files import FieldFile
from django.utils import timezone
from PIL import Image

from recognizer.models import Face, ModelVersion, Photo, Prediction, ReviewScope, User
from recognizer.services.owners import Owner
from recognizer.vision.emotions import EMOTIONS

LANDMARKS = {
    "left_eye": [14.0, 18.0],
    "right_eye": [26.0, 18.0],
    "nose": [20.0, 24.0],
    "mouth_left": [15.0, 30.0],
    "mouth_right": [25.0, 30.0],
}
GUEST = Owner(guest="a-guest-of-the-tests")


def owned_by(user: User) -> Owner:
    return Owner(user_id=user.pk)


def let_review(user: User, owners: Group | None = None) -> User:
    """Let somebody who has the permission review the photos of a group; of everybody, if none."""
    group, _ = Group.objects.get_or_create(name=f"reviewers of {owners or 'everybody'}")
    ReviewScope.objects.get_or_create(reviewers=group, owners=owners)
    user.groups.add(group)
    return user


def picture(colour: int = 128, size: tuple[int, int] = (64, 48)) -> bytes:
    """A small JPEG of one grey; another grey gives other bytes."""
    buffer = io.BytesIO()
    Image.new("RGB", size, (colour, colour, colour)).save(buffer, "JPEG")
    return buffer.getvalue()


def make_photo(
    owner: Owner, name: str = "photo.jpg", faces: Iterable[str] = (), **fields: Any
) -> Photo:
    """A done photo with its files. Faces are emotions; "?sad" is an uncertain one."""
    photo = Photo(
        user_id=owner.user_id,
        guest=owner.guest,
        name=name,
        **{
            "sha256": hashlib.sha256(uuid.uuid4().bytes).hexdigest(),
            "format": "JPEG",
            "width": 64,
            "height": 48,
            "stored_bytes": 1000,
            "status": Photo.Status.DONE,
            **fields,
        },
    )
    for kind, colour in (("display", 1), ("thumbnail", 2), ("annotated", 3)):
        getattr(photo, kind).save(f"{kind}.jpg", ContentFile(picture(colour)), save=False)
    photo.original.save("original", ContentFile(b"the original: " + photo.pk.bytes), save=False)
    photo.save()
    for face in faces:
        add_face(photo, face)
    return photo


def make_photos(owner: Owner, count: int, **fields: Any) -> list[Photo]:
    """Many done photos in one statement; their files exist in name only."""
    common = {"format": "JPEG", "width": 64, "height": 48, "status": Photo.Status.DONE, **fields}
    names = {"original": "none", "display": "none", "thumbnail": "none", "annotated": ""}
    return Photo.objects.bulk_create(
        Photo(
            user_id=owner.user_id,
            guest=owner.guest,
            name=f"{number}.jpg",
            sha256=hashlib.sha256(uuid.uuid4().bytes).hexdigest(),
            **names,
            **common,
        )
        for number in range(count)
    )


def add_face(photo: Photo, emotion: str = "happy", version: ModelVersion | None = None) -> Face:
    """One more face with a prediction and a crop."""
    face = Face(
        photo=photo,
        number=photo.faces.count() + 1,
        x=10,
        y=10,
        width=20,
        height=24,
        landmarks=LANDMARKS,
        detection_score=0.99,
    )
    face.crop.save("crop.jpg", ContentFile(picture(4)), save=False)
    face.save()
    add_prediction(face, emotion, version)
    return face


def add_faces(photos: Iterable[Photo], each: int = 1, **fields: Any) -> list[Face]:
    """So many faces for each photo in one statement; their crops exist in name only."""
    box = {"x": 10, "y": 10, "width": 20, "height": 24}
    return Face.objects.bulk_create(
        Face(
            photo=photo,
            number=number,
            landmarks=LANDMARKS,
            detection_score=0.99,
            crop="none",
            **{**box, **fields},
        )
        for photo in photos
        for number in range(1, each + 1)
    )


def lend_faces(user: User, count: int) -> list[Face]:
    """A photo of the user's with so many faces, which count as reviewed; the user lends them."""
    user.lends_since = timezone.now()
    user.save(update_fields=["lends_since"])
    return add_faces(make_photos(owned_by(user), 1), count, opinions=1)


def add_prediction(
    face: Face, emotion: str = "happy", version: ModelVersion | None = None
) -> Prediction:
    """The face's newest prediction: certain with 0.9, or with "?" uncertain with 0.45."""
    uncertain = emotion.startswith("?")
    first = emotion.removeprefix("?")
    second = "surprise" if first != "surprise" else "fear"
    top, next_to_it = (0.45, 0.4) if uncertain else (0.9, 0.06)
    rest = (1 - top - next_to_it) / 6
    shares = dict.fromkeys(EMOTIONS, rest) | {first: top, second: next_to_it}
    face.current = Prediction.objects.create(
        face=face,
        model_version=version or make_version(),
        probabilities=list(shares.values()),
        emotion=first,
        confidence=top,
        uncertain=uncertain,
        reasons=["close_call"] if uncertain else [],
    )
    face.save(update_fields=["current"])
    return face.current


def make_version(name: str = "model-of-the-tests") -> ModelVersion:
    """The model version of that name, with a card as heavy as a real one."""
    version, _ = ModelVersion.objects.get_or_create(
        sha256=hashlib.sha256(name.encode()).hexdigest(),
        defaults={"name": name, "card": {"name": name, "notes": "x" * 20_000}},
    )
    return version


def noise(seed: int, size: tuple[int, int] = (48, 64)) -> bytes:
    """A small JPEG without a face, different for each seed."""
    pixels = np.random.default_rng(seed).integers(0, 255, (*size, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG")
    return buffer.getvalue()


def lose(file: FieldFile) -> None:
    """Take a stored file away behind the row's back."""
    file.storage.delete(file.name or "")
