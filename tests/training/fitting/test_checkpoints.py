from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("tensorflow", reason="TensorFlow is needed to train")

import tensorflow as tf

from recognizer.training.fitting.checkpoints import Checkpoints


def written(folder: Path, *epochs: int) -> None:
    number = tf.Variable(0)
    checkpoints = Checkpoints(folder, epoch=number)
    for epoch in epochs:
        number.assign(epoch)
        checkpoints.save()


def restored(folder: Path) -> tuple[int | None, list[str]]:
    """The epoch of the checkpoint that was taken, None for none; what was told."""
    number = tf.Variable(0)
    told: list[str] = []
    found = Checkpoints(folder, epoch=number).restore(told.append)
    return int(number) if found else None, told


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:7])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)


def test_the_newest_one_is_taken(tmp_path: Path) -> None:
    assert restored(tmp_path / "none") == (None, [])
    written(tmp_path / "run", *range(1, 12))
    assert restored(tmp_path / "run") == (11, [])
    assert len(list((tmp_path / "run").glob("*.index"))) == 2


@pytest.mark.parametrize("damage", [cut, empty, flip, Path.unlink])
@pytest.mark.parametrize("part", ["ckpt-3.index", "ckpt-3.data-00000-of-00001"])
def test_where_the_newest_is_damaged_the_one_before_it_is_taken(
    part: str, damage: Callable[[Path], None], tmp_path: Path
) -> None:
    written(tmp_path, 1, 2, 3)
    damage(tmp_path / part)
    epoch, told = restored(tmp_path)
    assert epoch == 2
    # Without its index, nobody knows that there was another.
    gone = part.endswith("index") and damage is Path.unlink
    assert ["ckpt-3 is damaged" in line for line in told] == ([] if gone else [True])


def test_a_run_goes_on_saving_over_a_damaged_one(tmp_path: Path) -> None:
    written(tmp_path, 1, 2, 3)
    empty(tmp_path / "ckpt-3.index")
    number = tf.Variable(0)
    checkpoints = Checkpoints(tmp_path, epoch=number)
    assert checkpoints.restore(lambda _: None)
    for epoch in (30, 40):
        number.assign(epoch)
        checkpoints.save()
        assert restored(tmp_path) == (epoch, [])


def test_a_damaged_list_of_them_is_done_without(tmp_path: Path) -> None:
    written(tmp_path, 1, 2)
    for damage in (empty, cut):
        damage(tmp_path / "checkpoint")
        assert restored(tmp_path) == (2, [])
        written(tmp_path, 1, 2)


def test_where_all_are_damaged_it_says_so(tmp_path: Path) -> None:
    written(tmp_path, 1, 2)
    for part in tmp_path.glob("*.data*"):
        cut(part)
    with pytest.raises(ValueError, match=r"Every checkpoint in .* is damaged.*\(--run\)"):
        restored(tmp_path)


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoints = Checkpoints(tmp_path / "run", epoch=tf.Variable(1))

    def full(*_: object) -> None:
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    monkeypatch.setattr(tf.train.CheckpointManager, "save", full)
    with pytest.raises(OSError, match="no space is left for the checkpoint") as caught:
        checkpoints.save()
    assert caught.value.filename == str(tmp_path / "run")
