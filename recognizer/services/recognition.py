"""The life of a photo in the queue: claimed, recognised, saved once; swept when a worker dies."""

import logging
from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

import numpy as np
from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _
from numpy.typing import NDArray

from recognizer.models import Photo, PhotoQuerySet
from recognizer.services import model_versions, queue, results
from recognizer.vision import images

logger = logging.getLogger(__name__)

# So many messages for photos that are recognised again may be on their way.
AGAIN_AT_ONCE = 200


def recognize(photo_id: UUID) -> None:
    """Recognise one photo if it is still waiting; do nothing when another worker was first."""
    photo = _claim(photo_id)
    if photo is None:
        return
    try:
        image = read_original(photo)
        # Asked once: a model that is promoted meanwhile has not read this photo.
        model = model_versions.in_use()
        result = model.recognizer.recognize(image)
        saved = results.save(photo, image, result, model.version())
    except Exception:  # Whatever a hostile image sets off, the row must not hang.
        logger.exception("Photo %s could not be recognised (attempt %d).", photo.pk, photo.attempts)
        _let_go(photo)
        return
    if saved:
        logger.info("Photo %s: %d faces.", photo.pk, len(result.faces))
    else:
        logger.warning("Photo %s was taken over by another worker.", photo.pk)


def read_original(photo: Photo) -> NDArray[np.uint8]:
    """The photo's own pixels, upright, (H, W, 3) RGB.

    Raises:
        OSError, ValueError: it is gone, or cannot be decoded any more.
    """
    with photo.original.open("rb") as file:
        decoded = images.decode(file.read())
    if isinstance(decoded, images.Undecodable):
        raise ValueError(f"The stored original can't be decoded: {decoded.reason}.")
    return decoded.image


def queue_again(photo_ids: Iterable[UUID]) -> int:
    """Recognise finished photos anew, with a fresh count of attempts; how many were queued."""
    queued = 0
    now = timezone.now()
    for photo_id in photo_ids:
        with transaction.atomic():
            changed = (
                Photo.objects.live()
                .filter(pk=photo_id, status__in=[Photo.Status.DONE, Photo.Status.FAILED])
                .update(
                    status=Photo.Status.QUEUED,
                    attempts=0,
                    error="",
                    claimed_at=None,
                    queued_at=now,
                    sent_at=now,
                )
            )
            if changed:
                queue.send_on_commit(photo_id, again=True)
        queued += changed
    return queued


def queue_all_again(photos: PhotoQuerySet) -> int:
    """The same for any number of photos at once; the sweeper sends them, part by part."""
    now = timezone.now()
    finished = photos.filter(status__in=[Photo.Status.DONE, Photo.Status.FAILED])
    return finished.update(
        status=Photo.Status.QUEUED,
        attempts=0,
        error="",
        claimed_at=None,
        queued_at=now,
        # So long ago that the sweeper takes it for lost at once.
        sent_at=now - timedelta(seconds=2 * settings.STALE_AFTER),
    )


def sweep() -> int:
    """Bring back what a dead worker or a flushed broker left behind; how many photos were."""
    stale = timezone.now() - timedelta(seconds=settings.STALE_AFTER)
    queued = Photo.objects.live().filter(status=Photo.Status.QUEUED)
    waiting = queued.filter(sent_at__lt=stale)
    claimed = Photo.objects.live().filter(status=Photo.Status.PROCESSING, claimed_at__lt=stale)
    # A site's whole history may wait to be recognised again; it need not all be sent at once.
    again = queued.filter(finished_at__isnull=False)
    room = max(0, AGAIN_AT_ONCE - again.filter(sent_at__gte=stale).count())
    photos = [
        *claimed.order_by("claimed_at")[:1000],
        *waiting.filter(finished_at=None).order_by("sent_at")[:1000],
        *waiting.filter(finished_at__isnull=False).order_by("sent_at")[:room],
    ]
    for photo in photos:
        if photo.status == Photo.Status.PROCESSING:
            logger.warning("Photo %s was claimed and never finished.", photo.pk)
            _let_go(photo)
        elif waiting.filter(pk=photo.pk).update(sent_at=timezone.now()):
            queue.send(photo.pk, again=photo.finished_at is not None)
    return len(photos)


def _claim(photo_id: UUID) -> Photo | None:
    claimed = (
        Photo.objects.live()
        .filter(pk=photo_id, status=Photo.Status.QUEUED, attempts__lt=settings.MAX_ATTEMPTS)
        .update(
            status=Photo.Status.PROCESSING,
            attempts=F("attempts") + 1,
            claimed_at=timezone.now(),
        )
    )
    # Nothing, too, when it was erased in between.
    return Photo.objects.filter(pk=photo_id).first() if claimed else None


def _let_go(photo: Photo) -> None:
    """Queue a claimed photo again, or call it failed after the last attempt."""
    mine = Photo.objects.claimed_as(photo)
    now = timezone.now()
    if photo.attempts >= settings.MAX_ATTEMPTS:
        error = _(
            "Recognition gave up after %(n)d attempts. Try again, or send the photo in another "
            "format."
        ) % {"n": photo.attempts}
        mine.update(status=Photo.Status.FAILED, error=error, finished_at=now)
    elif mine.update(status=Photo.Status.QUEUED, claimed_at=None, queued_at=now, sent_at=now):
        queue.send(photo.pk, again=photo.finished_at is not None)
