"""The models that are there, what their cards say, and which one the site uses."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from recognizer.models import Promotion, User
from recognizer.services import model_archives, model_store, model_versions, promotions
from recognizer.services.model_store import Entry
from recognizer.vision.cards import ModelCard
from recognizer.vision.classification import DEFAULT_MODEL

USAGE = 2


class Command(BaseCommand):
    help = (
        "List the models that are there, show one's card, take one in or hand one on, and say "
        "which one the site uses. Runs without TensorFlow; without a database, too, except for "
        "promote and rollback."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)

        def action(name: str, what: str) -> ArgumentParser:
            parser: ArgumentParser = actions.add_parser(name, help=what, description=what)
            return parser

        listing = action(
            "list", "One line for each model; * marks the one that the site uses, ! a broken one."
        )
        show = action("show", "One model's card.")
        show.add_argument(
            "name", nargs="?", default="", metavar="NAME", help="the model (the site's)"
        )
        for one in (listing, show):
            one.add_argument("--json", action="store_true", help="JSON on stdout")
        add = action("add", "Take a model in from a folder or a ZIP.")
        add.add_argument(
            "source", type=Path, metavar="FOLDER|ZIP", help="the model with its card.json"
        )
        add.add_argument("--name", default="", help="what to call it here (the card's name)")
        export = action("export", "Write model, card and report as one ZIP.")
        export.add_argument(
            "--output", type=Path, required=True, metavar="FILE.zip", help="the archive"
        )
        promote = action("promote", "Have the site use a model from now on.")
        for one in (export, promote):
            one.add_argument("name", metavar="NAME", help="one of `models list`")
        promote.add_argument(
            "--force",
            action="store_true",
            help="even if its card promises less than the present, or can't be compared with it",
        )
        rollback = action("rollback", "Go back to the model before; again, and further back.")
        for one in (promote, rollback):
            one.add_argument(
                "--reason", default="", metavar="TEXT", help="for those who look at it later"
            )
            one.add_argument("--by", default="", metavar="USER", help="who does it")

    def handle(self, **options: Any) -> None:
        try:
            getattr(self, f"_{options['action']}")(options)
        except ValueError as error:
            raise CommandError(str(error), returncode=USAGE) from error
        except OSError as error:
            raise CommandError(str(error)) from error

    def _list(self, options: dict[str, Any]) -> None:
        promotion = model_versions.promotion_if_any()
        used = _used(promotion)
        rows = [_summary(entry, promotion, used) for entry in model_store.entries()]
        for row in rows:
            self.stdout.write(json.dumps(row) if options["json"] else _line(row))
        if promotion and promotion.version and not any(row["promoted"] for row in rows):
            self.stderr.write(
                f"The promoted model {promotion.version} is missing here or damaged. Until it is "
                "put back, the site uses the one before, or the default."
            )

    def _show(self, options: dict[str, Any]) -> None:
        model = model_versions.for_shell(options["name"])
        card = model.card
        lines = _lines(card, model.folder.name)
        self.stdout.write(json.dumps(card.as_dict()) if options["json"] else "\n".join(lines))

    def _add(self, options: dict[str, Any]) -> None:
        folder = model_archives.add(options["source"], options["name"])
        self.stdout.write(f"{folder.name} is in {folder}.")

    def _export(self, options: dict[str, Any]) -> None:
        model_archives.export(options["name"], options["output"])
        self.stdout.write(f"{options['name']} is in {options['output']}.")

    def _promote(self, options: dict[str, Any]) -> None:
        who = _ask_database(options["by"])
        self._tell(promotions.promote(options["name"], who, options["reason"], options["force"]))

    def _rollback(self, options: dict[str, Any]) -> None:
        self._tell(promotions.rollback(_ask_database(options["by"]), options["reason"]))

    def _tell(self, outcome: promotions.Outcome) -> None:
        if isinstance(outcome, promotions.Refused):
            raise CommandError(outcome.reason)
        if isinstance(outcome, promotions.Promoted):
            for name, why in outcome.passed_over:
                self.stderr.write(f"Passed over {name}: {why}")
        version = outcome.promotion.version
        name = f"the model {version}" if version else "its default model"
        already = " already" if isinstance(outcome, promotions.Unchanged) else ""
        self.stdout.write(f"The site uses {name}{already}.")


def _ask_database(username: str) -> User | None:
    """Who promotes; a usage error where there is no database to write it in, or no such user."""
    if not model_versions.database_is_there():
        raise CommandError("There is no database yet. Run `manage.py migrate`, and try again.")
    try:
        Promotion.objects.exists()
        user = User.objects.filter(username=username).first() if username else None
    except DatabaseError as error:
        raise CommandError(
            f"The database can't be used ({str(error).strip()}). Start it, run "
            "`manage.py migrate`, and try again."
        ) from error
    if username and user is None:
        raise CommandError(f'There is no user "{username}".', returncode=USAGE)
    return user


def _used(promotion: Promotion | None) -> Path | None:
    """The folder of the model that the site uses; None while it can't be used here."""
    try:
        if promotion and promotion.version:
            return model_store.find_version(promotion.version, promotion.name)
        return model_store.find(settings.EMOTION_MODEL)
    except (ValueError, OSError):
        return None


def _summary(entry: Entry, promotion: Promotion | None, used: Path | None) -> dict[str, Any]:
    card = entry.card
    in_use = card is not None and entry.folder == used
    measured = promotions.accuracy(card.metrics) if card else None
    return {
        "name": entry.name,
        "version": card.version if card else None,
        "from": "own" if entry.own else "shipped",
        "default": not entry.own and entry.name == DEFAULT_MODEL,
        "in_use": in_use,
        "promoted": in_use and bool(promotion and promotion.version),
        "parameters": card.parameters if card else None,
        "macs": card.macs if card else None,
        "precision": card.weights.precision if card else None,
        "accuracy": measured.value if measured else None,
        "sha256": card.weights.sha256 if card else None,
        "error": entry.problem or None,
    }


def _lines(card: ModelCard, name: str) -> list[str]:
    """The card for people, headed by the name that the model has here."""
    rule = card.uncertainty
    return [
        f"{name} {card.version} ({card.architecture})",
        *([f"  in its card  {card.name}"] if card.name != name else []),
        f"  parameters   {card.parameters:,}",
        f"  MACs a face  {card.macs:,}, in {card.weights.precision_in_words}",
        f"  crop         {card.preprocessing.margin} x the box, align {card.preprocessing.align}",
        f"  heads        {', '.join(card.heads)}",
        f"  uncertain    {rule.score} score above {rule.threshold}, side below {rule.min_face:g}",
        f"  weights      {card.weights.file} {card.weights.sha256}",
        f"  {card.notes}",
    ]


def _line(summary: dict[str, Any]) -> str:
    if summary["error"]:
        return f"! {summary['name']} ({summary['from']})  {summary['error']}"
    mark = "*" if summary["in_use"] else " "
    size = f"{summary['parameters'] / 1e6:.1f} M parameters, {summary['macs'] / 1e6:.0f} M MACs"
    whence = summary["from"] + (", promoted" if summary["promoted"] else "")
    return f"{mark} {summary['name']} {summary['version']}  {size}  ({whence})"
