"""TensorFlow reads what NumPy wrote: this also proves the checksums right."""

from pathlib import Path

import numpy as np
import pytest

from recognizer.training.datasets.faces import DatasetError, Faces
from recognizer.training.datasets.packing import Packing, pack, read_index

pytest.importorskip("tensorflow", reason="TensorFlow is needed to train")

import tensorflow as tf

from recognizer.training.datasets.streaming import stream


@pytest.fixture
def packed(faces: Faces, tmp_path: Path) -> Path:
    pack(faces, tmp_path / "packed", Packing(shards=3))
    return tmp_path / "packed"


def rows(batches: object) -> list[int]:
    return [int(row) for batch in batches for row in batch["row"]]  # type: ignore[attr-defined]


@pytest.mark.parametrize("seed", [None, 1])
def test_a_split_is_streamed_whole(seed: int | None, faces: Faces, packed: Path) -> None:
    seen = []
    for batch in stream(packed, "Training", 20, seed):
        row = batch["row"].numpy()
        for name, expected in (("image", faces.images), ("votes", faces.votes)):
            np.testing.assert_array_equal(batch[name], expected[row])
        np.testing.assert_array_equal(batch["label"], faces.labels[row])
        np.testing.assert_array_equal(batch["named"], faces.named[row])
        seen += row.tolist()
    assert sorted(seen) == np.flatnonzero(faces.splits == "Training").tolist()


def test_faces_without_a_label_keep_their_minus_one(faces: Faces, tmp_path: Path) -> None:
    few = faces.where(np.arange(len(faces)) < 2)
    few.labels[:] = -1
    pack(few, tmp_path / "few", Packing())
    assert [
        int(label) for batch in stream(tmp_path / "few", "Training", 1) for label in batch["label"]
    ] == [-1, -1]


def test_a_seed_shuffles_each_pass_anew(packed: Path) -> None:
    shuffled = stream(packed, "Training", 16, seed=1)
    first, second = rows(shuffled), rows(shuffled)
    assert first != second
    assert rows(stream(packed, "Training", 16, seed=1)) == first
    assert rows(stream(packed, "Training", 16)) == rows(stream(packed, "Training", 16))


def test_it_is_read_as_plain_examples(faces: Faces, packed: Path) -> None:
    shard = read_index(packed).shards[0]
    for record in tf.data.TFRecordDataset(str(packed / shard.file)):
        example = tf.train.Example.FromString(record.numpy())
        row = example.features.feature["row"].int64_list.value[0]
        assert list(example.features.feature["votes"].int64_list.value) == list(faces.votes[row])


def test_an_altered_record_is_noticed(packed: Path) -> None:
    path = packed / read_index(packed).shards[0].file
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.write_bytes(content)
    with pytest.raises(tf.errors.DataLossError):
        rows(stream(packed, "Training", 16))


def test_a_missing_split_names_what_there_is(packed: Path) -> None:
    with pytest.raises(DatasetError, match="no PrivateTest faces; it holds Training, PublicTest"):
        stream(packed, "PrivateTest", 16)
