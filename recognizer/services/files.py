"""Stored files, which no transaction takes back: kept in step with the rows by hand."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from django.db.models.fields.files import FieldFile


def remove(files: Iterable[FieldFile]) -> None:
    """Delete stored files, leaving their rows alone; missing ones are no error."""
    for file in files:
        if file.name:
            file.storage.delete(file.name)


def size(file: FieldFile) -> int:
    """How many bytes are stored; 0 when the file is missing."""
    try:
        return file.size
    except FileNotFoundError:
        return 0


@contextmanager
def removed_on_failure() -> Iterator[list[FieldFile]]:
    """A list to note written files in; when the block fails, they are deleted."""
    written: list[FieldFile] = []
    try:
        yield written
    except BaseException:
        remove(written)
        raise
