"""Whether the site could take a photo and recognise it right now."""

import logging
import threading
from collections.abc import Callable
from datetime import timedelta

from django.db import DatabaseError, connection
from django.utils import timezone

from recognizer.models import Heartbeat
from recognizer.services import model_versions, queue

logger = logging.getLogger(__name__)

# Seconds. A worker that misses three beats is gone.
BEAT_EVERY = 5
GONE_AFTER = 20
# Without one of these no photo is recognised. `promoted_model` may be false: another steps in.
NEEDED = ("database", "broker", "worker", "model")


def worker_seen(name: str) -> None:
    """Note that a worker is there."""
    Heartbeat.objects.update_or_create(name=name, defaults={"seen": timezone.now()})


def worker_gone(name: str) -> None:
    """Note that a worker has ended."""
    Heartbeat.objects.filter(name=name).delete()


def forget_dead_workers() -> None:
    """Remove what killed workers left behind."""
    Heartbeat.objects.filter(seen__lt=timezone.now() - timedelta(days=1)).delete()


class Pulse(threading.Thread):
    """Says again and again that its process lives; `stop` ends it."""

    def __init__(self, seen: Callable[[], None], gone: Callable[[], None]) -> None:
        """Set up.

        Args:
            seen: called at once, and then every BEAT_EVERY seconds.
            gone: called at the end.
        """
        super().__init__(name="pulse", daemon=True)
        self._seen, self._gone = seen, gone
        self.ended = threading.Event()

    def run(self) -> None:
        self._note(self._seen)
        while not self.ended.wait(BEAT_EVERY):
            self._note(self._seen)
        self._note(self._gone)

    def stop(self) -> None:
        self.ended.set()
        self.join(GONE_AFTER)

    def _note(self, what: Callable[[], None]) -> None:
        try:
            what()
        except DatabaseError:
            logger.warning("The heartbeat could not be written.", exc_info=True)
        finally:
            # A worker forks its pool, and no child may inherit an open connection.
            connection.close()


def worker_pulse(name: str) -> Pulse:
    """The pulse of a worker, which takes it off the list when it ends."""
    return Pulse(lambda: worker_seen(name), lambda: worker_gone(name))


def checks() -> dict[str, bool]:
    """Each part that a photo needs, and whether it answers.

    Once a model has been promoted also `promoted_model`: whether its files are whole on this
    machine. While they are not, the model before it reads the photos.
    """
    if not _database_answers():
        return {"database": False}
    answers = {
        "database": True,
        "broker": queue.broker_answers(),
        "worker": _worker_is_alive(),
        "model": _model_loads(),
    }
    promoted = model_versions.promoted_is_here()
    return answers if promoted is None else answers | {"promoted_model": promoted}


def _database_answers() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return False
    return True


def _worker_is_alive() -> bool:
    recent = timezone.now() - timedelta(seconds=GONE_AFTER)
    return Heartbeat.objects.filter(seen__gte=recent).exists()


def _model_loads() -> bool:
    try:
        model_versions.classifier()
    except (ValueError, OSError):
        return False
    return True
