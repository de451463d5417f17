"""Write the reviewed faces of owners who lend theirs, for training."""

from argparse import ArgumentParser
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from recognizer.management.base import TrainingCommand, unusable
from recognizer.services import reviewed_faces
from recognizer.services.reviewed_faces import ExportError, Layout, LentPhoto
from recognizer.training.datasets.progress import bar


class Command(TrainingCommand):
    help = (
        "Write the reviewed faces of the owners who agreed to lend theirs (on their page "
        "Account) into a new folder that `manage.py train` reads. Guests' photos never count. "
        "Each photo is given its side for ever, to be learned from or held out, if it has none."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path, metavar="DIR", help="must not be there yet")
        parser.add_argument(
            "--layout",
            choices=[layout.value for layout in Layout],
            default=Layout.VOTES.value,
            help="images with votes.csv, or train/<emotion>/ and test/<emotion>/ (%(default)s)",
        )

    def handle(self, **options: Any) -> None:
        folder = options["folder"]
        try:
            exported = reviewed_faces.export(folder, Layout(options["layout"]), watch=_counted)
        except ExportError as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise unusable(error) from error
        self.stdout.write(
            f"Faces in {folder}: {exported.faces}, {exported.held_out} of them held out."
        )
        if exported.unreadable:
            self.stdout.write(f"Photos that could not be read any more: {exported.unreadable}.")
        if exported.divided:
            self.stdout.write(
                f"Left out, as most reviewers gave them no emotion: {exported.divided}."
            )


def _counted(photos: Iterable[LentPhoto], total: int) -> Iterable[LentPhoto]:
    return bar(photos, "exporting", "photo", total)
