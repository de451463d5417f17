"""Pack faces into shards that are read back much faster than the files they come from.

A packed data set is a folder of TFRecord files (`tfrecord`) named as TensorFlow Datasets names
them, and an index.json that says what they hold. It appears whole or not at all; a killed run
goes on after the last finished shard.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, PositiveInt, ValidationError
from tqdm import tqdm

from recognizer.training.datasets import tfrecord
from recognizer.training.datasets.faces import FER2013_LABELS, SPLITS, DatasetError, Faces
from recognizer.training.datasets.journals import fingerprint
from recognizer.training.datasets.outputs import Parts, whole_folder
from recognizer.training.datasets.preparation import image_digests
from recognizer.training.datasets.splitting import random_split
from recognizer.vision.emotions import EMOTIONS

INDEX: Final = "index.json"
FORMAT: Final = "webemotion-faces"
VERSION: Final = 1
SIZES: Final = (8, 1024)  # pixels
MOST_SHARDS: Final = 99_999  # five digits

SplitRule = Literal["official", "random"]


@dataclass(frozen=True)
class Packing:
    """How to pack.

    Attributes:
        shards: files for each split; fewer, if the split has fewer faces.
        split: "official" keeps the source's splits; "random" makes a Training split of 0.8 and a
            PublicTest split of 0.2, with equal pictures and groups on the same side.
        seed: of the random split, and of the order of the faces on disk.
        sources: names of the files that the faces come from, for the index.

    Raises:
        DatasetError: a number is out of range.
    """

    shards: int = 8
    split: SplitRule = "official"
    seed: int = 1
    sources: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 1 <= self.shards <= MOST_SHARDS:
            raise DatasetError(f"There must be 1 to {MOST_SHARDS:,} shards, not {self.shards}.")
        if self.seed < 0:
            raise DatasetError(f"The seed must be 0 or more, not {self.seed}.")


class Shard(BaseModel):
    """One file of a packed data set."""

    model_config = ConfigDict(frozen=True, strict=True)

    file: str
    split: str
    faces: PositiveInt
    bytes: PositiveInt
    sha256: str


class Index(BaseModel):
    """index.json: what a packed data set holds, and how it came to be.

    `groups` follows the faces in the order of their source, as in `Faces`; it is empty where
    there are none.
    """

    model_config = ConfigDict(frozen=True, strict=True)

    format: str = FORMAT
    version: int = VERSION
    size: int
    split: SplitRule
    seed: int
    sources: list[str]
    emotions: list[str] = list(EMOTIONS)
    fer2013_labels: list[str] = list(FER2013_LABELS)
    splits: dict[str, int]
    shards: list[Shard]
    groups: list[str] = []

    def __len__(self) -> int:
        return sum(shard.faces for shard in self.shards)


def is_packed(folder: Path) -> bool:
    """Whether this is a packed data set, be it whole or damaged."""
    if any(folder.glob("*-of-*.tfrecord")):
        return True
    try:
        return f'"{FORMAT}"'.encode() in (folder / INDEX).read_bytes()
    except OSError:
        return False


def pack(faces: Faces, output: Path, how: Packing, further: int = 0) -> Index:
    """Write the faces to the folder `output`; the same faces and settings give the same bytes.

    Args:
        faces: all of them.
        output: an empty folder, or one that is not there.
        how: see there.
        further: how many of the last faces stay in Training, whatever the split.

    Raises:
        DatasetError: there are no faces or too few to split, or `output` is taken or cannot be
            written.
    """
    if not len(faces):
        raise DatasetError("There are no faces to pack.")
    if how.split == "random":
        pictures = np.unique(image_digests(faces.images), return_inverse=True)[1]
        faces = replace(faces, splits=random_split(pictures, faces.groups, further, how.seed))
    about = {"packing": asdict(how), "data": _fingerprint(faces), "groups": faces.groups.tolist()}
    try:
        with whole_folder(output, about) as whole:
            return _write(faces, whole, how)
    except OSError as error:
        raise DatasetError(f"{output} cannot be written: {error.strerror}.") from error


def _fingerprint(faces: Faces) -> str:
    return fingerprint(faces.images, faces.labels, faces.votes, faces.named, faces.splits)


def _write(faces: Faces, whole: Parts, how: Packing) -> Index:
    def write(file: str, split: str, rows: NDArray[np.int64]) -> dict[str, Any]:
        integers = {
            "label": faces.labels[rows],
            "votes": faces.votes[rows],
            "named": faces.named[rows].astype(np.int64),
            "row": rows,
        }
        content = tfrecord.encode(faces.images[rows], integers).tobytes()
        (whole.folder / file).write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        shard = Shard(file=file, split=split, faces=len(rows), bytes=len(content), sha256=sha256)
        return shard.model_dump()

    shards = []
    with tqdm(total=len(faces), desc="Packing", unit=" faces", leave=False, disable=None) as bar:
        for split, file, rows in _shares(faces, how):
            shard = whole.once(file, partial(write, file, split, rows))
            shards.append(Shard.model_validate(shard))
            bar.update(len(rows))
    index = Index(
        size=faces.images.shape[1],
        split=how.split,
        seed=how.seed,
        sources=list(how.sources),
        splits=_faces_per_split(shards),
        shards=shards,
        groups=faces.groups.tolist() if (faces.groups != "").any() else [],
    )
    text = json.dumps(index.model_dump(), indent=2, ensure_ascii=False)
    (whole.folder / INDEX).write_text(text + "\n", encoding="utf-8")
    return index


def _shares(faces: Faces, how: Packing) -> Iterator[tuple[str, str, NDArray[np.int64]]]:
    """Split, file name and rows of every shard.

    The rows are shuffled: many data sets are sorted by class, and whoever streams them sees a
    few thousand at a time.
    """
    rng = np.random.default_rng(how.seed)
    for split in SPLITS:
        rows = rng.permutation(np.flatnonzero(faces.splits == split))
        total = min(how.shards, len(rows))
        for number in range(total):
            yield split, _file(split, number, total), rows[number::total]


def _file(split: str, number: int, total: int) -> str:
    return f"{split}-{number:05}-of-{total:05}.tfrecord"


def _faces_per_split(shards: list[Shard]) -> dict[str, int]:
    faces: Counter[str] = Counter()
    for shard in shards:
        faces[shard.split] += shard.faces
    return dict(faces)


def read_packed(folder: Path) -> Faces:
    """The faces as they were packed, in the order of their source.

    Raises:
        DatasetError: the index or a shard is missing, cut off or altered.
    """
    index = read_index(folder)
    faces = Faces(
        images=np.empty((len(index), index.size, index.size), np.uint8),
        labels=np.empty(len(index), np.int64),
        votes=np.empty((len(index), tfrecord.INTEGERS["votes"]), np.int64),
        named=np.empty(len(index), np.bool_),
        splits=np.empty(len(index), np.array(SPLITS).dtype),
        groups=np.array(index.groups or [""] * len(index), np.str_),
    )

    def fill(shard: Shard) -> NDArray[np.int64]:
        records = _read_shard(folder, shard, index)
        rows = tfrecord.decode_integers(records, "row")
        if not 0 <= rows.min() <= rows.max() < len(index):
            raise _damaged(folder / shard.file, "numbers its faces wrongly")
        faces.images[rows] = records["example"]["image"]
        faces.labels[rows] = tfrecord.decode_integers(records, "label")
        faces.votes[rows] = tfrecord.decode_integers(records, "votes")
        faces.named[rows] = tfrecord.decode_integers(records, "named")
        faces.splits[rows] = shard.split
        return rows

    # Files are read and hashed outside Python's lock.
    with ThreadPoolExecutor(4) as threads:
        filled = np.concatenate(list(threads.map(fill, index.shards)))
    if len(np.unique(filled)) != len(index):
        raise _damaged(folder / INDEX, "names shards that hold the same faces")
    return faces


def read_index(folder: Path) -> Index:
    """What a packed data set holds, without reading its faces.

    Raises:
        DatasetError: the index is missing, damaged or of another version, or a shard is missing
            or has not its length.
    """
    path = folder / INDEX
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise _damaged(path, f"is not valid JSON ({error})") from error
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        raise DatasetError(f"{path} is not the index of a packed data set.")
    if raw.get("version") != VERSION:
        raise DatasetError(
            f"{path} is of version {raw.get('version')}, but this program reads version "
            f"{VERSION}. Pack the data set again."
        )
    try:
        index = Index.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise _damaged(path, f"is wrong at {where} ({first['msg']})") from error
    _check(index, folder)
    return index


def _check(index: Index, folder: Path) -> None:
    path = folder / INDEX
    if index.emotions != list(EMOTIONS) or index.fer2013_labels != list(FER2013_LABELS):
        raise _damaged(path, "is of other classes")
    totals = Counter(shard.split for shard in index.shards)
    expected = [_file(split, n, totals[split]) for split in SPLITS for n in range(totals[split])]
    if not expected or [shard.file for shard in index.shards] != expected:
        raise _damaged(path, "does not name every shard once and in order")
    if index.splits != _faces_per_split(index.shards):
        raise _damaged(path, "counts other faces in its splits than in its shards")
    if index.groups and len(index.groups) != len(index):
        raise _damaged(path, "has other groups than faces")
    if not SIZES[0] <= index.size <= SIZES[1]:
        raise _damaged(path, f"gives pictures of {index.size} pixels")
    record = tfrecord.record_type(index.size).itemsize
    for shard in index.shards:
        if shard.bytes != shard.faces * record:
            raise _damaged(path, f"gives {shard.file} a length that does not fit its faces")
        _check_length(folder / shard.file, shard)


def _check_length(path: Path, shard: Shard) -> None:
    try:
        length = path.stat().st_size
    except FileNotFoundError:
        raise _damaged(path, "is missing") from None
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}.") from error
    if length != shard.bytes:
        what = "is cut off" if length < shard.bytes else "was altered"
        raise _damaged(path, f"{what}: it has {length:,} bytes instead of {shard.bytes:,}")


def _read_shard(folder: Path, shard: Shard, index: Index) -> tfrecord.Records:
    path = folder / shard.file
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}.") from error
    if hashlib.sha256(content).hexdigest() != shard.sha256:
        raise _damaged(path, "was altered: its SHA-256 is not that of the index")
    return np.frombuffer(content, tfrecord.record_type(index.size))


def _damaged(path: Path, problem: str) -> DatasetError:
    return DatasetError(f"{path} {problem}. Copy the folder anew or pack the data set again.")
