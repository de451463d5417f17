"""The models that are there, and what their cards say."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from recognizer.vision.cards import ModelCard
from recognizer.vision.classification import DEFAULT_MODEL, available_models, load_model


class Command(BaseCommand):
    help = "List the models that are there, or show one's card. Runs without TensorFlow."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        listing = actions.add_parser("list", help="one line a model")
        show = actions.add_parser("show", help="one model's card")
        show.add_argument("name", nargs="?", default="", help="the default model, if not given")
        for action in (listing, show):
            action.add_argument("--json", action="store_true", help="JSON on stdout")

    def handle(self, **options: Any) -> None:
        if options["action"] == "show":
            card = self.card(options["name"])
            text = json.dumps(card.as_dict()) if options["json"] else "\n".join(_lines(card))
            self.stdout.write(text)
            return
        for name in available_models():
            card = self.card(name)
            if options["json"]:
                self.stdout.write(json.dumps(_summary(name, card)))
            else:
                self.stdout.write(_line(_summary(name, card)))

    def card(self, name: str) -> ModelCard:
        """The card of a model whose weights are the ones it describes."""
        try:
            return load_model(name).card
        except ValueError as error:
            raise CommandError(str(error), returncode=2) from error


def _summary(name: str, card: ModelCard) -> dict[str, Any]:
    return {
        "name": name,
        "version": card.version,
        "default": name == DEFAULT_MODEL,
        "parameters": card.parameters,
        "macs": card.macs,
        "sha256": card.weights.sha256,
    }


def _lines(card: ModelCard) -> list[str]:
    rule = card.uncertainty
    return [
        f"{card.name} {card.version} ({card.architecture})",
        f"  parameters   {card.parameters:,}",
        f"  MACs a face  {card.macs:,}",
        f"  crop         {card.preprocessing.margin} x the box, align {card.preprocessing.align}",
        f"  heads        {', '.join(card.heads)}",
        f"  uncertain    {rule.score} score above {rule.threshold}, side below {rule.min_face:g}",
        f"  weights      {card.weights.file} {card.weights.sha256}",
        f"  {card.notes}",
    ]


def _line(summary: dict[str, Any]) -> str:
    mark = "*" if summary["default"] else " "
    size = f"{summary['parameters'] / 1e6:.1f} M parameters, {summary['macs'] / 1e6:.0f} M MACs"
    return f"{mark} {summary['name']} {summary['version']}  {size}"
