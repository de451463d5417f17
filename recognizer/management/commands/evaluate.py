"""Score a model on FER-2013 and FER+."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from recognizer.services import model_versions
from recognizer.training.datasets.faces import SPLITS, DatasetError
from recognizer.training.datasets.fer2013 import read
from recognizer.training.evaluation import evaluate

PERCENTAGES = ("accuracy", "top2_accuracy", "coverage", "selective_error")


class Command(BaseCommand):
    help = "Score a model on one split of a public data set. Runs without TensorFlow."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("dataset", choices=["fer2013"], help="which data set")
        parser.add_argument("file", type=Path, help="fer2013.csv, also .gz, .xz or .zip")
        parser.add_argument("--ferplus", type=Path, required=True, help="fer2013new.csv")
        parser.add_argument("--split", choices=SPLITS, default="PublicTest", help="(%(default)s)")
        parser.add_argument(
            "--model",
            default="",
            metavar="NAME",
            help="one of `models list` (default: the promoted one, where a site's database names "
            "one; else EMOTION_MODEL or the shipped default)",
        )
        parser.add_argument("--json", action="store_true", help="one JSON object on stdout")

    def handle(self, **options: Any) -> None:
        try:
            classifier = model_versions.for_shell(options["model"])
        except ValueError as error:
            raise CommandError(str(error), returncode=2) from error
        try:
            faces = read(options["file"], options["ferplus"]).split(options["split"])
            scores = evaluate(classifier, faces)
        except (DatasetError, ValueError) as error:
            raise CommandError(str(error)) from error
        result = {"model": classifier.card.name, "split": options["split"], **scores}
        if options["json"]:
            self.stdout.write(json.dumps(result))
        else:
            self.stdout.write("\n".join(_table(result)))


def _table(result: dict[str, Any]) -> list[str]:
    lines = [f"{result['model']} on {result['split']}"]
    for protocol in ("ferplus", "fer2013"):
        scores = result[protocol]
        if scores is None:
            lines.append(f"\n{protocol}: this model has no such head")
            continue
        lines.append(f"\n{protocol}")
        lines += [f"  {name:20} {_value(name, value)}" for name, value in _single(scores)]
        lines += [
            f"  {name:20} recall {class_['recall']:6.1%}  precision {class_['precision']:6.1%}"
            f"  n {class_['n']}"
            for name, class_ in scores["per_class"].items()
        ]
    return lines


def _single(scores: dict[str, Any]) -> list[tuple[str, Any]]:
    return [(name, value) for name, value in scores.items() if not isinstance(value, dict | list)]


def _value(name: str, value: Any) -> str:
    if value is None:
        return "-"
    if name in PERCENTAGES:
        return f"{value:.2%}"
    return str(value) if isinstance(value, int) else f"{value:.4f}"
