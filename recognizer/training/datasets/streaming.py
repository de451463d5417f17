"""Learn from a packed data set that does not fit into memory."""

from pathlib import Path
from typing import Any

import tensorflow as tf

from recognizer.training.datasets.faces import DatasetError
from recognizer.training.datasets.packing import read_index
from recognizer.training.datasets.tfrecord import INTEGERS

SHUFFLED_AT_ONCE = 8192  # faces in memory


def stream(folder: Path, split: str, batch: int, seed: int | None = None) -> Any:
    """One pass over a split of a packed data set, in batches; the last one may be smaller.

    Args:
        folder: as `packing.pack` wrote it. Its index and the lengths of its shards are checked
            here, each record's checksum as it is read (TensorFlow's DataLossError).
        split: Training, PublicTest or PrivateTest.
        batch: faces in a batch.
        seed: shuffles, each pass anew; without one the faces come as they lie on disk, which is
            in the random but fixed order of packing.

    Returns:
        A tf.data.Dataset of {"image": (B, size, size) uint8, "label": (B,) int64, "votes":
        (B, 10) int64, "named": (B,) int64, "row": (B,) int64}, as in `Faces`; row is the place
        in the source.

    Raises:
        DatasetError: as `packing.read_index`, or the split has no faces.
    """
    index = read_index(folder)
    files = [str(folder / shard.file) for shard in index.shards if shard.split == split]
    if not files:
        raise DatasetError(f"{folder} has no {split} faces; it holds {', '.join(index.splits)}.")
    features = {"image": tf.io.FixedLenFeature([], tf.string)}
    for name, count in INTEGERS.items():
        features[name] = tf.io.FixedLenFeature([] if count == 1 else [count], tf.int64)

    def parse(examples: Any) -> dict[str, Any]:
        values: dict[str, Any] = tf.io.parse_example(examples, features)
        pixels = tf.io.decode_raw(values["image"], tf.uint8)
        return values | {"image": tf.reshape(pixels, (-1, index.size, index.size))}

    paths = tf.data.Dataset.from_tensor_slices(files)
    if seed is not None:
        paths = paths.shuffle(len(files), seed)
    records = paths.interleave(
        tf.data.TFRecordDataset, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )
    if seed is not None:
        records = records.shuffle(SHUFFLED_AT_ONCE, seed)
    return records.batch(batch).map(parse, tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
