"""Write soft labels: what one or several models think of every training image."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from recognizer.training.datasets.faces import DatasetError
from recognizer.training.datasets.fer2013 import read
from recognizer.training.preparation import prepare
from recognizer.training.soft_labels import teach
from recognizer.vision.classification import load_model


class Command(BaseCommand):
    help = (
        "Write soft labels for distillation: the averaged answers of the named models to every "
        "training image and its mirror image. `manage.py train` learns from them. Runs without "
        "TensorFlow."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("fer2013", type=Path, help="fer2013.csv, also .gz, .xz or .zip")
        parser.add_argument("--ferplus", type=Path, required=True, help="fer2013new.csv")
        parser.add_argument("--teacher", nargs="+", required=True, metavar="NAME", help="models")
        parser.add_argument("--output", type=Path, required=True, metavar="FILE.npz")

    def handle(self, **options: Any) -> None:
        try:
            teachers = [load_model(name) for name in options["teacher"]]
        except ValueError as error:
            raise CommandError(str(error), returncode=2) from error
        try:
            faces = read(options["fer2013"], options["ferplus"])
            training = prepare(faces.split("Training"), faces.split("PublicTest"))
            bar = tqdm(teachers, "teachers", unit="model", disable=None)
            labels = teach(teachers, training.images, bar)
        except (DatasetError, ValueError) as error:
            raise CommandError(str(error)) from error
        labels.save(options["output"])
        self.stderr.write(f"{len(labels.digests)} images by {', '.join(labels.teachers)}.")
