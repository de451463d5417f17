"""Places that one process at a time may write to."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_TRIES: Final = 1000
"""Others may take the file, or its folder, away in between; not as often as this."""


@contextmanager
def locked(path: Path, refusal: Exception) -> Iterator[None]:
    """Hold a lock file, whose folder is made, to the end, or until this process is killed.

    Args:
        path: the file; it is there while somebody holds it, and where one was killed holding it.
        refusal: raised where another process holds it.
    """
    descriptor = _held(path, refusal)
    try:
        yield
    finally:
        # The name first: else another one could lock the file in between, and then lose its name.
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _held(path: Path, refusal: Exception) -> int:
    """A descriptor of the lock file, locked."""
    for _ in range(_TRIES):
        if not os.path.lexists(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        except FileNotFoundError:  # The folder was taken away in between.
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise refusal from None
        if _lies_at(path, descriptor):
            return descriptor
        os.close(descriptor)  # Who had it took the file away in between.
    raise refusal


def _lies_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
