"""Folders that are written: whole or not at all, and over nothing."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recognizer.training.datasets.faces import DatasetError


def require_free(output: Path) -> None:
    """DatasetError when there is something at `output` that would be overwritten."""
    try:
        taken = output.exists() and (not output.is_dir() or any(output.iterdir()))
    except OSError as error:
        raise DatasetError(f"{output} cannot be used: {error.strerror}.") from error
    if taken:
        raise DatasetError(
            f"{output} exists already and is in use; remove it, or give an empty folder or one "
            "that is not there."
        )
    if output.is_mount():
        raise DatasetError(f"{output} is a mount point; give a folder in it.")


def require_outside(output: Path, source: Path) -> None:
    """DatasetError when one lies in the other: what is written would become part of what is read.

    Links are followed.
    """
    target, origin = output.resolve(), source.resolve()
    if target.is_relative_to(origin) or origin.is_relative_to(target):
        raise DatasetError(
            f"{output} and {source} lie one in the other; give an output folder outside of the "
            "data set."
        )


@contextmanager
def whole_folder(output: Path) -> Iterator[Path]:
    """A hidden folder beside `output` to write into; it takes that name if all goes well.

    One that a killed run left is cleared away by the next.

    Raises:
        DatasetError: there is something at `output` already.
        OSError: it cannot be written.
    """
    require_free(output)
    output = output.resolve()  # A link stays, and what it leads to is written.
    partial = output.with_name(f".{output.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        yield partial
        partial.rename(output)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
