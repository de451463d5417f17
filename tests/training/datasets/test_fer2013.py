import bz2
import gzip
import io
import lzma
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from recognizer.training.datasets.faces import (
    NOT_A_FACE,
    UNKNOWN,
    DatasetError,
    Faces,
    distribution,
    majority,
)
from recognizer.training.datasets.fer2013 import read
from recognizer.vision.emotions import EMOTIONS

COLUMNS = (*EMOTIONS, "unknown", "NF")


def row(**counts: int) -> np.ndarray:
    return np.array([[counts.get(name, 0) for name in COLUMNS]], np.int64)


def test_it_reads_pictures_labels_and_votes(faces: Faces) -> None:
    assert faces.images.shape == (160, 48, 48)
    assert faces.images.dtype == np.uint8
    assert len(faces.split("Training")) == 96
    assert faces.votes[0, EMOTIONS.index("happy")] == 8
    assert faces.votes[0, EMOTIONS.index("fear")] == 2


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".zip"])
def test_it_reads_packed_files(
    suffix: str, dataset: tuple[Path, Path], faces: Faces, tmp_path: Path
) -> None:
    packed = tmp_path / f"fer2013.csv{suffix}"
    if suffix == ".zip":
        with zipfile.ZipFile(packed, "w") as archive:
            archive.write(dataset[0], "fer2013/fer2013.csv")
    else:
        opener = gzip.open if suffix == ".gz" else lzma.open
        with dataset[0].open("rb") as plain, opener(packed, "wb") as file:
            shutil.copyfileobj(plain, file)
    assert np.array_equal(read(packed, dataset[1]).images, faces.images)


def test_a_zip_made_on_a_mac_is_read(
    dataset: tuple[Path, Path], faces: Faces, tmp_path: Path
) -> None:
    packed = tmp_path / "fer2013.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(dataset[0], "fer2013.csv")
        archive.writestr("__MACOSX/._fer2013.csv", b"\x00\x05\x16\x07")
        archive.writestr(".hidden.csv", b"")
    assert np.array_equal(read(packed, dataset[1]).images, faces.images)


def test_a_zip_of_two_tables_is_refused(dataset: tuple[Path, Path], tmp_path: Path) -> None:
    packed = tmp_path / "fer2013.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(dataset[0], "one.csv")
        archive.write(dataset[0], "two.csv")
    with pytest.raises(DatasetError, match=r"exactly one \.csv, not 2"):
        read(packed, dataset[1])


@pytest.mark.parametrize("suffix", [".GZ", ".BZ2", ".XZ", ".ZIP"])
def test_suffixes_may_be_in_capitals(
    suffix: str, dataset: tuple[Path, Path], faces: Faces, tmp_path: Path
) -> None:
    packed = tmp_path / f"FER2013.CSV{suffix}"
    if suffix == ".ZIP":
        with zipfile.ZipFile(packed, "w") as archive:
            archive.write(dataset[0], "FER2013.CSV")
    else:
        packed.write_bytes(compressed(dataset[0], suffix.casefold()))
    assert np.array_equal(read(packed, dataset[1]).images, faces.images)


def test_a_missing_column_is_named(dataset: tuple[Path, Path], tmp_path: Path) -> None:
    broken = tmp_path / "other.csv"
    broken.write_text("emotion,pixels\n0,1 2 3\n")
    with pytest.raises(DatasetError, match=r"other\.csv lacks the columns Usage"):
        read(broken, dataset[1])


def test_a_short_row_is_named(dataset: tuple[Path, Path], tmp_path: Path) -> None:
    broken = tmp_path / "short.csv"
    broken.write_text("emotion,pixels,Usage\n0,1 2 3,Training\n")
    with pytest.raises(DatasetError, match=r"short\.csv, row 1: expected 2304 grey levels"):
        read(broken, dataset[1])


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("7,{pixels},Training", "emotion must be 0-6"),
        ("0,{pixels},Test", "Usage must be"),
        ("0,{pixels} x,Training", "pixels must be numbers"),
        ("0,{pixels} 99999999999999999999,Training", "grey levels must be 0-255"),
        ("0,{pixels} 256,Training", "grey levels must be 0-255, got 0 to 256"),
        ("0,{pixels} -1,Training", "grey levels must be 0-255, got -1 to 0"),
        ("0,{pixels} " + "0" * 200_000 + ",Training", "field larger than field limit"),
    ],
)
def test_a_wrong_value_is_named(
    bad: str, message: str, dataset: tuple[Path, Path], tmp_path: Path
) -> None:
    pixels = " ".join(["0"] * (2303 if "} " in bad else 2304))
    broken = tmp_path / "wrong.csv"
    broken.write_text("emotion,pixels,Usage\n" + bad.format(pixels=pixels) + "\n")
    with pytest.raises(DatasetError, match=message):
        read(broken, dataset[1])


def test_files_of_different_length_are_refused(dataset: tuple[Path, Path], tmp_path: Path) -> None:
    fewer = tmp_path / "fewer.csv"
    fewer.write_text("\n".join(dataset[1].read_text().splitlines()[:-1]))
    with pytest.raises(DatasetError, match="matched row by row"):
        read(dataset[0], fewer)


def test_files_of_different_order_are_refused(dataset: tuple[Path, Path], tmp_path: Path) -> None:
    header, *lines = dataset[1].read_text().splitlines()
    turned = tmp_path / "turned.csv"
    turned.write_text("\n".join([header, *reversed(lines)]))
    with pytest.raises(DatasetError, match=r"Row 1 is Training in fer2013\.csv but PublicTest"):
        read(dataset[0], turned)


def test_a_file_that_is_no_archive_is_refused(dataset: tuple[Path, Path], tmp_path: Path) -> None:
    fake = tmp_path / "fer2013.csv.xz"
    fake.write_text("hello")
    with pytest.raises(DatasetError, match="cannot be read"):
        read(fake, dataset[1])


def test_a_file_that_is_no_table_is_refused(tmp_path: Path) -> None:
    endless = tmp_path / "fer2013.csv"
    endless.write_text("emotion,pixels,Usage\n0," + "1 " * 100_000 + ",Training\n")
    with pytest.raises(DatasetError, match="cannot be read: field larger"):
        read(endless)


@pytest.mark.parametrize("vote", ["-1", "x", "", "9" * 30])
def test_a_wrong_vote_is_named(vote: str, dataset: tuple[Path, Path], tmp_path: Path) -> None:
    header, first, *lines = dataset[1].read_text().splitlines()
    wrong = tmp_path / "votes.csv"
    wrong.write_text("\n".join([header, first.replace(",8,", f",{vote},"), *lines]))
    with pytest.raises(DatasetError, match=r"votes\.csv, row 1: every vote must be a whole number"):
        read(dataset[0], wrong)


def test_wrong_rows_of_both_files_are_named_at_once(
    dataset: tuple[Path, Path], tmp_path: Path
) -> None:
    wrong = tmp_path / "fer2013.csv", tmp_path / "votes.csv"
    header, first, *lines = dataset[0].read_text().splitlines()
    wrong[0].write_text("\n".join([header, "9" + first[1:], *lines]))
    header, first, *lines = dataset[1].read_text().splitlines()
    wrong[1].write_text("\n".join([header, first.replace(",8,", ",x,"), *lines]))
    with pytest.raises(DatasetError, match="has 2 problems") as error:
        read(*wrong)
    assert "fer2013.csv, row 1: emotion must be 0-6" in str(error.value)
    assert "votes.csv, row 1: every vote must be a whole number" in str(error.value)


@pytest.mark.parametrize(
    ("suffix", "place", "byte"),
    [
        (".gz", 10, 0xFF),  # no such kind of block
        (".zip", 6, 0x01),  # behind a password
        (".zip", 8, 0x63),  # packed in an unknown way
        (".bz2", 20, 0xFF),
        (".xz", 30, 0xFF),
    ],
)
def test_a_damaged_archive_is_refused(
    suffix: str, place: int, byte: int, dataset: tuple[Path, Path], tmp_path: Path
) -> None:
    damaged = tmp_path / f"fer2013.csv{suffix}"
    content = bytearray(compressed(dataset[1], suffix))
    assert content[place] != byte
    content[place] = byte
    if suffix == ".zip":  # The directory at the end says the same once more, two bytes later.
        content[content.rindex(b"PK\x01\x02") + place + 2] = byte
    damaged.write_bytes(content)
    with pytest.raises(DatasetError, match="cannot be read"):
        read(damaged, dataset[1])


def compressed(file: Path, suffix: str) -> bytes:
    ways: dict[str, Callable[[bytes], bytes]] = {
        ".gz": gzip.compress,
        ".bz2": bz2.compress,
        ".xz": lzma.compress,
    }
    if suffix in ways:
        return ways[suffix](file.read_bytes())
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(file, "votes.csv")
    return packed.getvalue()


def test_a_missing_split_names_what_there_is(faces: Faces) -> None:
    with pytest.raises(DatasetError, match="no PrivateTest rows; it holds PublicTest, Training"):
        faces.split("PrivateTest")


def test_more_than_half_of_the_votes_win() -> None:
    assert majority(row(happy=6, sad=4)) == [EMOTIONS.index("happy")]


def test_exactly_half_of_the_votes_do_not_win() -> None:
    assert majority(row(happy=5, sad=5)) == [-1]
    assert majority(row(happy=5, sad=3, neutral=2)) == [-1]


def test_single_votes_are_dropped_before_counting() -> None:
    assert majority(row(happy=4, sad=3, neutral=1, anger=1, fear=1)) == [EMOTIONS.index("happy")]


def test_unknown_and_non_face_votes_stay_in_the_sum() -> None:
    assert majority(row(happy=4, unknown=4, NF=2)) == [-1]
    assert majority(row(happy=2, unknown=8)) == [UNKNOWN]
    assert majority(row(NF=10)) == [NOT_A_FACE]


def test_only_single_votes_leave_no_majority() -> None:
    assert majority(row(**dict.fromkeys(EMOTIONS, 1), unknown=1, NF=1)) == [-1]


def test_a_distribution_leaves_out_single_votes_and_sums_to_one() -> None:
    shares = distribution(row(happy=6, sad=3, anger=1))[0]
    assert shares[EMOTIONS.index("happy")] == pytest.approx(2 / 3)
    assert shares[EMOTIONS.index("anger")] == 0
    assert shares.sum() == pytest.approx(1)


def test_a_distribution_of_single_votes_keeps_them() -> None:
    assert distribution(row(happy=1, sad=1))[0].max() == pytest.approx(0.5)
    assert distribution(row(NF=10))[0].sum() == 0


def test_a_file_of_one_split_is_matched_with_a_file_of_all(
    dataset: tuple[Path, Path], faces: Faces, tmp_path: Path
) -> None:
    header, *lines = dataset[0].read_text().splitlines()
    only = tmp_path / "public.csv"
    only.write_text("\ufeff" + "\n".join([header, *lines[96:]]) + "\n", encoding="utf-8")
    read_back = read(only, dataset[1])
    assert np.array_equal(read_back.images, faces.split("PublicTest").images)
    assert np.array_equal(read_back.votes, faces.split("PublicTest").votes)


def test_files_without_a_common_split_are_refused(
    dataset: tuple[Path, Path], tmp_path: Path
) -> None:
    header, *lines = dataset[1].read_text().splitlines()
    private = tmp_path / "private.csv"
    text = "\n".join(line.replace("Training", "PrivateTest") for line in [header, *lines[:96]])
    private.write_text(text)
    with pytest.raises(DatasetError, match="no split in common"):
        read(dataset[0], private)
