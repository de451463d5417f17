"""Whatever is written is read back, and whatever is broken is a DatasetError."""

import bz2
import gzip
import lzma
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from recognizer.training.datasets.faces import FER2013_LABELS, SPLITS, DatasetError, Faces
from recognizer.training.datasets.fer2013 import read
from recognizer.vision.emotions import EMOTIONS
from tests.training.drawing import write_fer2013, write_ferplus

COLUMNS = (*EMOTIONS, "unknown", "NF")
COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}

rows_of_one = st.tuples(
    st.sampled_from(FER2013_LABELS),
    st.sampled_from(SPLITS),
    st.lists(st.integers(0, 10), min_size=10, max_size=10),
)
splits_of_one = st.sets(st.sampled_from(SPLITS), min_size=1)

# A file is written and read in every example, on machines that do other things too.
calm = settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])


def pictures(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 48, 48), np.uint8)


@calm
@given(
    st.lists(rows_of_one, max_size=8), splits_of_one, splits_of_one, st.sampled_from([*COMPRESS])
)
def test_what_both_files_hold_is_read_in_order(
    rows: list[tuple[str, str, list[int]]], ours: set[str], theirs: set[str], suffix: str
) -> None:
    images = pictures(len(rows))
    with tempfile.TemporaryDirectory() as name:
        fer2013, ferplus = Path(name, f"fer2013.csv{suffix}"), Path(name, "fer2013new.csv")
        write_fer2013(
            fer2013, [(e, s, i) for (e, s, _), i in zip(rows, images, strict=True) if s in ours]
        )
        fer2013.write_bytes(COMPRESS[suffix](fer2013.read_bytes()))
        write_ferplus(
            ferplus,
            [(s, dict(zip(COLUMNS, votes, strict=True))) for _, s, votes in rows if s in theirs],
        )
        common = [n for n, (_, split, _) in enumerate(rows) if split in ours & theirs]
        if not common:
            with pytest.raises(DatasetError, match=r"no split in common|no rows"):
                read(fer2013, ferplus)
            return
        faces = read(fer2013, ferplus)
    np.testing.assert_array_equal(faces.images, images[common])
    assert [FER2013_LABELS[label] for label in faces.labels] == [rows[n][0] for n in common]
    assert faces.splits.tolist() == [rows[n][1] for n in common]
    assert faces.votes.tolist() == [rows[n][2] for n in common]
    assert faces.named.tolist() == [rows[n][2][-1] != 10 for n in common]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """Both files, as they should be."""
    folder = tmp_path_factory.mktemp("whole")
    splits = ["Training", "Training", "PublicTest"]
    write_fer2013(
        folder / "a", [("sad", s, i) for s, i in zip(splits, pictures(3) // 32, strict=True)]
    )
    write_ferplus(folder / "b", [(split, {"sad": 6, "fear": 4}) for split in splits])
    return (folder / "a").read_bytes(), (folder / "b").read_bytes()


def zipped(content: bytes) -> bytes:
    with tempfile.TemporaryFile() as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("data.csv", content)
        file.seek(0)
        return file.read()


def read_bytes(fer2013: bytes, ferplus: bytes, suffix: str = "") -> Faces | None:
    """Both files as they are read, or None if they are refused in plain words."""
    with tempfile.TemporaryDirectory() as name:
        one, other = Path(name, f"fer2013.csv{suffix}"), Path(name, f"fer2013new.csv{suffix}")
        one.write_bytes(fer2013)
        other.write_bytes(ferplus)
        try:
            return read(one, other)
        except DatasetError:
            return None


changes = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.binary(max_size=6), st.integers(0, 8)),
    max_size=4,
)


@calm
@given(st.sampled_from([*COMPRESS, ".zip"]), changes, st.booleans(), st.floats(0.01, 1))
@example(".gz", [(0.5, b"\xff\xff\xff\xff", 4)], True, 1.0)
@example(".zip", [(0.0, b"\x01", 0)], True, 1.0)
def test_changed_bytes_are_refused_in_plain_words(
    whole: tuple[bytes, bytes],
    suffix: str,
    changes: list[tuple[float, bytes, int]],
    of_pixels: bool,
    kept: float,
) -> None:
    compress = COMPRESS.get(suffix, zipped)
    files = [compress(content) for content in whole]
    broken = bytearray(files[not of_pixels])
    for place, new, gone in changes:
        start = int(place * len(broken))
        broken[start : start + gone] = new
    files[not of_pixels] = bytes(broken[: round(kept * len(broken))])
    faces = read_bytes(files[0], files[1], suffix)
    if not any(new or gone for _, new, gone in changes) and kept == 1:
        assert faces is not None


@calm
@given(st.integers(0, 3), st.integers(0, 2), st.text(max_size=12))
@example(1, 1, "9" * 30)
@example(1, 0, "-1")
@example(1, 0, "\0")
@example(1, 0, "x" * 200_000)
def test_any_text_in_a_field_of_the_pixels(
    whole: tuple[bytes, bytes], line: int, field: int, text: str
) -> None:
    faces = read_bytes(changed(whole[0], line, field, text), whole[1])
    if faces is not None:
        assert set(faces.labels.tolist()) <= set(range(len(FER2013_LABELS)))


@calm
@given(st.integers(0, 3), st.integers(0, 11), st.text(max_size=12))
@example(1, 5, "9" * 30)
@example(1, 5, "-4")
@example(1, 5, "\0")
def test_any_text_in_a_field_of_the_votes(
    whole: tuple[bytes, bytes], line: int, field: int, text: str
) -> None:
    faces = read_bytes(whole[0], changed(whole[1], line, field, text))
    if faces is not None:
        assert faces.votes.min() >= 0


def changed(content: bytes, line: int, field: int, text: str) -> bytes:
    lines = [row.split(",") for row in content.decode().splitlines()]
    lines[line][field] = text
    return "\n".join(",".join(row) for row in lines).encode("utf-8", "surrogatepass")
