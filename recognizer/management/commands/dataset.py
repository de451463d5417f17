"""`manage.py dataset`: look into a data set, clean it, balance it and pack it."""

from argparse import ArgumentParser
from typing import Any, Protocol

from django.core.management.base import CommandError

from recognizer.management.base import TrainingCommand, unusable
from recognizer.management.dataset import balance, clean, explore, pack
from recognizer.training.datasets.faces import DatasetError


class Door(Protocol):
    """One action: a module of `recognizer.management.dataset`.

    Attributes:
        HELP: what it does.
        KEPT: what Ctrl-C leaves, as `TrainingCommand.kept`.
    """

    HELP: str
    KEPT: str

    def add_arguments(self, parser: ArgumentParser) -> None: ...

    def run(self, options: dict[str, Any], report: "Report") -> None:
        """Do it; DatasetError says what is wrong with the data set."""


DOORS: dict[str, Door] = {
    "balance": balance,
    "clean": clean,
    "explore": explore,
    "pack": pack,
}


class Report(Protocol):
    def __call__(self, line: str) -> None: ...


class Command(TrainingCommand):
    help = "Look into a data set of faces, clean it, balance it and pack it."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        for name, door in DOORS.items():
            door.add_arguments(actions.add_parser(name, help=door.HELP, description=door.HELP))

    def handle(self, **options: Any) -> None:
        door = DOORS[options["action"]]
        self.kept = door.KEPT
        try:
            door.run(options, self.report)
        except DatasetError as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise unusable(error) from error
