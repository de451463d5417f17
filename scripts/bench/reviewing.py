"""The review queue with many faces and ten reviewers at once, in a database of its own."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from scripts.bench.measuring import Table

ROOT = Path(__file__).resolve().parents[2]
FACES = (1_000, 100_000)
REVIEWERS = 10
STEPS = 100
FACES_A_PHOTO = 5


def review_queue(table: Table, _: int, __: Path | None) -> None:
    table.title(f"From a verdict to the next face, {REVIEWERS} reviewers in turn, SQLite")
    table.head("faces waiting", "median", "of 100 the slowest", "ratio")
    first = 0.0
    for count in FACES:
        median, slowest = _measured(count)
        first = first or median
        row = (f"{median * 1000:.1f} ms", f"{slowest * 1000:.1f} ms", f"{median / first:.2f}x")
        table.row(f"{count:,}", *row)


def _measured(count: int) -> Sequence[float]:
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"WEBEMOTION_DATA": folder}
        environment.pop("DATABASE_URL", None)
        command = [sys.executable, "-m", "scripts.bench.reviewing", str(count)]
        answer = subprocess.run(
            command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True
        )
        times: list[float] = json.loads(answer.stdout.splitlines()[-1])
        return times


def _review(count: int) -> None:
    """Fill the database, let the reviewers work, and print the median and the 99th percentile."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "webemotion.settings"
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    _fill(count)
    from recognizer.models import Face, User
    from recognizer.services import reviews
    from recognizer.services.review_queue import Order, Queue, take

    orders = (Order.UNCERTAIN, Order.RANDOM)
    queues = [
        Queue(User.objects.create_superuser(f"reviewer {number}"), orders[number % 2])
        for number in range(REVIEWERS)
    ]
    held: list[Sequence[Face]] = [take(queue, 2) for queue in queues]
    seconds = []
    for step in range(STEPS):
        queue, face = queues[step % REVIEWERS], held[step % REVIEWERS][0]
        assert face.current is not None
        started = time.perf_counter()
        reviews.record(face.current, "reviewer", "accept", user=queue.reviewer, order=queue.order)
        held[step % REVIEWERS] = take(queue, 2)
        seconds.append(time.perf_counter() - started)
    seconds.sort()
    print(json.dumps([seconds[len(seconds) // 2], seconds[len(seconds) * 99 // 100]]))


def _fill(count: int) -> None:
    import random

    from recognizer.models import Face, ModelVersion, Photo, Prediction, User
    from recognizer.vision.emotions import EMOTIONS

    rng = random.Random(0)  # noqa: S311
    owner = User.objects.create_user("owner")
    version = ModelVersion.objects.create(name="bench", sha256="0" * 64, card={})
    size = {"width": 64, "height": 48, "format": "JPEG"}
    photos = Photo.objects.bulk_create(
        Photo(user=owner, name="photo.jpg", sha256=f"{number:064x}", status="done", **size)
        for number in range(count // FACES_A_PHOTO)
    )
    box = {"x": 1, "y": 1, "width": 20, "height": 20, "landmarks": {}, "detection_score": 0.99}
    faces = Face.objects.bulk_create(
        Face(photo=photos[number // FACES_A_PHOTO], number=number % FACES_A_PHOTO + 1, **box)
        for number in range(count)
    )
    predictions = []
    for face in faces:
        face.doubt = rng.random()
        predictions.append(
            Prediction(
                face=face,
                model_version=version,
                probabilities=[1 / 8] * 8,
                emotion=rng.choice(EMOTIONS),
                confidence=1 - face.doubt,
                uncertain=False,
            )
        )
    for face, prediction in zip(faces, Prediction.objects.bulk_create(predictions), strict=True):
        face.current = prediction
    Face.objects.bulk_update(faces, ["current", "doubt"], 500)


if __name__ == "__main__":
    _review(int(sys.argv[1]))
