"""Find an owner's photos: the filters of the history and its pages."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal
from uuid import UUID

from django.core import signing
from django.db.models import Exists, OuterRef
from django.utils.dateparse import parse_datetime

from recognizer.models import Face, Photo, PhotoQuerySet

PAGE_SIZE = 60


@dataclass(frozen=True, slots=True)
class Filters:
    """What to show; empty values do not filter. Dates are days in the site's time zone."""

    emotion: str = ""
    state: Literal["", "uncertain", "no_faces", "failed"] = ""
    date_from: date | None = None
    date_to: date | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """Some photos, newest first, and the cursor of the page after them, if there is one."""

    photos: list[Photo]
    next_cursor: str | None


class BadCursor(ValueError):
    """The cursor was not one of ours."""


def matching(photos: PhotoQuerySet, filters: Filters) -> PhotoQuerySet:
    """The photos that pass all filters.

    An emotion matches faces that the model is sure of; uncertain ones have their own filter.
    """
    faces = Face.objects.filter(photo=OuterRef("pk"))
    if filters.emotion:
        sure = faces.filter(current__emotion=filters.emotion, current__uncertain=False)
        photos = photos.filter(Exists(sure))
    if filters.state == "uncertain":
        photos = photos.filter(Exists(faces.filter(current__uncertain=True)))
    if filters.state == "no_faces":
        photos = photos.filter(~Exists(faces), status=Photo.Status.DONE)
    if filters.state == "failed":
        photos = photos.filter(status=Photo.Status.FAILED)
    if filters.date_from:
        photos = photos.filter(created__date__gte=filters.date_from)
    if filters.date_to:
        photos = photos.filter(created__date__lte=filters.date_to)
    if filters.name:
        photos = photos.filter(name__icontains=filters.name)
    return photos


def page(photos: PhotoQuerySet, cursor: str = "", size: int = PAGE_SIZE) -> Page:
    """One page, newest first. Cursors make the thousandth page as quick as the first.

    Raises:
        BadCursor: the cursor is not one that an earlier page gave.
    """
    if cursor:
        created, photo_id = _read_cursor(cursor)
        # Said so, and not as "before, or at the same moment and…", an index can find the place.
        photos = photos.filter(created__lte=created).exclude(created=created, pk__gte=photo_id)
    found = list(photos.order_by("-created", "-pk").with_results()[: size + 1])
    more = len(found) > size
    found = found[:size]
    return Page(found, _make_cursor(found[-1]) if more else None)


def neighbours(photos: PhotoQuerySet, photo: Photo) -> tuple[Photo | None, Photo | None]:
    """The next older and the next newer photo, for leafing through."""
    at = photo.created
    older = photos.filter(created__lte=at).exclude(created=at, pk__gte=photo.pk)
    newer = photos.filter(created__gte=at).exclude(created=at, pk__lte=photo.pk)
    return older.order_by("-created", "-pk").first(), newer.order_by("created", "pk").first()


def _make_cursor(photo: Photo) -> str:
    return signing.dumps([photo.created.isoformat(), str(photo.pk)], salt="cursor")


def _read_cursor(cursor: str) -> tuple[datetime, UUID]:
    try:
        created, photo_id = signing.loads(cursor, salt="cursor")
    except signing.BadSignature as error:
        raise BadCursor("The cursor is not one that an earlier page gave.") from error
    moment = parse_datetime(created)
    assert moment is not None  # We signed it.
    return moment, UUID(photo_id)
