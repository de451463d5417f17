"""What a test asks a site to do, inside the site's own settings. Prints JSON."""

import io
import json
import os
import sys
from collections.abc import Callable
from typing import Any

import django

GUEST = "a-guest-of-the-distributed-tests"


def upload(count: str, first: str = "0") -> list[str]:
    """Uploads photos of one face as a guest, different by their numbers. Gives their ids."""
    from PIL import Image
    from skimage import data

    from recognizer.services import uploads
    from recognizer.services.owners import Owner

    portrait = Image.fromarray(data.astronaut()[:320, :320])  # type: ignore[no-untyped-call]
    ids = []
    for number in range(int(first), int(first) + int(count)):
        file = io.BytesIO()
        portrait.save(file, "JPEG", comment=f"photo {number}")
        outcome = uploads.receive_bytes(Owner(guest=GUEST), f"{number}.jpg", file.getvalue())
        assert isinstance(outcome, uploads.Accepted), outcome
        ids.append(str(outcome.photo.pk))
    return ids


def send_again() -> int:
    """Sends a message for every photo, as a broker that delivers twice would."""
    from recognizer.models import Photo
    from recognizer.services import queue

    photos = list(Photo.objects.all())
    for photo in photos:
        queue.send(photo.pk)
    return len(photos)


def models_used() -> list[str]:
    """The names of the models that made the predictions, in the order of the photos' names."""
    from recognizer.models import Prediction

    made = Prediction.objects.order_by("face__photo__name")
    return list(made.values_list("model_version__name", flat=True))


def results() -> list[dict[str, Any]]:
    """What is saved of each photo: its state and how many of everything there is."""
    from django.core.files.storage import default_storage

    from recognizer.models import Photo

    return [
        {
            "status": photo.status,
            "attempts": photo.attempts,
            "boxes": [list(face.box) for face in photo.faces.all()],
            "predictions": [face.predictions.count() for face in photo.faces.all()],
            "missing_files": [
                file.name for file in photo.files if not default_storage.exists(file.name or "")
            ],
        }
        for photo in Photo.objects.prefetch_related("faces__predictions")
    ]


def stored_files() -> dict[str, int]:
    """How many files the rows name, and how many the storage holds."""
    from django.conf import settings

    from recognizer.models import Photo

    named = sum(len(photo.files) for photo in Photo.objects.prefetch_related("faces"))
    stored = sum(len(files) for _, _, files in os.walk(settings.MEDIA_ROOT))
    return {"named": named, "stored": stored}


ACTIONS: dict[str, Callable[..., Any]] = {
    action.__name__: action for action in (upload, send_again, models_used, results, stored_files)
}

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webemotion.settings")
    django.setup()
    print(json.dumps(ACTIONS[sys.argv[1]](*sys.argv[2:])))
