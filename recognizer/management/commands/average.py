"""Make one model of several: their answers averaged, calibrated anew."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from recognizer.training import averaging, release
from recognizer.training.datasets.faces import DatasetError
from recognizer.training.datasets.fer2013 import read
from recognizer.vision.classification import MODELS_FOLDER, load_model


class Command(BaseCommand):
    help = (
        "Average models into a more accurate one: slower by as many times as it has members, and "
        "twice that for looking at each face and its mirror image. Runs without TensorFlow."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("fer2013", type=Path, help="fer2013.csv, also .gz, .xz or .zip")
        parser.add_argument("--ferplus", type=Path, required=True, help="fer2013new.csv")
        parser.add_argument("--member", nargs="+", required=True, metavar="NAME", help="models")
        parser.add_argument("--name", required=True, help="the new model's name")
        parser.add_argument("--output", type=Path, help="where models lie (recognizer/weights)")
        parser.add_argument("--no-mirror", action="store_true", help="without mirror images")

    def handle(self, **options: Any) -> None:
        folder = (options["output"] or MODELS_FOLDER) / options["name"]
        try:
            members = [load_model(name) for name in options["member"]]
        except ValueError as error:
            raise CommandError(str(error), returncode=2) from error
        try:
            held_out = read(options["fer2013"], options["ferplus"]).split("PublicTest")
            card = averaging.draft(members, folder, mirror=not options["no_mirror"])
            classifier = release.release(card, held_out, folder, self.report)
        except (DatasetError, ValueError) as error:
            raise CommandError(str(error)) from error
        self.report(f"{classifier.name} is in {folder}.")

    def report(self, line: str) -> None:
        self.stderr.write(line)
        self.stderr.flush()
