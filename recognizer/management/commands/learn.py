"""Learn from reviews: a new model beside the old one, and how the two compare."""

import logging
import secrets
from argparse import ArgumentParser
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from recognizer.management import model_reports
from recognizer.management.base import TrainingCommand, add_threads_option, training_imports
from recognizer.models import LearningRun, User
from recognizer.services import learning, model_places, model_store, reviewed_faces
from recognizer.services.promotions import Refused
from recognizer.services.reviewed_faces import Exported
from recognizer.training.datasets.faces import DatasetError, Faces
from recognizer.training.datasets.halves import even_and_odd
from recognizer.training.datasets.labelling import Labelling, labelling
from recognizer.training.datasets.preparation import TrainingSet, prepare, prepare_training
from recognizer.training.datasets.reading import (
    read_dataset,
    training_and_held_out,
)
from recognizer.training.evaluation import comparison
from recognizer.vision.classification import OnnxClassifier

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """What REFERENCE_SET has to learn from and has held out, and who said what it shows."""

    training: TrainingSet
    held_out: Faces
    labelling: Labelling


class Command(TrainingCommand):
    help = (
        "Fine-tune the site's model on the reviewed faces of owners who lend theirs, and compare "
        "old and new on reviews that were held out and, where REFERENCE_SET names one, on a data "
        "set that stays the same; report.html beside the new model is of that set. Nothing is "
        "promoted: `manage.py models promote` does that, or the page of the run in the admin."
    )
    kept = "The run waits until its process counts as gone; then a worker takes it up anew."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--by", default="", metavar="USER", help="who asks for it")
        parser.add_argument(
            "--run", type=int, metavar="N", help="do this one, asked for in the admin (a new one)"
        )
        add_threads_option(parser)

    def handle(self, **options: Any) -> None:
        run = self.taken(options)
        if run is None:
            self.report("Another process was first; there is nothing left to do.")
            return
        pulse = learning.pulse(run)
        pulse.start()
        try:
            self.learn(run, options["threads"])
        except learning.Lost:
            raise CommandError(f"The learning run {run} was given to another process.") from None
        except Exception as error:
            logger.exception("The learning run %s failed.", run)
            learning.fail(run, _sentence(error))
            raise CommandError(_sentence(error)) from error
        finally:
            pulse.stop()

    def taken(self, options: dict[str, Any]) -> LearningRun | None:
        if options["run"] is not None:
            return learning.claim(options["run"])
        who = User.objects.filter(username=options["by"]).first()
        if options["by"] and who is None:
            raise CommandError(f'There is no user "{options["by"]}".')
        begun = learning.begin(who)
        if isinstance(begun, Refused):
            raise CommandError(begun.reason)
        return begun

    def learn(self, run: LearningRun, threads: int) -> None:
        def report(line: str) -> None:
            self.report(line)
            learning.seen(run, line)

        folder = model_store.find_version(run.base)
        old = model_store.checked(OnnxClassifier(folder, threads))
        size = old.card.preprocessing.size
        # Gone when the run ends: what owners delete tomorrow must not lie about.
        with TemporaryDirectory(prefix="webemotion-learn-") as place:
            exported = reviewed_faces.export(
                Path(place) / "faces", preprocessing=old.card.preprocessing
            )
            reading = read_dataset(Path(place) / "faces", size=size)
        learned, held_out = training_and_held_out(reading)
        reviewed = prepare(learned, held_out.images)
        report(
            f"{len(reviewed)} reviewed faces to learn from, {len(held_out)} held out, "
            f"of {exported.photos} photos."
        )
        reference = _reference(size)
        with training_imports("Learning"):
            from recognizer.training.fitting import loop
            from recognizer.training.reviews import candidates, finetuning
        loop.set_threads(threads)
        origin, unseen = None, None
        if reference:
            # The even rows say how far to go, so only the odd ones may say what that cost.
            guard, unseen = even_and_odd(reference.held_out)
            origin = finetuning.Origin(reference.training, guard)
        name = _free_name(f"learned-{run.pk}")
        with model_places.being_made(model_store.new_folder(name)) as partial:
            new = candidates.learn(old, reviewed, origin, partial, name, report)
            compared = {"held_out": comparison.compare(old, new, held_out)}
            if reference and unseen:
                new = candidates.with_metrics(new, reference.held_out)
                compared["reference"] = comparison.compare(old, new, unseen)
            if reference and compared.get("reference"):
                # Never of the held-out reviews: a report shows pictures, and those are private.
                model_reports.write(new, reference.held_out, reference.labelling)
            card = new.card
        learning.finish(run, card, name, exported, compared)
        beside = f", with {model_reports.REPORT} beside it" if compared.get("reference") else ""
        self.report(f"The new model is {name}{beside}. {_told(exported, compared)}")


def _reference(size: int) -> Reference | None:
    """The data set that REFERENCE_SET names, if it is set.

    Raises:
        DatasetError: it cannot be read.
    """
    if not settings.REFERENCE_SET:
        return None
    source = Path(settings.REFERENCE_SET)
    ferplus = Path(settings.REFERENCE_FERPLUS) if settings.REFERENCE_FERPLUS else None
    try:
        reading = read_dataset(source, ferplus=ferplus, size=size)
        _, held_out = training_and_held_out(reading)
        words = labelling(reading, source, ferplus, held_out)
        return Reference(prepare_training(reading.faces), held_out, words)
    except (DatasetError, OSError) as error:
        raise DatasetError(f"REFERENCE_SET can't be read. {error}") from error


def _free_name(wanted: str) -> str:
    """The name, or one like it where another database has left a model of that name."""
    return f"{wanted}-{secrets.token_hex(3)}" if wanted in model_store.names() else wanted


def _told(exported: Exported, compared: dict[str, Any]) -> str:
    """The comparison in a sentence for each set of faces."""
    names = {"held_out": "reviews held out", "reference": "the reference set"}
    parts = [f"Data set {exported.fingerprint[:12]}: {exported.faces} faces."]
    for which, found in compared.items():
        if not found:
            parts.append(f"No face of {names[which]} shows an emotion that most agree on.")
            continue
        parts.append(
            f"On {found['faces']} faces of {names[which]}: {found['old']['accuracy']:.2%} before, "
            f"{found['new']['accuracy']:.2%} now, a gain of {100 * found['gain']:+.2f} points "
            f"(95% interval {100 * found['low']:+.2f} to {100 * found['high']:+.2f})."
        )
    return " ".join(parts)


def _sentence(error: Exception) -> str:
    """What went wrong, for a person; strange errors keep their kind."""
    known = isinstance(error, ValueError | OSError | CommandError)
    return str(error) if known else f"{type(error).__name__}: {error}"
