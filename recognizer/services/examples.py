"""The example photo that an empty site offers."""

from django.conf import settings

NAME = "astronaut.jpg"
_PATH = settings.BASE_DIR / "recognizer" / "examples" / NAME


def read() -> bytes:
    """The portrait of the astronaut Eileen Collins by NASA, in the public domain."""
    return _PATH.read_bytes()
