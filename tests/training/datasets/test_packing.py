"""Drawn faces, packed and read back; TensorFlow's own reader is in test_streaming.py."""

import json
import shutil
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from recognizer.training.datasets import tfrecord
from recognizer.training.datasets.faces import DatasetError, Faces
from recognizer.training.datasets.packing import (
    Packing,
    is_packed,
    pack,
    read_index,
    read_packed,
)
from recognizer.training.datasets.preparation import image_digests
from recognizer.training.datasets.reading import read_dataset

FIRST = "Training-00000-of-00003.tfrecord"


@pytest.fixture
def packed(faces: Faces, tmp_path: Path) -> Path:
    pack(faces, tmp_path / "packed", Packing(shards=3))
    return tmp_path / "packed"


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def assert_same(one: Faces, other: Faces) -> None:
    for field in fields(Faces):
        expected, got = getattr(one, field.name), getattr(other, field.name)
        np.testing.assert_array_equal(expected, got)
        assert expected.dtype.kind == got.dtype.kind


def test_what_is_read_back_is_what_was_packed_in_its_order(faces: Faces, packed: Path) -> None:
    assert_same(read_packed(packed), faces)


def test_any_order_and_any_number_survive(faces: Faces, tmp_path: Path) -> None:
    mixed = replace(
        faces,
        labels=np.arange(len(faces)) % 8 - 1,
        votes=np.random.default_rng(0).integers(0, 2**40, faces.votes.shape),
        named=np.arange(len(faces)) % 3 > 0,
        splits=np.array(["PublicTest", "PrivateTest", "Training", "Training"])[
            np.arange(len(faces)) % 4
        ],
    )
    pack(mixed, tmp_path / "packed", Packing(shards=5))
    assert_same(read_packed(tmp_path / "packed"), mixed)


def test_the_folder_holds_shards_of_every_split_and_an_index(packed: Path) -> None:
    expected = {f"{split}-0000{n}-of-00003" for split in ("Training", "PublicTest") for n in "012"}
    assert {file.stem for file in packed.iterdir()} == expected | {"index"}
    index = read_index(packed)
    assert index.splits == {"Training": 96, "PublicTest": 64}
    assert [shard.faces for shard in index.shards] == [32, 32, 32, 22, 21, 21]


def test_packing_again_gives_the_same_bytes(faces: Faces, packed: Path, tmp_path: Path) -> None:
    pack(faces, tmp_path / "again", Packing(shards=3))
    assert contents(tmp_path / "again") == contents(packed)
    pack(faces, tmp_path / "other", Packing(shards=3, seed=2))
    assert contents(tmp_path / "other")[FIRST] != contents(packed)[FIRST]


def test_there_are_never_more_shards_than_faces(faces: Faces, tmp_path: Path) -> None:
    few = faces.where(np.arange(len(faces)) < 3)
    index = pack(few, tmp_path / "packed", Packing(shards=8))
    assert [shard.faces for shard in index.shards] == [1, 1, 1]
    assert_same(read_packed(tmp_path / "packed"), few)


def test_a_random_split_keeps_equal_pictures_on_one_side(faces: Faces, tmp_path: Path) -> None:
    thrice = replace(faces, images=faces.images[np.arange(len(faces)) // 3])
    for seed in range(5):
        pack(thrice, tmp_path / f"{seed}", Packing(split="random", seed=seed))
        read = read_packed(tmp_path / f"{seed}")
        assert 0.75 < (read.splits == "Training").mean() <= 0.85
        learned = image_digests(read.split("Training").images)
        assert not np.isin(image_digests(read.split("PublicTest").images), learned).any()
        assert_same(replace(read, splits=thrice.splits), thrice)


def test_a_random_split_keeps_groups_on_one_side(faces: Faces, tmp_path: Path) -> None:
    owners = np.array([f"owner {row % 16}" if row < 150 else "" for row in range(len(faces))])
    # Equal pictures of owners 0 and 1, so that these two stay together.
    images = faces.images.copy()
    images[1] = images[0]
    shown = replace(faces, images=images, groups=owners)
    for seed in range(5):
        pack(shown, tmp_path / f"{seed}", Packing(split="random", seed=seed))
        splits = read_packed(tmp_path / f"{seed}").splits
        sides = {owner: set(splits[owners == owner]) for owner in owners}
        assert all(len(side) == 1 for owner, side in sides.items() if owner)
        assert sides["owner 0"] == sides["owner 1"]
        assert 0.1 < (splits == "PublicTest").mean() <= 0.2


def test_groups_are_kept_for_the_next_packing(faces: Faces, tmp_path: Path) -> None:
    owners = np.array([f"{split} {row % 8}" for row, split in enumerate(faces.splits)])
    pack(replace(faces, groups=owners), tmp_path / "packed", Packing())
    np.testing.assert_array_equal(read_dataset(tmp_path / "packed").faces.groups, owners)
    again = shutil.copytree(tmp_path / "packed", tmp_path / "again")
    training = read_dataset(tmp_path / "packed", extra=[again]).faces.groups[len(faces) :]
    np.testing.assert_array_equal(training, owners[faces.splits == "Training"])


def test_further_faces_and_what_belongs_to_them_stay_in_training(
    faces: Faces, tmp_path: Path
) -> None:
    owners = np.full(len(faces), "", "<U8")
    owners[[0, -1]] = "lender"
    images = faces.images.copy()
    images[1] = images[-2]
    shown = replace(faces, images=images, groups=owners)
    for seed in range(5):
        pack(shown, tmp_path / f"{seed}", Packing(split="random", seed=seed), further=60)
        splits = read_packed(tmp_path / f"{seed}").splits
        assert set(splits[-60:]) == set(splits[:2]) == {"Training"}
        assert (splits == "PublicTest").sum() == 20


def test_one_group_cannot_be_split(faces: Faces, tmp_path: Path) -> None:
    of_one = replace(faces, groups=np.full(len(faces), "aia"))
    with pytest.raises(DatasetError, match="not all of one group"):
        pack(of_one, tmp_path / "packed", Packing(split="random"))


def test_a_random_split_follows_its_seed(faces: Faces, tmp_path: Path) -> None:
    for name, seed in (("one", 1), ("again", 1), ("two", 2)):
        pack(faces, tmp_path / name, Packing(split="random", seed=seed))
    one, again, two = (read_packed(tmp_path / name).splits for name in ("one", "again", "two"))
    np.testing.assert_array_equal(one, again)
    assert (one != two).any()


def test_one_picture_cannot_be_split(faces: Faces, tmp_path: Path) -> None:
    same = faces.where(np.arange(len(faces)) < 4)
    same = replace(same, images=np.repeat(same.images[:1], 4, axis=0))
    with pytest.raises(DatasetError, match="two different pictures"):
        pack(same, tmp_path / "packed", Packing(split="random"))
    two = replace(same, images=faces.images[[0, 1, 0, 1]])
    index = pack(two, tmp_path / "packed", Packing(split="random"))
    assert index.splits == {"Training": 2, "PublicTest": 2}


def test_no_faces_are_refused(faces: Faces, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no faces to pack"):
        pack(faces.where(np.zeros(len(faces), np.bool_)), tmp_path / "packed", Packing())


@pytest.mark.parametrize("wrong", [{"shards": 0}, {"seed": -1}])
def test_numbers_out_of_range_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(DatasetError, match="must be"):
        Packing(**wrong)  # type: ignore[arg-type]


def test_nothing_is_overwritten(faces: Faces, packed: Path) -> None:
    before = contents(packed)
    with pytest.raises(DatasetError, match="exists already"):
        pack(faces, packed, Packing(shards=2))
    assert contents(packed) == before


def test_an_empty_folder_may_be_filled(faces: Faces, tmp_path: Path) -> None:
    (tmp_path / "packed").mkdir()
    pack(faces, tmp_path / "packed", Packing())
    assert_same(read_packed(tmp_path / "packed"), faces)


def test_a_place_that_cannot_be_written_is_named(faces: Faces, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(DatasetError, match=r"file/packed cannot be written: Not a directory"):
        pack(faces, tmp_path / "file" / "packed", Packing())


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def killed_at_third_shard(faces: Faces, output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    encode = tfrecord.encode
    written: list[int] = []

    def kill(*arguments: object) -> object:
        written.append(1)
        if len(written) == 3:
            raise Killed
        return encode(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(tfrecord, "encode", kill)
        with pytest.raises(Killed):
            pack(faces, output, Packing(shards=3))
    assert not output.exists()


def counted_shards(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by the number of faces of every shard that is written."""
    encode = tfrecord.encode
    written: list[int] = []

    def count(images: np.ndarray, integers: dict[str, np.ndarray]) -> object:
        written.append(len(images))
        return encode(images, integers)

    monkeypatch.setattr(tfrecord, "encode", count)
    return written


def test_a_killed_packing_leaves_no_folder_and_is_gone_on_with(
    faces: Faces, packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "output"
    killed_at_third_shard(faces, output, monkeypatch)
    written = counted_shards(monkeypatch)
    index = pack(faces, output, Packing(shards=3))
    assert len(written) == len(index.shards) - 2
    assert contents(output) == contents(packed)
    assert names(tmp_path) == ["output", "packed"]


@pytest.mark.parametrize("changed", ["settings", "faces"])
def test_what_another_packing_left_is_cleared_away(
    changed: str, faces: Faces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, fresh = tmp_path / "output", tmp_path / "fresh"
    killed_at_third_shard(faces, output, monkeypatch)
    how = Packing(shards=3)
    if changed == "settings":
        how = replace(how, seed=2)
    else:
        faces = replace(faces, images=255 - faces.images)
    pack(faces, output, how)
    pack(faces, fresh, how)
    assert contents(output) == contents(fresh)
    assert names(tmp_path) == ["fresh", "output"]


def edit(change: Callable[[dict[str, object]], object]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        index = json.loads((folder / "index.json").read_text())
        change(index)
        (folder / "index.json").write_text(json.dumps(index))

    return damage


def edit_shard(**change: object) -> Callable[[Path], None]:
    return edit(lambda index: index["shards"][0].update(change))  # type: ignore[index]


def turn_a_bit(folder: Path) -> None:
    content = bytearray((folder / FIRST).read_bytes())
    content[1000] ^= 1
    (folder / FIRST).write_bytes(content)


def cut_off(folder: Path) -> None:
    (folder / FIRST).write_bytes((folder / FIRST).read_bytes()[:-1])


def swap_shards(folder: Path) -> None:
    other = folder / FIRST.replace("00000", "00001")
    one = (folder / FIRST).read_bytes()
    (folder / FIRST).write_bytes(other.read_bytes())
    other.write_bytes(one)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / FIRST).unlink(), f"{FIRST} is missing"),
        (cut_off, f"{FIRST} is cut off"),
        (turn_a_bit, f"{FIRST} was altered"),
        (swap_shards, f"{FIRST} was altered"),
        (lambda folder: (folder / "index.json").unlink(), "index.json cannot be read"),
        (lambda folder: (folder / "index.json").write_text("{"), "not valid JSON"),
        (lambda folder: (folder / "index.json").write_bytes(b"\xff"), "not valid JSON"),
        (lambda folder: (folder / "index.json").write_text("[" * 100_000), "not valid JSON"),
        (lambda folder: (folder / "index.json").write_text("[]"), "not the index of a packed"),
        (edit(lambda index: index.update(version=2)), "is of version 2"),
        (edit(lambda index: index.pop("size")), "is wrong at size"),
        (edit(lambda index: index.update(size=24)), "does not fit its faces"),
        (edit(lambda index: index.update(size=-1)), "pictures of -1 pixels"),
        (edit(lambda index: index.update(emotions=["joy"])), "other classes"),
        (edit(lambda index: index.update(shards=[])), "does not name every shard"),
        (edit(lambda index: index["splits"].update(Training=1)), "counts other faces"),  # type: ignore[attr-defined]
        (edit(lambda index: index.update(groups=["a"])), "other groups than faces"),
        (edit_shard(file="../../secret"), "does not name every shard"),
        (edit_shard(sha256="0"), f"{FIRST} was altered"),
        (edit_shard(faces="many"), r"wrong at shards\.0\.faces"),
    ],
)  # fmt: skip
def test_damage_is_named(damage: Callable[[Path], None], message: str, packed: Path) -> None:
    damage(packed)
    with pytest.raises(DatasetError, match=message):
        read_packed(packed)


def test_shards_that_hold_the_same_faces_are_refused(packed: Path) -> None:
    """As when the files of two packings are mixed, and the index with them."""
    index = json.loads((packed / "index.json").read_text())
    second = index["shards"][1]
    (packed / second["file"]).write_bytes((packed / FIRST).read_bytes())
    second["sha256"] = index["shards"][0]["sha256"]
    (packed / "index.json").write_text(json.dumps(index))
    with pytest.raises(DatasetError, match="hold the same faces"):
        read_packed(packed)


def test_a_packed_folder_is_known_even_when_damaged(packed: Path, tmp_path: Path) -> None:
    assert is_packed(packed)
    (packed / "index.json").unlink()
    assert is_packed(packed)
    (tmp_path / "happy").mkdir()
    (tmp_path / "index.json").write_text("{}")
    assert not is_packed(tmp_path)
    assert not is_packed(tmp_path / "index.json")
    assert not is_packed(tmp_path / "missing")
