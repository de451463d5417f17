"""Keep libraries quiet that write to stderr past Python, as TensorFlow's C++ does."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

_STDERR = 2


@contextmanager
def held_back() -> Iterator[None]:
    """Hold back what is written to the process' stderr; an exception lets it out.

    TensorFlow greets with lines on CUDA and oneDNN before its own TF_CPP_MIN_LOG_LEVEL counts.
    Among them an error that a person should read would be lost. Does nothing where that variable
    asks for such lines, as it must where TensorFlow takes the whole process down.
    """
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL", "2") < "2":
        yield
        return
    _flush()
    try:
        real = os.dup(_STDERR)
    except OSError:  # A service may have closed it.
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), _STDERR)
        try:
            yield
        except BaseException:
            _flush()
            held.seek(0)
            os.write(real, held.read())
            raise
        finally:
            _flush()
            os.dup2(real, _STDERR)
            os.close(real)


def _flush() -> None:
    # Python has none where the process was started without.
    if sys.stderr:
        sys.stderr.flush()
