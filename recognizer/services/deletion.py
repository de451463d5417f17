"""Delete photos: with a moment to undo, at once, or because a guest's time is over."""

from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from recognizer.models import Photo, PhotoQuerySet
from recognizer.services import files
from recognizer.services.owners import Owner


def delete(owner: Owner, photo_ids: Iterable[UUID]) -> list[UUID]:
    """Take the owner's photos off every page; `purge_deleted` removes them after the undo time."""
    photos = owner.photos().filter(pk__in=list(photo_ids))
    found = list(photos.values_list("pk", flat=True))
    photos.update(deleted_at=timezone.now())
    return found


def restore(owner: Owner, photo_ids: Iterable[UUID]) -> list[UUID]:
    """Undo `delete`; those that were purged or sent again meanwhile stay away."""
    gone = owner.all_photos().filter(pk__in=list(photo_ids), deleted_at__isnull=False)
    restored = []
    for photo in gone:
        with transaction.atomic():
            if not owner.photos().filter(sha256=photo.sha256).exists():
                restored += [photo.pk] * gone.filter(pk=photo.pk).update(deleted_at=None)
    return restored


def purge(photos: PhotoQuerySet) -> int:
    """Remove rows and files now; how many photos there were."""
    count = 0
    for photo in photos.prefetch_related("faces").iterator(chunk_size=200):
        stored = photo.files
        photo.delete()
        # The row first: a file without a row is only waste, a row without files is a broken page.
        files.remove(stored)
        count += 1
    return count


def purge_deleted() -> int:
    """Remove what was deleted longer ago than an undo can take, with some seconds of grace."""
    late = timezone.now() - timedelta(seconds=settings.UNDO_SECONDS + 5)
    return purge(Photo.objects.filter(deleted_at__lt=late))


def purge_expired_guests() -> int:
    """Remove guests' photos whose time is over."""
    oldest = timezone.now() - timedelta(days=settings.GUEST_RETENTION_DAYS)
    return purge(Photo.objects.filter(user=None, created__lt=oldest))
