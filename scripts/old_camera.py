"""What learning from reviews gains, on a kind of photo that the model has not seen.

    .venv/bin/python -m scripts.old_camera fer2013.csv fer2013new.csv

FER-2013's PublicTest rows, which no training has learned from, become the photos of one bad old
video camera: squeezed sideways, unsharp, dark at the edges, noisy, hard compressed. Twenty people
send them to a site of its own in a temporary folder, which finds and classifies the faces. The
annotators' votes stand in for the reviewers: one goes through the queue's first 200 faces, and
through all faces that are held out. Then the site learns. `manage.py learn` itself compares the
old and the new model, on the held-out photos and on the PublicTest rows that were not among the
photos to learn from.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

if TYPE_CHECKING:
    from recognizer.models import Face, User
    from recognizer.training.datasets.faces import Faces

PEOPLE = 20
SIDE = 160  # pixels of the face in a photo
SQUEEZE = 0.7  # a wide picture on a narrow film


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("fer2013", type=Path, help="fer2013.csv, also compressed")
    parser.add_argument("ferplus", type=Path, help="fer2013new.csv")
    parser.add_argument("--learn", type=int, default=200, help="faces to review (%(default)s)")
    parser.add_argument(
        "--pool", type=int, default=500, help="photos these come from (%(default)s)"
    )
    parser.add_argument("--held-out", type=int, default=1250, help="photos (%(default)s)")
    parser.add_argument(
        "--order", choices=["uncertain", "random"], default="random", help="(%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--model", type=Path, metavar="DIR", help="what the site begins with (the shipped model)"
    )
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {
            "WEBEMOTION_DATA": folder,
            "DJANGO_SETTINGS_MODULE": "webemotion.settings",
            "REFERENCE_SET": str(Path(folder) / "fer2013.csv"),
            "REFERENCE_FERPLUS": str(Path(folder) / "fer2013new.csv"),
            "UPLOADS_PER_HOUR": "100000",
            "LOG_LEVEL": "WARNING",
        }
        os.environ.pop("DATABASE_URL", None)
        import django

        django.setup()
        _run(options, Path(folder))


def _run(options: argparse.Namespace, folder: Path) -> None:
    from django.core.management import call_command

    from recognizer.training.datasets.reading import read_dataset
    from recognizer.vision.emotions import EMOTIONS

    call_command("migrate", verbosity=0)
    if options.model:
        call_command("models", "add", str(options.model), "--name", "begun-with")
        call_command("models", "promote", "begun-with")
    faces = read_dataset(options.fer2013, ferplus=options.ferplus).faces
    rows = faces.split("PublicTest")
    labels, agreed = rows.majority, np.flatnonzero(rows.agreed)
    rng = np.random.default_rng(options.seed)
    chosen = rng.permutation(agreed)[: options.pool + options.held_out]
    pool, held_out = chosen[: options.pool], chosen[options.pool :]
    _write_reference(faces, pool, folder)
    people = _people()
    truths = {}
    for number, row in enumerate(tqdm(chosen, "photos", disable=None, unit="photo")):
        face = _sent(people[number % PEOPLE], rows.images[row], row in held_out, rng)
        if face:
            truths[face.pk] = EMOTIONS[labels[row]]
    print(f"A face was found in {len(truths)} of {len(chosen)} photos.")
    _review(truths, options.learn, options.order)
    call_command("learn")


def camera(face: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A 48x48 face as a photo of the old camera: (H, W, 3) RGB."""
    from recognizer.training.datasets.borders import bordered

    small = cv2.resize(face, (28, 28), interpolation=cv2.INTER_AREA)
    photo = bordered(small.astype(np.uint8), SIDE / 28).astype(np.float64)
    narrow = (round(SQUEEZE * photo.shape[1]), photo.shape[0])
    photo = cv2.resize(photo, narrow, interpolation=cv2.INTER_AREA).astype(np.float64)
    photo = 255 * (photo / 255) ** 1.2 + 10  # too contrasty a film, and never quite black
    height, width = photo.shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    photo *= (1 - 0.3 * (x**2 + y**2) / 2)[..., None]
    grain = cv2.resize(rng.normal(0, 6, (height // 3, width // 3)), (width, height))
    photo = np.clip(photo + grain[..., None], 0, 255).astype(np.uint8)
    _, written = cv2.imencode(".jpg", photo, [cv2.IMWRITE_JPEG_QUALITY, 30])
    decoded = cv2.imdecode(written, cv2.IMREAD_COLOR)
    assert decoded is not None
    return decoded[..., ::-1]  # type: ignore[return-value]


def _people() -> "list[User]":
    from recognizer.models import User
    from recognizer.services.reviewed_faces import lend

    people = [User.objects.create_user(f"person {number}") for number in range(PEOPLE)]
    for person in people:
        lend(person, True)
    return people


def _sent(
    person: "User", image: NDArray[np.uint8], held_out: bool, rng: np.random.Generator
) -> "Face | None":
    """The largest face that the site finds in a photo; None without any."""
    from recognizer.models import Photo
    from recognizer.services import recognition, uploads
    from recognizer.services.owners import Owner

    _, png = cv2.imencode(".png", camera(image, rng)[..., ::-1])
    sent = uploads.receive_bytes(Owner(user_id=person.pk), "photo.png", png.tobytes())
    if not isinstance(sent, uploads.Accepted):
        return None  # The same photo as another row's.
    Photo.objects.filter(pk=sent.photo.pk).update(held_out=held_out)
    recognition.recognize(sent.photo.pk)
    faces = sent.photo.faces.filter(current__isnull=False)
    return faces.order_by("number").select_related("current").first()


def _review(truths: dict[int, str], learn: int, order: str) -> None:
    """Review everything that is held out, and of the rest what the queue shows first."""
    from recognizer.models import Face, User
    from recognizer.services import reviews

    reviewer = User.objects.create_superuser("reviewer")
    faces = Face.objects.filter(pk__in=truths).select_related("current")
    first = "shuffle" if order == "random" else "-doubt"
    measuring = faces.filter(photo__held_out=True)
    for face in [*measuring, *faces.filter(photo__held_out=False).order_by(first)[:learn]]:
        assert face.current is not None
        truth = truths[face.pk]
        right = face.current.emotion == truth
        verdict, emotion = ("accept", "") if right else ("correct", truth)
        reviews.record(face.current, "reviewer", verdict, emotion, reviewer, order=order)
    print(f"Reviewed: {measuring.count()} held out, {learn} to learn from.")


def _write_reference(faces: "Faces", leave_out: NDArray[np.int64], folder: Path) -> None:
    """The data set without some PublicTest rows, as files."""
    from recognizer.training.datasets import fer2013_files

    places = np.flatnonzero(faces.splits == "PublicTest")[leave_out]
    kept = np.ones(len(faces), bool)
    kept[places] = False
    fer2013_files.write_pixels(faces.where(kept), folder)
    fer2013_files.write_votes(faces.where(kept), np.flatnonzero(kept).tolist(), folder)


if __name__ == "__main__":
    main(sys.argv[1:])
