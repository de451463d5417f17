"""How much one owner, one address and the whole site may store."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F, Sum
from django.utils import timezone

from recognizer.models import Photo, UploadTally
from recognizer.services.owners import Owner


def seconds_to_wait(owner: Owner, address: str) -> int:
    """Count one upload; 0 when it is allowed, otherwise the seconds until the next hour."""
    now = timezone.now()
    hour = now.replace(minute=0, second=0, microsecond=0)
    allowed = [
        _count(owner.key, hour) <= settings.UPLOADS_PER_HOUR,
        _count(f"address:{address}", hour) <= settings.UPLOADS_PER_HOUR_PER_ADDRESS,
    ]
    if all(allowed):
        return 0
    return int((hour + timedelta(hours=1) - now).total_seconds()) + 1


def disk_is_full(new_bytes: int) -> bool:
    """Whether that much more would pass DISK_LIMIT_MB; deleted photos count until purged."""
    stored = Photo.objects.aggregate(total=Sum("stored_bytes"))["total"] or 0
    return stored + new_bytes > settings.DISK_LIMIT_MB * 1_000_000


def forget_old_tallies() -> None:
    UploadTally.objects.filter(hour__lt=timezone.now() - timedelta(hours=2)).delete()


@transaction.atomic
def _count(who: str, hour: datetime) -> int:
    tally, _ = UploadTally.objects.get_or_create(who=who, hour=hour)
    UploadTally.objects.filter(pk=tally.pk).update(uploads=F("uploads") + 1)
    tally.refresh_from_db(fields=["uploads"])
    return tally.uploads
