"""Files and folders that are written: whole or not at all, the folders over nothing."""

import os
import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from recognizer.locks import locked
from recognizer.training.datasets.faces import DatasetError
from recognizer.training.datasets.journals import Journal

DAMAGED_ARCHIVE: Final = (ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)
"""What NumPy raises where the bytes of an .npz are others than were written."""
_JOURNAL: Final = ".parts.jsonl"


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


class Parts:
    """A folder that is written part by part, each of them once; see `whole_folder`.

    Attributes:
        folder: where to write.
    """

    def __init__(self, folder: Path, about: Mapping[str, Any]) -> None:
        """Open or begin it; the errors are those of `Journal`."""
        self.folder = folder
        self._journal = Journal(folder / _JOURNAL, about)

    def once(self, name: str, write: Callable[[], Any]) -> Any:
        """Write a part, unless a killed run finished it; gives what was said of it, as JSON.

        A part that was begun only is written again, over what there is of it.
        """
        if name not in self._journal.entries:
            self._journal.add({name: write()})
        return self._journal.entries[name]


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Where to write a file inside: a kill leaves the whole old one or the whole new one."""
    # Of this process, as another may write the same; the ending is what some writers go by.
    draft = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def _alone_at(output: Path) -> Iterator[None]:
    """Keep an output folder, and what is hidden beside it, to this process.

    Raises:
        DatasetError: another process writes there.
        OSError: nothing can be written beside it.
    """
    whole = output.resolve()
    refusal = DatasetError(
        f"Another process is writing to {output}. Wait for it to end, or give another folder."
    )
    with locked(whole.with_name(f".{whole.name}.lock"), refusal):
        yield


@contextmanager
def whole_folder(output: Path, about: Mapping[str, Any]) -> Iterator[Parts]:
    """A hidden folder beside `output` to write into; it takes that name if all goes well.

    What a stopped run left is gone on with by the next one about the same, and cleared away by
    any other.

    Args:
        output: an empty folder, or one that is not there.
        about: JSON that decides every byte written: the data set and the settings.

    Raises:
        DatasetError: there is something at `output` already, or another process writes it.
        OSError: it cannot be written.
    """
    with _alone_at(output):
        require_free(output)
        output = output.resolve()  # A link stays, and what it leads to is written.
        partial = output.with_name(f".{output.name}.partial")
        try:
            parts = _begun(partial, about)
            yield parts
            partial.rename(output)
        except DatasetError:
            # That would come again; after a full disk, there is something to go on with.
            with suppress(OSError):
                _clear(partial)
            raise
        # Only now: killed in between, the folder is whole, and no data set counts hidden files.
        (output / _JOURNAL).unlink()


def _begun(partial: Path, about: Mapping[str, Any]) -> Parts:
    journal = partial / _JOURNAL
    # What files are about that lie there without a heading, nobody knows.
    if not journal.exists() or b"\n" not in journal.read_bytes():
        _clear(partial)
    try:
        return Parts(partial, about)
    except DatasetError:  # About something else.
        _clear(partial)
        return Parts(partial, about)


def _clear(partial: Path) -> None:
    # The journal first: killed in between, what is left must not pass for finished parts.
    (partial / _JOURNAL).unlink(missing_ok=True)
    if partial.exists():
        shutil.rmtree(partial)
