"""Judge every way to valence and arousal by people's ratings."""

import json
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from recognizer.management import model_reports
from recognizer.management.base import (
    WHICH_MODEL,
    TrainingCommand,
    add_answers_option,
    add_seed_option,
    training_imports,
    unusable,
)
from recognizer.management.dataset.options import FER2013, add_ferplus_option
from recognizer.services import model_places, model_versions
from recognizer.training.affect.circumplex import with_affect
from recognizer.training.affect.ratings import read_ratings
from recognizer.training.datasets.fer2013 import read
from recognizer.training.evaluation.caching import cached
from recognizer.vision.classification import OnnxClassifier

AXES = ("valence", "arousal")


class Command(TrainingCommand):
    help = (
        "Judge every way to valence and arousal by people's ratings: concordance (CCC) and RMSE "
        "with 95% bootstrap intervals. Runs without TensorFlow."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("source", type=Path, metavar="SOURCE", help=FER2013)
        add_ferplus_option(parser, required=True)
        parser.add_argument(
            "--human",
            type=Path,
            required=True,
            metavar="FILE.csv",
            help="ratings: row (from 0, in the source), valence and arousal (-2 to 2)",
        )
        parser.add_argument("--model", default="", metavar="NAME", help=WHICH_MODEL)
        add_seed_option(parser)
        parser.add_argument(
            "--write",
            action="store_true",
            help="write into the model's card how to read valence and arousal",
        )
        parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
        add_answers_option(parser)

    def handle(self, **options: Any) -> None:
        try:
            self.keep_answers(options["run"])
            classifier = model_versions.for_shell(options["model"])
            if options["write"]:
                model_places.require_unpromoted(classifier.folder)
        except ValueError as error:
            raise CommandError(str(error), returncode=2) from error
        result = _compare(classifier, options)
        if options["json"]:
            self.stdout.write(json.dumps(result))
        else:
            self.stdout.write("\n".join(_table(result)))
        if options["write"]:
            path = classifier.weights.parent / model_reports.CARD
            card = with_affect(classifier.card, result["arousal_experimental"])
            try:
                # Again: it may have been promoted during the minutes that this took.
                model_places.require_unpromoted(classifier.folder)
                card.save(path)
            except ValueError as error:
                raise CommandError(str(error), returncode=2) from error
            except OSError as error:
                raise unusable(error) from error
            self.report(f"{path} says how to read valence and arousal.")


def _compare(classifier: OnnxClassifier, options: dict[str, Any]) -> dict[str, Any]:
    with training_imports("The comparison"):
        from recognizer.training.affect.comparison import compare
    try:
        faces = read(options["source"], options["ferplus"])
        ratings = read_ratings(options["human"], faces)
        return compare(cached(classifier, options["run"]), faces, ratings, options["seed"])
    except ValueError as error:
        raise CommandError(str(error)) from error
    except OSError as error:
        raise unusable(error) from error


def _table(result: dict[str, Any]) -> Iterator[str]:
    yield (
        f"{result['model']}: {result['n']} rated faces, heads fitted on "
        f"{result['training_faces']:,} Training faces, seed {result['seed']}"
    )
    for axis in AXES:
        yield ""
        yield f"{axis:<52}  CCC                    RMSE                  CCC difference"
        for score in result["candidates"]:
            yield _line(score, axis, result["shipped"][axis])
    yield ""
    yield "* shipped. Differences are to it, paired. Brackets hold 95% bootstrap intervals."
    yield "(ref) knows more than a served model can: people's labels, or other faces' ratings."
    if result["arousal_experimental"]:
        yield "Arousal is experimental: what is shipped does not beat a constant."


def _line(score: dict[str, Any], axis: str, shipped: str) -> str:
    found = score[axis]
    mark = "*" if score["name"] == shipped else " "
    name = score["name"] + (" (ref)" if score["kind"] == "reference" else "")
    cells = [
        f"{_number(found[measure])} [{_number(low)}, {_number(high)}]"
        for measure in ("ccc", "rmse", "ccc_difference")
        for low, high in [found[f"{measure}_interval"]]
    ]
    return f"{mark} {name:<50}  {'  '.join(cells)}"


def _number(value: float) -> str:
    return f"{round(value, 3) + 0.0:6.3f}"  # Adding 0 makes -0 a 0.
