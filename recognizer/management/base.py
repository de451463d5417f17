"""What the commands around models share: how they tell, what they need, what they ask for."""

import os
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError

from recognizer.training.settings import LARGEST_SEED
from recognizer.training.silence import held_back
from recognizer.vision.classification import OnnxClassifier

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
    _answers: Path | None = None

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            return super().execute(*args, **options)
        except KeyboardInterrupt:
            self.report(f"Stopped. {self._left()}")
            raise SystemExit(INTERRUPTED) from None

    def keep_answers(self, run: Path | None) -> None:
        """What is kept where --run was given, see `add_answers_option`.

        Raises:
            ValueError: it cannot be written to.
        """
        if run:
            require_writable(run)
            self._answers = run

    def _left(self) -> str:
        if self._answers and self._answers.is_dir():
            return f"The same command goes on with what the models said, in {self._answers}."
        return self.kept

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
        with held_back():
            yield
    except ImportError as error:
        raise CommandError(
            f"{what} needs more than serving ({error}). Install it with "
            "`.venv/bin/python -m pip install -r requirements.txt` and try again."
        ) from error


def add_answers_option(parser: ArgumentParser) -> None:
    """Add --run: a folder for what models say, see `training.evaluation.caching`."""
    parser.add_argument(
        "--run",
        type=Path,
        metavar="DIR",
        help="keep what the models say in this folder; started again with it, the command goes on "
        "where it was stopped",
    )


def require_different(models: Sequence[OnnxClassifier], what: str) -> None:
    """ValueError where a model is named twice; `what` says what each is to be."""
    folders = [model.folder for model in models]
    if twice := next((one.name for one in folders if folders.count(one) > 1), ""):
        raise ValueError(f'The model "{twice}" is named twice {what}. Name each model once.')


def require_writable(run: Path) -> None:
    """ValueError where a run folder cannot be written to: before the work, not after it."""
    there = next(path for path in (run.absolute(), *run.absolute().parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise ValueError(f"--run {run}: {there} is no folder that can be written to.")


def unusable(error: OSError) -> CommandError:
    """The error of a command that could not read or write a file."""
    # A full disk names no file, and HDF5 gives no reason but its text.
    place = f"{error.filename}: " if error.filename else ""
    return CommandError(
        f"{place}{error.strerror or error}. Check that the place can be read and written to and "
        "that its disk has room, and start the command again."
    )


def add_threads_option(parser: ArgumentParser) -> None:
    """Add --threads: how many cores to use, at least 1."""
    parser.add_argument(
        "--threads",
        type=cores,
        default=os.cpu_count() or 1,
        metavar="N",
        help="cores to use (%(default)s)",
    )


def add_seed_option(parser: ArgumentParser, default: int = 1) -> None:
    """Add --seed, of everything random: a whole number, 0 or more."""
    parser.add_argument(
        "--seed", type=seed, default=default, metavar="N", help="of everything random (%(default)s)"
    )


def seed(text: str) -> int:
    """A seed, as NumPy and Keras take it; ArgumentTypeError when it is none."""
    if not text.isdecimal() or int(text) > LARGEST_SEED:
        raise ArgumentTypeError(
            f'must be a whole number, 0 or more and at most {LARGEST_SEED}, not "{text}"'
        )
    return int(text)


def cores(text: str) -> int:
    """A number of cores, 1 or more; ArgumentTypeError when it is none."""
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f'must be a whole number, 1 or more, not "{text}"')
    return int(text)
