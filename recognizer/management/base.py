"""What the commands around models share: how they tell, what they need, what they ask for."""

import os
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError

WHICH_MODEL = (
    "one of `models list` (default: the promoted one, where a site's database names one; else "
    "EMOTION_MODEL or the shipped default)"
)

# What a shell gives a command that Ctrl-C has ended: 128 and the number of SIGINT.
INTERRUPTED: Final = 130


class TrainingCommand(BaseCommand):
    """A command that takes a while, says on stderr how far it is, and may be stopped.

    Attributes:
        kept: what Ctrl-C leaves, in a sentence.
    """

    kept = "Nothing was written."

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            return super().execute(*args, **options)
        except KeyboardInterrupt:
            self.report(f"Stopped. {self.kept}")
            raise SystemExit(INTERRUPTED) from None

    def keep_answers(self, run: Path | None) -> None:
        """What is kept where --run was given, see `add_answers_option`."""
        if run:
            self.kept = f"The same command goes on with what the models said, which is in {run}."

    def report(self, line: str) -> None:
        """Say it at once, even into a pipe; stdout is for results."""
        # Not in Django's style for stderr, which is that of an error.
        self.stderr.write(line, style_func=str)
        self.stderr.flush()


@contextmanager
def training_imports(what: str) -> Iterator[None]:
    """Around imports that serving does without, such as TensorFlow's, which it keeps quiet.

    TensorFlow takes seconds to import, so only after what can be checked in less.

    Args:
        what: needs them; begins the sentence that says so.

    Raises:
        CommandError: something is not installed; it says how to install it.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        yield
    except ImportError as error:
        raise CommandError(
            f"{what} needs more than serving ({error}). Install it with "
            "`.venv/bin/python -m pip install -r requirements.txt` and try again."
        ) from error


def add_answers_option(parser: ArgumentParser) -> None:
    """Add --run: a folder for what models say, see `training.remembering`."""
    parser.add_argument(
        "--run",
        type=Path,
        metavar="DIR",
        help="keep what the models say in this folder; started again with it, the command goes on "
        "where it was stopped",
    )


def unwritable(error: OSError) -> CommandError:
    """The error of a command that could not write a file, or not read one."""
    return CommandError(f"{error.filename}: {error.strerror}.")


def add_threads_option(parser: ArgumentParser) -> None:
    """Add --threads: how many cores to use, at least 1."""
    parser.add_argument(
        "--threads",
        type=cores,
        default=os.cpu_count() or 1,
        metavar="N",
        help="cores to use (%(default)s)",
    )


def cores(text: str) -> int:
    """A number of cores; TensorFlow would take 0 for all of them."""
    return max(1, int(text))
