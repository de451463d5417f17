"""Whether the site could take a photo and recognise it right now."""

from datetime import timedelta

from django.conf import settings
from django.db import DatabaseError, connection
from django.utils import timezone

from recognizer.models import Heartbeat
from recognizer.services import model_versions, queue

WORKER = "worker"


def worker_seen() -> None:
    """Note that a worker is at work: called by every sweep and every claimed photo."""
    Heartbeat.objects.update_or_create(name=WORKER, defaults={"seen": timezone.now()})


def checks() -> dict[str, bool]:
    """Each part that a photo needs, and whether it answers."""
    if not _database_answers():
        return {"database": False}
    return {
        "database": True,
        "broker": queue.broker_answers(),
        "worker": _worker_is_alive(),
        "model": _model_loads(),
    }


def _database_answers() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return False
    return True


def _worker_is_alive() -> bool:
    # A worker sweeps every SWEEP_EVERY seconds, so three missed ones mean that it is gone.
    recent = timezone.now() - timedelta(seconds=max(60, 3 * settings.SWEEP_EVERY))
    return Heartbeat.objects.filter(name=WORKER, seen__gte=recent).exists()


def _model_loads() -> bool:
    try:
        model_versions.classifier()
    except (ValueError, OSError):
        return False
    return True
