"""Stored images, given only to the photo's owner and to reviewers."""

from pathlib import PurePosixPath
from uuid import UUID

from django.db.models import Q
from django.db.models.fields.files import FieldFile
from django.http import (
    FileResponse,
    Http404,
    HttpRequest,
    HttpResponseBase,
    HttpResponseNotModified,
)
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from recognizer.models import Face, Photo, PhotoQuerySet
from recognizer.services import downloads, owners, review_access

# The original is not among them: it may carry a place and a name, and no URL serves it.
KINDS = ("display", "thumbnail", "annotated")


@require_safe
def photo_image(request: HttpRequest, photo_id: UUID, kind: str) -> HttpResponseBase:
    photo = get_object_or_404(_visible(request), pk=photo_id)
    if kind not in KINDS:
        raise Http404(_("There is no such image."))
    file: FieldFile = getattr(photo, kind)
    if not file:
        raise Http404(_("This photo has no annotated image yet."))
    name = downloads.jpeg_name(photo.name) if "download" in request.GET else ""
    return private_image(request, file, name, may_change=kind == "annotated")


@require_safe
def face_crop(request: HttpRequest, face_id: int) -> HttpResponseBase:
    face = get_object_or_404(Face, pk=face_id, photo__in=_visible(request))
    return private_image(request, face.crop)


def private_image(
    request: HttpRequest, file: FieldFile, download_as: str = "", may_change: bool = False
) -> HttpResponseBase:
    """Answer with a stored JPEG that no shared cache may keep.

    The annotated image `may_change`: recognising again draws anew under the same address.
    """
    # A stored file never changes and its name is random, so the name tells versions apart.
    etag = f'"{PurePosixPath(file.name or "").stem}"'
    response: HttpResponseBase = HttpResponseNotModified()
    if request.headers.get("If-None-Match") != etag:
        try:
            opened = file.open("rb")
        except FileNotFoundError:
            raise Http404(_("The image is gone from the disk.")) from None
        response = FileResponse(
            opened,
            content_type="image/jpeg",
            as_attachment=bool(download_as),
            filename=download_as or "image.jpg",
        )
    response["ETag"] = etag
    response["Cache-Control"] = f"private, {'no-cache' if may_change else 'max-age=3600'}"
    response["X-Content-Type-Options"] = "nosniff"
    return response


def _visible(request: HttpRequest) -> PhotoQuerySet:
    """What the request may see as an owner, and as a reviewer."""
    mine, to_review = owners.photos_of(request), review_access.photos_for(request.user)
    return Photo.objects.filter(Q(pk__in=mine.values("pk")) | Q(pk__in=to_review.values("pk")))
