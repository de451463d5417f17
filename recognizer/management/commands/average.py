"""Make one model of several: their answers averaged, calibrated anew."""

from argparse import ArgumentParser
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from recognizer.management import model_reports
from recognizer.management.base import (
    TrainingCommand,
    add_answers_option,
    require_different,
    unusable,
)
from recognizer.management.dataset.options import (
    add_source_options,
    read_source,
    require_apart,
    source_in_words,
)
from recognizer.services import model_places, model_store
from recognizer.training.datasets.labelling import labelling
from recognizer.training.datasets.preparation import prepare_training
from recognizer.training.evaluation.caching import cached
from recognizer.training.fitting.teachers import require_size
from recognizer.training.release import averaging, version
from recognizer.vision.classification import OnnxClassifier


class Command(TrainingCommand):
    help = (
        "Average models, or one model's answers to several views of a face, into a more accurate "
        "one: slower by as many times as it has members, twice that for looking at each face and "
        "its mirror image, or four times with --shift. Runs without TensorFlow."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_source_options(parser)
        parser.add_argument(
            "--member", nargs="+", required=True, metavar="NAME", help="models of `models list`"
        )
        parser.add_argument("--name", required=True, help="the new model's name")
        parser.add_argument(
            "--output", type=Path, metavar="DIR", help="where models lie (the site's own models)"
        )
        parser.add_argument(
            "--no-mirror",
            action="store_true",
            help="do not look at mirror images; without --shift, half the work",
        )
        parser.add_argument(
            "--shift",
            type=int,
            default=0,
            metavar="N",
            help="look at each face moved by N pixels towards each of the four corners, two of "
            "them mirrored, instead of as it is; four times the work of one look (%(default)s, "
            f"at most {averaging.LARGEST_SHIFT})",
        )
        parser.add_argument(
            "--int8",
            action="store_true",
            help="calculate the convolutions in 8-bit integers, for about half the time where "
            "there are many channels; their ranges are taken from the data set's Training rows",
        )
        add_answers_option(parser)
        parser.add_argument("--replace", action="store_true", help=model_reports.REPLACE)

    def handle(self, **options: Any) -> None:
        try:
            averaging.require_shift(options["shift"])
            self.keep_answers(options["run"])
            folder = model_places.place_for(options["name"], options["output"], options["replace"])
            members = [model_store.load(member) for member in options["member"]]
            require_different(members, "as a member")
            require_size(members, options["size"])
            require_apart(options, options["run"], folder)
        except ValueError as error:
            raise CommandError(str(error), returncode=2) from error
        except OSError as error:
            raise unusable(error) from error
        try:
            reading = read_source(options, self.report)
            held_out = reading.faces.split("PublicTest")
            about = {"source": source_in_words(options["source"], reading)}
            if warning := version.measured_elsewhere([one.card for one in members], held_out):
                self.report(warning)
                about[version.SUSPICION] = warning
            views = {"mirror": not options["no_mirror"], "shift": options["shift"]}
            ranges = prepare_training(reading.faces).images if options["int8"] else None
            with model_places.being_made(folder, options["replace"]) as partial:
                name = options["name"]
                card = averaging.draft(members, partial, name, **views, ranges=ranges)
                # What is measured here is of this data set, whatever the members learned from.
                card = replace(card, data={**card.data, **about})
                classifier = version.release(
                    card,
                    held_out,
                    partial,
                    self.report,
                    load=lambda folder: cached(OnnxClassifier(folder), options["run"]),
                )
                words = labelling(reading, options["source"], options["ferplus"], held_out)
                model_reports.write(classifier, held_out, words)
        except ValueError as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise unusable(error) from error
        self.report(f"{classifier.name} is in {folder}, with {model_reports.REPORT} beside it.")
