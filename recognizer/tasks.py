"""What the queue can ask for; each task is a door to one service."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

from celery import shared_task
from celery.signals import worker_process_init, worker_ready, worker_shutdown
from django.conf import settings
from django.core.management import call_command
from django.db import connection

from recognizer.services import (
    deletion,
    learning,
    model_versions,
    queue,
    quotas,
    recognition,
    signs_of_life,
)


@shared_task(name="recognizer.tasks.recognize_photo")
def recognize_photo(photo_id: str) -> None:
    recognition.recognize(UUID(photo_id))


@shared_task(name="recognizer.tasks.sweep")
def sweep() -> None:
    recognition.sweep()
    learning.sweep()
    deletion.purge_deleted()


@shared_task(name="recognizer.tasks.clean_up")
def clean_up() -> None:
    deletion.purge_expired_guests()
    quotas.forget_old_tallies()
    signs_of_life.forget_dead_workers()
    call_command("clearsessions")


@shared_task(name=queue.LEARN)
def learn(run_id: int) -> None:
    """Learn in a process of its own, which gives TensorFlow's memory back when it ends."""
    command = [sys.executable, str(Path(settings.BASE_DIR) / "manage.py"), "learn"]
    # What went wrong is in the run's row, for those who asked for it.
    subprocess.run([*command, "--run", str(run_id)], check=False)


@worker_process_init.connect
def get_ready(**_: object) -> None:
    """Load before the first photo comes; after the fork, because sessions have threads."""
    # honcho signals the whole process group; the main process lets its children finish their
    # photo, so they must not die of the signal themselves.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        model_versions.warm_up()
    finally:
        # Celery's own receiver of this signal closes whatever it finds open, fit to use or not.
        connection.close()


@worker_ready.connect
def begin(sender: Any, **_: object) -> None:
    """Pick up at once what was waiting, and show that a worker is here."""
    if "celery" not in sender.app.amqp.queues.consume_from:
        return  # One that only learns: without another, no photo would be recognised.
    sweep.delay()
    pulse = signs_of_life.worker_pulse(f"{sender.hostname} {os.getpid()}"[:200])
    pulse.start()
    worker_shutdown.connect(lambda **_: pulse.stop(), weak=False)
