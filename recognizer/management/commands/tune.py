"""Search for a good head and optimizer, and write the settings to train with."""

from argparse import ArgumentParser
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from recognizer.management.base import (
    TrainingCommand,
    add_seed_option,
    add_threads_option,
    require_writable,
    training_imports,
    unusable,
)
from recognizer.management.dataset.options import (
    add_source_options,
    read_source,
    require_apart,
    require_there,
)
from recognizer.training.datasets.selection import VALIDATIONS, select


class Command(TrainingCommand):
    help = (
        "Search for the width of a dense layer before the heads, its dropout, the optimizer and "
        "its rates by Bayesian optimisation. Trials begin anew, without the `start` and the "
        "teachers of the settings, and are measured on a part of Training that is split off, so "
        "that PublicTest stays for reporting. Prints a table of the trials and leaves "
        "trials.csv, trials.json and best.toml, for `train --config`, in the run folder. Stop "
        "and start it as you like: it goes on after the last finished trial."
    )
    requires_system_checks: list[str] = []
    kept = "The same command goes on from the last finished trial."

    def add_arguments(self, parser: ArgumentParser) -> None:
        add = parser.add_argument
        add_source_options(parser)
        add(
            "--trials",
            type=int,
            default=20,
            metavar="N",
            help="how many to try in all (%(default)s)",
        )
        add("--epochs", type=int, default=4, metavar="N", help="of each trial (%(default)s)")
        add("--architecture", metavar="NAME", help="of the network (that of --config, or resnet9)")
        add(
            "--config",
            type=Path,
            metavar="FILE.toml",
            help="the settings that are not searched (the defaults of Fitting in "
            "recognizer/training/fitting/hyperparameters.py)",
        )
        add("--run", type=Path, metavar="DIR", help="run folder (runs/tune-ARCHITECTURE)")
        add(
            "--validation",
            choices=VALIDATIONS,
            default="part",
            help="measure on a part of Training, or on PublicTest (%(default)s)",
        )
        add("--share", type=float, default=0.15, help="how large that part is, 0-1 (%(default)s)")
        add_seed_option(parser)
        add_threads_option(parser)

    def handle(self, **options: Any) -> None:
        try:
            if options["run"]:
                require_writable(options["run"])
            require_there(options)
        except ValueError as error:
            raise CommandError(str(error)) from error
        # Reading may take minutes, TensorFlow seconds, and without it no setting can be judged.
        with training_imports("Tuning"):
            from recognizer.training import networks
            from recognizer.training.fitting import loop, run_folders, tuning
        try:
            base = tuning.base_settings(
                options["config"], options["architecture"], options["seed"], self.report
            )
            run = options["run"] or Path("runs") / f"tune-{networks.name_of(base.network)}"
            require_apart(options, run)
            search = tuning.Search(base, options["trials"], options["epochs"], data="")
            faces = read_source(options, self.report).faces
            training, validation, words = select(
                faces, options["validation"], options["share"], options["seed"]
            )
            self.report(f"{len(training)} images to learn from; trials are measured on {words}.")
            data = run_folders.fingerprint(training, validation)
            search = replace(search, data=words, data_sha256=data)
            loop.set_threads(options["threads"])
            attempt = tuning.attempt_of(search, training, validation)
            with run_folders.alone(run):
                trials = tuning.tune(search, attempt, run, self.report)
                best = tuning.save(trials, search, run)
        except ValueError as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise unusable(error) from error
        self.stdout.write(tuning.table(trials))
        self.report(
            f"The best settings are in {best}; train with them: `manage.py train … "
            f"--config {best}`."
        )
