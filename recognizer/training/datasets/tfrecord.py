"""Faces as TFRecords of one fixed length, written and read with NumPy alone.

Every record is a serialized `tf.train.Example` in TFRecord's frame, so TensorFlow reads it like
any other. But each of its fields has a fixed width, so that a whole shard is one NumPy array and
reading it is little more than a copy: pictures are raw grey levels, and integers are varints
padded to ten bytes, which protocol buffers allow. (On FER-2013, PNG would save a fifth of the
bytes and take 60 µs and more a face to unpack.)
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

VARINT: Final = 10  # bytes; the most that 64 bits take
INTEGERS: Final = {"label": 1, "votes": 10, "named": 1, "row": 1}
_BYTES_LIST, _INT64_LIST = 1, 3  # the fields of tf.train.Feature

Records = NDArray[np.void]


def record_type(size: int) -> np.dtype[np.void]:
    """The layout of a record with a picture of `size` x `size`, frame and all."""
    return np.dtype(
        [("length", "<u8"), ("length_crc", "<u4"), ("example", _example(size)), ("crc", "<u4")]
    )


def encode(images: NDArray[np.uint8], integers: dict[str, NDArray[np.int64]]) -> Records:
    """Complete records: written one after the other they are a TFRecord file.

    Args:
        images: (N, size, size) grey levels.
        integers: (N,) or (N, count) for each of INTEGERS.
    """
    size = images.shape[1]
    records = np.zeros(len(images), record_type(size))
    example = records["example"]
    for name, head in _heads(size).items():
        example[f"{name}_head"] = np.frombuffer(head, np.uint8)
    example["image"] = images
    for name, count in INTEGERS.items():
        example[name] = _to_varints(integers[name].reshape(-1, count))
    records["length"] = example.dtype.itemsize
    records["length_crc"] = _masked_crc(_as_bytes(records["length"]))
    records["crc"] = _masked_crc(_as_bytes(example))
    return records


def decode_integers(records: Records, name: str) -> NDArray[np.int64]:
    """One of INTEGERS: (N, count), or (N,) where the count is 1."""
    values = _from_varints(records["example"][name])
    return values[:, 0] if INTEGERS[name] == 1 else values


def _example(size: int) -> np.dtype[np.void]:
    fields: list[tuple[str, Any, Any]] = []
    for name, head in _heads(size).items():
        shape = (size, size) if name == "image" else (INTEGERS[name], VARINT)
        fields += [(f"{name}_head", np.uint8, (len(head),)), (name, np.uint8, shape)]
    return np.dtype(fields)


def _heads(size: int) -> dict[str, bytes]:
    """What stands before each feature's values: the same in every record."""
    heads = {"image": _head("image", _BYTES_LIST, size * size)}
    lengths = {"image": size * size}
    for name, count in INTEGERS.items():
        heads[name] = _head(name, _INT64_LIST, count * VARINT)
        lengths[name] = count * VARINT
    features = sum(len(heads[name]) + lengths[name] for name in heads)
    heads["image"] = _open(1, features) + heads["image"]
    return heads


def _head(name: str, kind: int, length: int) -> bytes:
    """All of an entry of `Features.feature` but its values, which come last and take `length`."""
    value = b""
    for field in (1, kind, 2):  # the values of a list, of a feature, of an entry
        value = _open(field, len(value) + length) + value
    key = _open(1, len(name)) + name.encode()
    return _open(1, len(key) + len(value) + length) + key + value


def _open(field: int, length: int) -> bytes:
    """The tag and the length of a length-delimited field."""
    tag, rest = bytes([field << 3 | 2]), []
    while length > 0x7F:
        rest.append(length & 0x7F | 0x80)
        length >>= 7
    return tag + bytes([*rest, length])


def _to_varints(values: NDArray[np.int64]) -> NDArray[np.uint8]:
    sevens = values.astype(np.uint64)[..., None] >> np.arange(0, 7 * VARINT, 7, dtype=np.uint64)
    varints = (sevens & np.uint64(0x7F)).astype(np.uint8)
    varints[..., :-1] |= 0x80
    return varints


def _from_varints(varints: NDArray[np.uint8]) -> NDArray[np.int64]:
    values = np.zeros(varints.shape[:-1], np.uint64)
    for place in range(VARINT):
        values |= (varints[..., place] & 0x7F).astype(np.uint64) << np.uint64(7 * place)
    return values.astype(np.int64)


def _as_bytes(values: NDArray[Any]) -> NDArray[np.uint8]:
    """(N, width) of what each value takes in memory."""
    return np.ascontiguousarray(values).view(np.uint8).reshape(len(values), -1)


def _masked_crc(rows: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """CRC-32C of each row of at least four bytes, masked as TFRecord wants it.

    NumPy is fast on many values and slow on many steps. So rows are cut into pieces, all pieces
    advance together by a byte at a time, and then each row's pieces are joined: a CRC is linear.
    """
    width = rows.shape[1]
    pieces = -(-width // _PIECE)
    padded = np.zeros((len(rows), pieces * _PIECE), np.uint8)
    padded[:, -width:] = rows
    # A CRC that begins with all bits set is one that begins with none and has the first four
    # bytes inverted, and zeros before those change nothing.
    start = padded.shape[1] - width
    padded[:, start : start + 4] ^= 0xFF
    parts = _advance(np.zeros(len(rows) * pieces, np.uint32), padded.reshape(-1, _PIECE))
    crc = np.zeros(len(rows), np.uint32)
    for part in parts.reshape(-1, pieces).T:
        shifted = [_PIECE_ON[byte][crc >> 8 * byte & 0xFF] for byte in range(4)]
        crc = shifted[0] ^ shifted[1] ^ shifted[2] ^ shifted[3] ^ part
    crc ^= np.uint32(0xFFFFFFFF)
    turned = crc >> np.uint32(15) | crc << np.uint32(17)
    return turned + np.uint32(0xA282EAD8)


def _advance(crc: NDArray[np.uint32], rows: NDArray[np.uint8]) -> NDArray[np.uint32]:
    for column in np.ascontiguousarray(rows.T):
        crc = _BYTE_ON[(crc ^ column) & 0xFF] ^ crc >> 8
    return crc


def _byte_on() -> NDArray[np.uint32]:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, table >> 1 ^ 0x82F63B78, table >> 1).astype(np.uint32)
    return table


def _piece_on() -> NDArray[np.uint32]:
    values = np.arange(256, dtype=np.uint32) << np.arange(0, 32, 8, dtype=np.uint32)[:, None]
    zeros = np.zeros((values.size, _PIECE), np.uint8)
    return _advance(values.ravel(), zeros).reshape(4, 256)


_PIECE: Final = 256  # bytes
_BYTE_ON: Final = _byte_on()  # what a CRC's last byte becomes a byte later
_PIECE_ON: Final = _piece_on()  # what each of its four bytes becomes a piece later
