"""Send work to the workers. A message carries a primary key and may be lost or doubled."""

import logging
from typing import Any
from uuid import UUID

from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

logger = logging.getLogger(__name__)

RECOGNIZE_PHOTO = "recognizer.tasks.recognize_photo"
LEARN = "recognizer.tasks.learn"
AGAIN = "again"


def send_on_commit(photo_id: UUID, again: bool = False) -> None:
    """Ask for a photo to be recognised once its row can be seen by a worker; see `send`."""
    # Robust: the row is there by then, so whatever the broker does must not look like a failure.
    transaction.on_commit(lambda: send(photo_id, again), robust=True)


def send(photo_id: UUID, again: bool = False) -> None:
    """Ask for a photo to be recognised now.

    Args:
        photo_id: its primary key.
        again: not for the first time. Those have a queue of their own, which workers take from
            in turn with the other: a thousand of them hold up no new upload.

    A broker that is down is logged and forgiven: the row says "queued", so the sweeper asks
    again, and the person's upload is not lost.
    """
    _send(RECOGNIZE_PHOTO, str(photo_id), "Photo", **({"queue": AGAIN} if again else {}))


def send_learning_on_commit(run_id: int) -> None:
    """Ask for a learning run once its row can be seen."""
    transaction.on_commit(lambda: send_learning(run_id), robust=True)


def send_learning(run_id: int) -> None:
    """Ask for a learning run now; forgiving as `send` is."""
    _send(LEARN, run_id, "Learning run")


def _send(task: str, row: str | int, what: str, **options: Any) -> None:
    try:
        current_app.send_task(task, args=[row], **options)
    except (OperationalError, OSError) as error:
        logger.warning("%s %s waits for the sweeper: the broker is down (%s).", what, row, error)


def broker_answers() -> bool:
    """Whether a message could be sent now."""
    try:
        with current_app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=2)
    except (OperationalError, OSError):
        return False
    return True
