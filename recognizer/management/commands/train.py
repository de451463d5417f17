"""Fit, calibrate and export a model from a data set of faces."""

import json
import shutil
from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from django.conf import settings
from django.core.management.base import CommandError

from recognizer.management import model_reports
from recognizer.management.base import (
    TrainingCommand,
    add_threads_option,
    require_writable,
    seed,
    training_imports,
    unusable,
)
from recognizer.management.dataset.options import (
    add_source_options,
    read_source,
    require_apart,
    require_there,
    source_in_words,
)
from recognizer.services import model_places
from recognizer.training.datasets.backgrounds import Backgrounds, read_backgrounds
from recognizer.training.datasets.faces import DatasetError, Faces
from recognizer.training.datasets.halves import require_halves, torn
from recognizer.training.datasets.labelling import labelling
from recognizer.training.datasets.preparation import (
    TrainingSet,
    distilled,
    prepare_training,
    votes_per_emotion,
)
from recognizer.training.datasets.reading import UNVOTED, Reading, training_and_held_out
from recognizer.training.fitting.soft_labels import SoftLabels
from recognizer.training.fitting.teachers import Teachers
from recognizer.training.release import non_faces
from recognizer.vision.cards import ModelCard
from recognizer.vision.classification import read_card
from recognizer.vision.emotions import EMOTIONS

if TYPE_CHECKING:
    from recognizer.training.fitting.hyperparameters import Fitting

CONFIGS = Path(settings.BASE_DIR) / "recognizer" / "training" / "configs"
DEFAULT_CONFIG = CONFIGS / "resnet9.toml"
TORN = (
    "The held-out rows are of so few groups (characters, owners), or one of these is so large, "
    "that the rows that calibrate and those that report show the same ones; on others the model "
    "may be less right than it looks."
)


class Command(TrainingCommand):
    help = (
        "Train a model: fit a network on the Training split, calibrate it on the even rows of "
        "PublicTest, and export it with its card. Stop and start it as you like: it goes on "
        "after the last finished epoch of its run folder."
    )
    requires_system_checks: list[str] = []
    kept = "The same command goes on from the last finished epoch."

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_source_options(parser)
        parser.add_argument(
            "--config",
            type=Path,
            default=DEFAULT_CONFIG,
            metavar="FILE.toml",
            help="the settings; those in recognizer/training/configs are a start "
            f"({DEFAULT_CONFIG.name}, a network from random weights, unless you name another)",
        )
        parser.add_argument(
            "--backgrounds",
            type=Path,
            metavar="DIR",
            help="folder of photos; what is beside their faces helps to tell what is no face",
        )
        parser.add_argument("--name", default="retrained", help="the model's name (%(default)s)")
        parser.add_argument("--run", type=Path, metavar="DIR", help="run folder (runs/NAME)")
        parser.add_argument(
            "--output", type=Path, metavar="DIR", help="where models lie (the site's own models)"
        )
        parser.add_argument("--replace", action="store_true", help=model_reports.REPLACE)
        parser.add_argument(
            "--start",
            metavar="DIR",
            help="go on from a model's folder or another run's, of the same architecture",
        )
        parser.add_argument("--epochs", type=int, metavar="N", help="instead of the settings'")
        parser.add_argument("--seed", type=seed, metavar="N", help="instead of the settings'")
        parser.add_argument(
            "--set",
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help="any setting, such as balance=0.5 or network.dropout=0.1; may be given "
            "again, and counts above all others",
        )
        add_threads_option(parser)

    def handle(self, **options: Any) -> None:
        try:
            self.train(options)
        except (ValueError, RuntimeError) as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise unusable(error) from error

    def train(self, options: dict[str, Any]) -> None:
        run = options["run"] or Path("runs") / options["name"]
        folder = model_places.place_for(
            options["name"], options["output"], options["replace"], run / model_reports.HISTORY
        )
        known = model_places.card_at(folder)
        require_writable(run)  # Before hours of work, not after them.
        require_there(options)
        require_apart(options, run, folder)
        # Reading may take minutes, TensorFlow seconds, and without it no setting can be judged.
        with training_imports("Training"):
            from recognizer.training.fitting import config, hyperparameters, loop, run_folders
        how = config.load(options["config"], _assignments(options))
        how = hyperparameters.with_best_precision(how)
        loop.require_beginning(how)
        with run_folders.alone(run):
            self.fit(options, how, run, folder, known)

    def fit(
        self, options: dict[str, Any], how: "Fitting", run: Path, folder: Path, known: bytes
    ) -> None:
        """Read, fit and export, with settings that are right by themselves.

        `known` is the card of a model that the new one may take the place of.
        """
        from recognizer.training.fitting import loop, run_folders
        from recognizer.training.release import export, version

        labels, teachers = None, None
        if how.distillation:
            labels = SoftLabels.load(Path(how.soft_labels)) if how.soft_labels else None
            teachers = Teachers.load(how.teachers, options["size"])
        reading = read_source(options, self.report)
        _, held_out = training_and_held_out(reading)
        even, _ = require_halves(held_out)  # Before the fitting, not after it.
        training = prepare_training(reading.faces)
        for line in _about(training, held_out):
            self.report(line)
        if options["backgrounds"]:
            found = self.backgrounds(options["backgrounds"], training.images.shape[1])
            training = replace(training, backgrounds=found)
        loop.set_threads(options["threads"])
        targets, aims = self.taught(training, how, labels, teachers)
        warning = version.measured_elsewhere(_taught_by(how, teachers), held_out)
        if warning:
            self.report(warning)
        # Stopping early chooses, so it may not look at the rows that report.
        watched = even if how.patience else held_out
        model = loop.fit(targets, watched, how, run, self.report, teachers)
        origin = _origin(options, reading, training, held_out)
        data = {**origin, "targets": aims, version.VOTES: votes_per_emotion(training)}
        if warning:
            data[version.SUSPICION] = warning
        with model_places.being_made(folder, options["replace"], known) as partial:
            card = export.draft(model, how, targets, partial, options["name"], data, self.report)
            card = replace(card, training={**card.training, **run_folders.effort(run)})
            classifier = version.release(card, held_out, partial, self.report)
            shutil.copyfile(run / model_reports.HISTORY, partial / model_reports.HISTORY)
            words = labelling(reading, options["source"], options["ferplus"], held_out)
            model_reports.write(classifier, held_out, words)
        self.report(f"{classifier.name} is in {folder}, with {model_reports.REPORT} beside it.")

    def backgrounds(self, folder: Path, size: int) -> Backgrounds:
        found = read_backgrounds(folder, non_faces.BACKGROUNDS, self.report, size)
        self.report(f"{len(found)} backgrounds cut out of the photos in {folder}.")
        return found

    def taught(
        self,
        training: TrainingSet,
        how: "Fitting",
        labels: SoftLabels | None,
        teachers: Teachers | None,
    ) -> tuple[TrainingSet, str]:
        """The training set with the targets that the settings ask for, and these in words.

        Args:
            training: with the targets of its votes.
            how: the settings.
            labels: answers that were asked for before; None for none.
            teachers: who will be asked while the network learns; None for none.

        Raises:
            DatasetError: teachers were asked for, and have seen none of the images.
        """
        votes = "shares of the votes for the eight emotions, single votes dropped"
        if teachers:
            aims = (
                f"{votes}; {how.distillation:.0%} the answers of {', '.join(teachers.names)} to "
                "each picture as it is shown"
            )
            self.report(f"Targets: {aims}.")
            return training, aims
        if labels is None:
            if unused := how.soft_labels or ", ".join(how.teachers):
                self.report(f"{unused} is not used, as distillation is 0.")
            return training, votes
        answers = labels.of(training.images)
        seen = int((~np.isnan(answers["ferplus"]).any(axis=1)).sum())
        if not seen:
            raise DatasetError(
                f"{how.soft_labels} has none of these {len(training)} images; it was made from "
                "another data set, or at another --size. Make it anew with `manage.py teach`, or "
                "do without teachers: --set distillation=0."
            )
        aims = (
            f"{votes}; of {seen} of {len(training)} images {how.distillation:.0%} the answers of "
            f"{', '.join(labels.teachers)}"
        )
        self.report(f"Targets: {aims}.")
        return distilled(training, answers, how.distillation), aims


def _taught_by(how: "Fitting", teachers: Teachers | None) -> list[ModelCard]:
    """Cards of the models whose answers or weights it learns from, as far as these have one."""
    cards = [*teachers.cards] if teachers else []
    if how.start and (Path(how.start) / "card.json").is_file():
        cards.append(read_card(Path(how.start)))
    return cards


def _assignments(options: dict[str, Any]) -> list[str]:
    """What replaces settings of the file; what comes later counts above what came before."""
    wanted = [
        f"{name}={json.dumps(options[name])}"
        for name in ("start", "epochs", "seed")
        if options[name] is not None
    ]
    return [*wanted, *options["set"]]


def _about(training: TrainingSet, held_out: Faces) -> Iterator[str]:
    """What there is to learn from, what was left out, and what is on one side only."""
    left_out = ", ".join(f"{count} {why}" for why, count in training.left_out.items() if count)
    yield f"{len(training)} images to learn from" + (
        f"; left out: {left_out}." if left_out else "."
    )
    if torn(held_out):
        yield TORN
    learned = set(training.ferplus.argmax(axis=1).tolist())
    shown = set(held_out.majority[held_out.agreed].tolist())
    if unknown := [name for place, name in enumerate(EMOTIONS) if place in shown - learned]:
        yield f"Held out but not learned: {', '.join(unknown)}. It will be wrong about these."
    if unmeasured := [name for place, name in enumerate(EMOTIONS) if place in learned - shown]:
        yield f"Learned but not held out: {', '.join(unmeasured)}. Nothing tells how well."


def _origin(
    options: dict[str, Any], reading: Reading, training: TrainingSet, held_out: Faces
) -> dict[str, Any]:
    """Where the pictures come from, for the card; names, and no folders of this machine."""
    origin: dict[str, Any] = {"source": source_in_words(options["source"], reading)}
    if options["ferplus"]:
        origin["votes"] = options["ferplus"].name
    elif reading.layout in UNVOTED:
        origin["votes"] = "none; each picture counts as ten votes for its own label"
    if options["extra"]:
        origin["extra"] = [place.resolve().name for place in options["extra"]]
    if reading.problems:
        origin["skipped"] = len(reading.problems)
    if torn(held_out):
        origin["held_out"] = TORN
    if training.backgrounds:
        origin["backgrounds"] = len(training.backgrounds)
    return origin
