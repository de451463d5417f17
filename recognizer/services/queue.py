"""Send work to the workers. A message carries a primary key and may be lost or doubled."""

import logging
from uuid import UUID

from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

logger = logging.getLogger(__name__)

RECOGNIZE_PHOTO = "recognizer.tasks.recognize_photo"


def send_on_commit(photo_id: UUID) -> None:
    """Ask for a photo to be recognised once its row can be seen by a worker."""
    # Robust: the row is there by then, so whatever the broker does must not look like a failure.
    transaction.on_commit(lambda: send(photo_id), robust=True)


def send(photo_id: UUID) -> None:
    """Ask for a photo to be recognised now.

    A broker that is down is logged and forgiven: the row says "queued", so the sweeper asks
    again, and the person's upload is not lost.
    """
    try:
        current_app.send_task(RECOGNIZE_PHOTO, args=[str(photo_id)])
    except (OperationalError, OSError) as error:
        logger.warning("Photo %s waits for the sweeper: the broker is down (%s).", photo_id, error)


def broker_answers() -> bool:
    """Whether a message could be sent now."""
    try:
        with current_app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=2)
    except (OperationalError, OSError):
        return False
    return True
