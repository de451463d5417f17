"""A model on its way: card, weights and report in one ZIP, and in again once it has proved good."""

import lzma
import secrets
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import IO

from recognizer.services import model_store
from recognizer.vision.classification import ModelError, read_card

MAX_BYTES = 500 * 1024 * 1024
MAX_FILES = 200
# A report may have a folder of pictures beside it; nothing lies deeper.
MAX_DEPTH = 2
_CHUNK = 1024 * 1024
# The same model gives the same archive, whenever it is written.
_DATE = (1980, 1, 1, 0, 0, 0)
_UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
    RuntimeError,  # an encrypted archive
)


def export(name: str, target: Path) -> None:
    """Write a model's folder as a ZIP with one folder in it, named as the model.

    Raises:
        ModelError, CardError: there is no such model, its weights are not those of its card, or
            there can be no such file as the target.
        OSError: the archive can't be written.
    """
    folder = model_store.find(name)
    read_card(folder)
    # Aside first: what has the name is whole.
    draft = target.parent / f".{secrets.token_hex(8)}"
    try:
        _check_target(target)
        with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in _files(folder):
                entry = zipfile.ZipInfo(f"{name}/{path.relative_to(folder).as_posix()}", _DATE)
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.external_attr = 0o644 << 16
                with path.open("rb") as source, archive.open(entry, "w") as sink:
                    shutil.copyfileobj(source, sink)
        draft.replace(target)
    except OSError as error:
        # The draft's name would tell nobody anything.
        raise OSError(
            f"The archive {target} can't be written: {error.strerror or error}."
        ) from error
    finally:
        with suppress(OSError):
            draft.unlink()


def add(source: Path, name: str = "") -> Path:
    """Take a folder or a ZIP of a model among the site's own; the new folder.

    Args:
        source: card.json, the weights and perhaps a report, at the top or in one folder.
        name: of the new folder; the card's name, if not given.

    Raises:
        ModelError, CardError: it is no model that works, or the name is taken.
        OSError: it can't be read, or the new folder can't be written.
    """
    with _aside() as draft:
        if source.is_dir():
            if not (source / "card.json").is_file():
                raise ModelError(_no_model(source))
            _copy(source, draft)
        elif source.is_file():
            _unpack(source, draft)
        else:
            raise ModelError(f"{source}: there is no such folder and no such file.")
        try:
            card = model_store.verify(draft).card
        except ValueError as error:
            # The folder is gone again by the time that somebody could look for it.
            raise ModelError(str(error).replace(str(draft), str(source))) from error
        folder = model_store.new_folder(name or card.name)
        draft.rename(folder)
    return folder


@contextmanager
def _aside() -> Iterator[Path]:
    """A hidden folder beside the site's own models, gone afterwards unless it was renamed."""
    draft = model_store.own_root() / f".{secrets.token_hex(8)}"
    draft.mkdir(parents=True)
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _check_target(target: Path) -> None:
    if target.is_dir():
        problem = "it is a folder. Name a file, such as model.zip."
    elif not target.parent.is_dir():
        problem = f"the folder {target.parent} does not exist. Make it first, or name another."
    elif target.suffix.casefold() != ".zip":
        problem = "its name must end in .zip."
    else:
        return
    raise ModelError(f"The archive {target} can't be written: {problem}")


def _files(folder: Path) -> list[Path]:
    """The files of a model's folder, sorted; hidden ones, and what lies elsewhere, are left out."""
    inside = folder.resolve()
    found = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and path.resolve().is_relative_to(inside)
        and _wanted(path.relative_to(folder).parts)
    ]
    if len(found) > MAX_FILES or sum(path.stat().st_size for path in found) > MAX_BYTES:
        raise ModelError(f"{folder}: {_too_much()}")
    return found


def _wanted(parts: tuple[str, ...]) -> bool:
    return len(parts) <= MAX_DEPTH and not any(part.startswith(".") for part in parts)


def _copy(source: Path, draft: Path) -> None:
    for path in _files(source):
        target = draft / path.relative_to(source)
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(path, target)


def _unpack(source: Path, draft: Path) -> None:
    try:
        with zipfile.ZipFile(source) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            places = list(_places(source, entries))
            if ("card.json",) not in [place for _, place in places]:
                raise ModelError(_no_model(source))
            if len(entries) > MAX_FILES or sum(entry.file_size for entry in entries) > MAX_BYTES:
                raise ModelError(f"{source}: {_too_much()}")
            left = MAX_BYTES
            for entry, place in places:
                target = draft.joinpath(*place)
                target.parent.mkdir(exist_ok=True)
                with archive.open(entry) as packed, target.open("xb") as sink:
                    left -= _pour(packed, sink, left, source)
    except FileExistsError as error:
        raise ModelError(f"{source}: holds two files of the same name.") from error
    except _UNREADABLE as error:
        raise ModelError(f"{source}: is no ZIP that can be read ({error}).") from error


def _places(
    source: Path, entries: list[zipfile.ZipInfo]
) -> Iterator[tuple[zipfile.ZipInfo, tuple[str, ...]]]:
    """Where each file of an archive goes, below the one folder that may hold them all."""
    parts = [_parts(source, entry) for entry in entries]
    tops = {one[0] for one in parts if len(one) > 1}
    wrapped = len(tops) == 1 and all(len(one) > 1 for one in parts)
    for entry, one in zip(entries, parts, strict=True):
        place = one[1:] if wrapped else one
        if _wanted(place):
            yield entry, place


def _parts(source: Path, entry: zipfile.ZipInfo) -> tuple[str, ...]:
    """A file's path inside the archive, if it stays inside and is a plain file."""
    parts = PurePosixPath(entry.filename).parts
    kind = stat.S_IFMT(entry.external_attr >> 16)
    leaves = not parts or parts[0] == "/" or ".." in parts
    strange = any(sign in entry.filename for sign in "\\:") or not entry.filename.isprintable()
    if leaves or strange or kind not in (0, stat.S_IFREG):
        raise ModelError(
            f"{source}: holds {entry.filename!r}, which is not a plain file inside the archive. "
            "Nothing was taken from it."
        )
    return parts


def _pour(packed: IO[bytes], sink: IO[bytes], most: int, source: Path) -> int:
    """Copy a file, however large the archive says it is; its true size."""
    size = 0
    while chunk := packed.read(_CHUNK):
        size += len(chunk)
        if size > most:
            raise ModelError(f"{source}: {_too_much()}")
        sink.write(chunk)
    return size


def _no_model(source: Path) -> str:
    return (
        f"{source}: is no model, as there is no card.json in it. Name the folder, or the ZIP of "
        "the folder, that holds card.json and the weights."
    )


def _too_much() -> str:
    return f"holds more than a model has: at most {MAX_FILES} files and {MAX_BYTES >> 20} MB."
