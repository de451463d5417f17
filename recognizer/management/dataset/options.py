"""The options of commands that read a data set."""

from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from recognizer.training.datasets.faces import DatasetError
from recognizer.training.datasets.packing import INDEX
from recognizer.training.datasets.reading import LAYOUTS, Reading, read_dataset
from recognizer.training.datasets.result import BadParts, tell_skipped
from recognizer.training.datasets.votes import VOTES_FILE

FER2013 = "fer2013.csv, also .gz, .bz2, .xz or .zip"


def add_source_options(parser: ArgumentParser) -> None:
    """Add SOURCE, --ferplus, --extra, --size and --bad."""
    layouts = "; ".join(layout.replace("%", "%%") for layout in LAYOUTS)
    parser.add_argument(
        "source", type=Path, metavar="SOURCE", help=f"a data set in one of these layouts: {layouts}"
    )
    add_ferplus_option(parser)
    parser.add_argument(
        "--extra",
        type=Path,
        metavar="DIR",
        action="append",
        default=[],
        help="a further data set that is added to Training, but for faces of people and "
        "characters whom SOURCE holds out; may be given again",
    )
    parser.add_argument(
        "--size",
        type=int,
        default=48,
        metavar="N",
        help="side of the images, in pixels (%(default)s)",
    )
    add_bad_option(parser)


def add_ferplus_option(parser: ArgumentParser, required: bool = False) -> None:
    """Add --ferplus."""
    parser.add_argument(
        "--ferplus",
        type=Path,
        required=required,
        metavar="FILE",
        help="fer2013new.csv, the votes for FER-2013",
    )


def add_bad_option(parser: ArgumentParser) -> None:
    """Add --bad."""
    parser.add_argument(
        "--bad",
        choices=["stop", "skip"],
        default="stop",
        help="at broken images, empty and unknown classes: stop, or skip them (%(default)s)",
    )


@contextmanager
def naming_skip() -> Iterator[None]:
    """Add to a refusal of bad parts how to go on without them."""
    try:
        yield
    except BadParts as error:
        rest = "" if error.only else ", where it is only a part of a data set"
        raise DatasetError(f"{error}\nMend this, or leave it out with --bad skip{rest}.") from error


def source_in_words(source: Path, reading: Reading) -> str:
    """What a card calls the data set: its name, without this machine's folders, and its layout."""
    return f"{source.resolve().name} ({reading.layout})"


def require_csv(options: dict[str, Any], *names: str) -> None:
    """DatasetError where options that are about FER-2013's file are given with a folder."""
    if not options["source"].is_dir():
        return
    for name in names:
        if options[name]:
            raise DatasetError(
                f"--{name} is about the rows of FER-2013's file, and {options['source']} is a "
                "folder, whose classes are its folders. Leave it out, or give fer2013.csv."
            )


def require_apart(options: dict[str, Any], *outputs: Path | None) -> None:
    """DatasetError where something would be written into folders that are read as classes."""
    for source in (options["source"], *options.get("extra", ())):
        # In other layouts a list decides what is read.
        if not source.is_dir() or any((source / name).exists() for name in (VOTES_FILE, INDEX)):
            continue
        for output in outputs:
            if output and _is_read(output.resolve(), source.resolve()):
                raise DatasetError(
                    f"{output} lies in the data set {source}, which would read it as a part of "
                    "itself the next time. Name a place outside of it."
                )


def _is_read(output: Path, source: Path) -> bool:
    """Whether what is at `output` is taken for a part of class folders in `source`."""
    if not output.is_relative_to(source):
        return False
    parts = output.relative_to(source).parts
    beside_classes = len(parts) == 1 and output.suffix in (".html", ".htm", ".npz")
    return not beside_classes and not any(part.startswith(".") for part in parts)


def require_there(options: dict[str, Any]) -> None:
    """DatasetError when a file or a folder that the options name is not there."""
    named = (options["source"], options["ferplus"], *options["extra"], options.get("backgrounds"))
    for path in named:
        if path is not None and not path.exists():
            raise DatasetError(f"{path}: there is no such file or folder.")


def read_source(options: dict[str, Any], report: Callable[[str], None]) -> Reading:
    """Read what the options name, and report what was decided and skipped.

    Raises:
        DatasetError: the data set cannot be read.
    """
    require_there(options)
    with naming_skip():
        reading = read_dataset(
            options["source"],
            ferplus=options["ferplus"],
            extra=options["extra"],
            size=options["size"],
            bad=options["bad"],
            apart=options.get("split") != "random",
        )
    for note in reading.notes:
        report(note)
    tell_skipped(reading.problems, report)
    return reading
