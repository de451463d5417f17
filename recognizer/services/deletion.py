"""Delete photos: with a moment to undo, at once, or because a guest's time is over."""

from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from recognizer.models import Photo, PhotoQuerySet
from recognizer.services import queue
from recognizer.services.owners import Owner

# An undo may arrive this many seconds late; what is purged is older still, so the two never meet.
GRACE = 5


def delete(owner: Owner, photo_ids: Iterable[UUID]) -> list[UUID]:
    """Take the owner's photos off every page; `purge_deleted` removes them after the undo time."""
    photos = owner.photos().filter(pk__in=list(photo_ids))
    found = list(photos.values_list("pk", flat=True))
    photos.update(deleted_at=timezone.now())
    return found


def restore(owner: Owner, photo_ids: Iterable[UUID]) -> list[UUID]:
    """Undo `delete`; those that it is too late for or that were sent again stay away."""
    in_time = timezone.now() - timedelta(seconds=settings.UNDO_SECONDS + GRACE)
    gone = owner.all_photos().filter(pk__in=list(photo_ids), deleted_at__gt=in_time)
    return [photo_id for photo_id in gone.values_list("pk", flat=True) if _restore(photo_id)]


def _restore(photo_id: UUID) -> bool:
    photo = Photo.objects.filter(pk=photo_id)
    try:
        with transaction.atomic():
            restored = photo.filter(deleted_at__isnull=False).update(deleted_at=None)
            # Its message may have been taken, and dropped, while it was away.
            if photo.filter(status=Photo.Status.QUEUED).exists():
                queue.send_on_commit(photo_id)
    except IntegrityError:
        return False  # The same bytes were sent again meanwhile.
    return bool(restored)


def purge(photos: PhotoQuerySet) -> int:
    """Remove rows now, and with them their files; how many photos there were."""
    photo_ids = list(photos.values_list("pk", flat=True))
    return sum(_purge(photos.filter(pk=photo_id)) for photo_id in photo_ids)


@transaction.atomic
def _purge(one: PhotoQuerySet) -> int:
    # Locked, because a worker may be saving its result: either that came first, and its files are
    # known here and go too, or it finds no row any more and removes them itself.
    photo = one.select_for_update().first()
    if photo is None:
        return 0
    photo.delete()
    return 1


def purge_deleted() -> int:
    """Remove what was deleted longer ago than an undo can come."""
    late = timezone.now() - timedelta(seconds=settings.UNDO_SECONDS + 2 * GRACE)
    return purge(Photo.objects.filter(deleted_at__lt=late))


def purge_expired_guests() -> int:
    """Remove guests' photos whose time is over."""
    oldest = timezone.now() - timedelta(days=settings.GUEST_RETENTION_DAYS)
    return purge(Photo.objects.filter(user=None, created__lt=oldest))
