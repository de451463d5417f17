"""Write soft labels: what one or several models think of every training image."""

import shutil
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from recognizer.locks import locked
from recognizer.management.base import TrainingCommand, require_different, unusable
from recognizer.management.dataset.options import add_source_options, read_source, require_apart
from recognizer.services import model_store
from recognizer.training.datasets.faces import DatasetError
from recognizer.training.datasets.preparation import prepare_training
from recognizer.training.datasets.reading import training_and_held_out
from recognizer.training.evaluation.caching import CachedClassifier
from recognizer.training.fitting.soft_labels import SoftLabels, teach
from recognizer.training.fitting.teachers import require_heads, require_size
from recognizer.training.release import version
from recognizer.vision.classification import OnnxClassifier


class Command(TrainingCommand):
    help = (
        "Write soft labels for distillation: the averaged answers of the named models to every "
        "training image and its mirror image. `manage.py train` learns from them. Runs without "
        "TensorFlow."
    )
    kept = "The same command goes on after the last pictures that the teachers were asked about."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_source_options(parser)
        parser.add_argument(
            "--teacher", nargs="+", required=True, metavar="NAME", help="models of `models list`"
        )
        parser.add_argument(
            "--output", type=Path, required=True, metavar="FILE.npz", help="the soft labels"
        )

    def handle(self, **options: Any) -> None:
        try:
            teachers = [model_store.load(name) for name in options["teacher"]]
            require_different(teachers, "as a teacher")
            _check(teachers, options)
            require_apart(options, options["output"])
        except ValueError as error:
            raise CommandError(str(error), returncode=2) from error
        except OSError as error:
            raise unusable(error) from error
        try:
            reading = read_source(options, self.report)
            _, held_out = training_and_held_out(reading)  # Is there something of both?
            if warning := version.measured_elsewhere([one.card for one in teachers], held_out):
                self.report(warning)
            training = prepare_training(reading.faces)
            output: Path = options["output"]
            if output.exists() and not SoftLabels.load(output).about(training.images):
                raise DatasetError(
                    f"--output {output} holds answers to other pictures; name another file, or "
                    "remove it first."
                )
        except ValueError as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise unusable(error) from error
        partial = output.with_name(f".{output.name}.partial")
        try:
            with locked(output.with_name(f".{output.name}.lock"), _at_work(output)):
                kept = [CachedClassifier(one.folder, partial) for one in teachers]
                labels = teach(kept, training.images)
                labels.save(output)
                shutil.rmtree(partial)
        except ValueError as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise unusable(error) from error
        self.report(f"{len(labels.digests)} images by {', '.join(labels.teachers)}.")


def _at_work(output: Path) -> DatasetError:
    return DatasetError(
        f"Another process writes --output {output}. Wait for it to end, or name another file."
    )


def _check(teachers: list[OnnxClassifier], options: dict[str, Any]) -> None:
    """What would fail only at the end: another size, another ending, a folder that is not there."""
    require_size(teachers, options["size"])
    for teacher in teachers:
        require_heads(teacher)
    if options["output"].suffix != ".npz":
        raise ValueError(f"--output {options['output']}: the file's name must end in .npz.")
    if options["output"].exists():
        names = tuple(teacher.name for teacher in teachers)
        found = SoftLabels.load(options["output"]).teachers
        if found != names:
            raise ValueError(
                f"--output {options['output']} holds the answers of {', '.join(found)}; name "
                "another file, or remove it first."
            )
    if not options["output"].absolute().parent.is_dir():
        raise ValueError(f"--output {options['output']}: its folder is not there.")
