"""Pictures in folders that name their classes, as they lie: before anything is made of them."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recognizer.training.datasets.faces import DatasetError
from recognizer.vision.images import Undecodable, decode

_TRAINING: Final = ("train", "training")
_HELD_OUT: Final = ("validation", "valid", "val", "test", "testing", "publictest", "privatetest")
# What file managers and archivers leave behind.
_LITTER: Final = ("thumbs.db", "desktop.ini", "__macosx")


@dataclass(frozen=True, slots=True)
class Picture:
    """One file in `<split>/<class>/` or `<class>/`.

    Attributes:
        path: the file.
        name: its path below the data set's folder, with forward slashes.
        split: the split folder's name, "" where there is none: then all is for training.
        label: the class folder's name.
    """

    path: Path
    name: str
    split: str
    label: str

    @property
    def training(self) -> bool:
        return not self.split or self.split.casefold() in _TRAINING


def walk(root: Path) -> list[Picture]:
    """Every file of the data set, in the order of its name.

    Raises:
        DatasetError: there is no such folder, or no file in a class folder.
    """
    if not root.is_dir():
        raise DatasetError(f"{root}: there is no such folder.")
    splits = {*_TRAINING, *_HELD_OUT}
    split_layout = any(
        entry.name.casefold() in splits and entry.is_dir() for entry in root.iterdir()
    )
    depth = 3 if split_layout else 2
    pictures = []
    for path in sorted(root.rglob("*")):
        parts = path.relative_to(root).parts
        hidden = any(part.startswith(".") or part.casefold() in _LITTER for part in parts)
        if hidden or len(parts) < depth or path.is_dir():
            continue
        if split_layout and parts[0].casefold() not in splits:
            continue
        split, label = parts[:2] if split_layout else ("", parts[0])
        pictures.append(Picture(path, "/".join(parts), split, label))
    if not pictures:
        raise DatasetError(
            f"{root} holds no pictures in class folders: expected <class>/* or train/<class>/* "
            "and test/<class>/*."
        )
    return pictures


def file_digest(path: Path) -> str:
    """SHA-256 of the file's bytes, in hex: what two files have in common that are copies."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_picture(path: Path) -> NDArray[np.uint8] | str:
    """RGB pixels (H, W, 3), 0-255, or a sentence that says why there are none."""
    # Opening a pipe or a device could wait for ever.
    if not path.is_file():
        return "This is not a regular file."
    try:
        with path.open("rb") as file:
            decoded = decode(file)
    except OSError as error:
        return f"The file cannot be read: {error.strerror}."
    except MemoryError:
        return "The image does not fit into memory."
    return decoded.message if isinstance(decoded, Undecodable) else decoded.image
