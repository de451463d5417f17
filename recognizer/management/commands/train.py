"""Fit, calibrate and export a model from a data set of faces."""

import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from recognizer.management.dataset.options import add_source_options, read_source
from recognizer.training.datasets.faces import DatasetError
from recognizer.training.datasets.reading import training_and_held_out
from recognizer.training.preparation import prepare
from recognizer.vision.classification import DEFAULT_MODEL, MODELS_FOLDER


class Command(BaseCommand):
    help = (
        "Train a model: fit the network on the Training split, calibrate it on the even rows of "
        "PublicTest, and export it with its card. Stop and start it as you like: it goes on "
        "after the last finished epoch of its run folder."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_source_options(parser)
        parser.add_argument("--name", default=DEFAULT_MODEL, help="the model's name (%(default)s)")
        parser.add_argument("--run", type=Path, help="run folder (runs/NAME)")
        parser.add_argument("--output", type=Path, help="where models lie (recognizer/weights)")
        parser.add_argument("--epochs", type=int, default=36, help="(%(default)s)")
        parser.add_argument("--seed", type=int, default=1, help="(%(default)s)")
        parser.add_argument("--threads", type=int, default=os.cpu_count(), help="(%(default)s)")

    def handle(self, **options: Any) -> None:
        try:
            learned, held_out = training_and_held_out(read_source(options, self.report))
            training = prepare(learned, held_out)
        except DatasetError as error:
            raise CommandError(str(error)) from error
        self.report(f"{len(training)} images to learn from; left out: {training.left_out}.")
        # TensorFlow takes seconds to import, so only once the data set has proved good.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        try:
            from recognizer.training import export, fitting, release
        except ImportError as error:
            raise CommandError(
                f"Training needs more than serving ({error}). Install it with "
                "`.venv/bin/python -m pip install -r requirements.txt` and try again."
            ) from error

        fitting.set_threads(options["threads"])
        how = fitting.Fitting(
            seed=options["seed"],
            epochs=options["epochs"],
            mixed_precision=fitting.best_precision(),
        )
        run = options["run"] or Path("runs") / options["name"]
        folder = (options["output"] or MODELS_FOLDER) / options["name"]
        try:
            model = fitting.fit(training, held_out, how, run, self.report)
        except ValueError as error:
            raise CommandError(str(error)) from error
        card = export.draft(model, how, training, folder, self.report)
        classifier = release.release(card, held_out, folder, self.report)
        self.report(f"{classifier.name} is in {folder}.")

    def report(self, line: str) -> None:
        self.stderr.write(line)
        self.stderr.flush()
