"""The upload page, the history, a photo, and what they fetch while something moves."""

from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.core.files.base import ContentFile
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_GET, require_POST, require_safe

from recognizer.forms import FilterForm
from recognizer.models import EMOTION_CHOICES, Photo
from recognizer.services import (
    deletion,
    examples,
    faces,
    gallery,
    model_versions,
    owners,
    recognition,
    uploads,
)
from recognizer.uploadhandler import ENDLESS
from recognizer.vision.images import MAX_PIXELS

RECENT = 12


@ensure_csrf_cookie
def upload(request: HttpRequest) -> HttpResponse:
    """The first page. Its form works without JavaScript too, one answer for all files."""
    if request.method == "POST":
        return _upload_by_form(request)
    owners.adopt_latecomers(request)
    photos = owners.photos_of(request)
    recent = list(photos.with_results()[:RECENT])
    faces.set_queue_places(recent)
    limits = {
        "max_bytes": settings.MAX_UPLOAD_BYTES,
        "max_megapixels": MAX_PIXELS // 1_000_000,
    }
    context = {
        "recent": recent,
        "photo_count": photos.count(),
        "limits": limits,
        "retention_days": settings.GUEST_RETENTION_DAYS,
        "is_guest": not request.user.is_authenticated,
        "reviewers_can_see": True,
    }
    return render(request, "upload.html", context)


def _upload_by_form(request: HttpRequest) -> HttpResponse:
    files = request.FILES.getlist("image")
    if endless := request.META.get(ENDLESS):
        messages.error(request, uploads.too_large(endless).detail)
    elif not files:
        messages.error(request, _("Choose at least one photo first."))
    if not files:
        return redirect("upload")
    owner = owners.of_or_new_guest(request)
    taken = 0
    for file in files:
        outcome = uploads.receive(owner, owners.address(request), file)
        if isinstance(outcome, uploads.Accepted | uploads.Duplicate):
            taken += 1
        else:
            messages.error(request, outcome.detail)
    if taken:
        words = ngettext("%(n)d photo was uploaded.", "%(n)d photos were uploaded.", taken)
        messages.success(request, words % {"n": taken})
    return redirect("upload")


@require_POST
def example(request: HttpRequest) -> HttpResponse:
    """Put the example photo among the owner's and show it."""
    file = ContentFile(examples.read(), examples.NAME)
    outcome = uploads.receive(owners.of_or_new_guest(request), owners.address(request), file)
    if isinstance(outcome, uploads.Refused | uploads.TooMany):
        messages.error(request, outcome.detail)
        return redirect("upload")
    return redirect("photo", outcome.photo.pk)


@require_safe
@ensure_csrf_cookie
def history(request: HttpRequest) -> HttpResponse:
    form = FilterForm(request.GET)
    owners.adopt_latecomers(request)
    mine = owners.photos_of(request)
    photos = gallery.matching(mine, form.filters())
    try:
        page = gallery.page(photos, request.GET.get("cursor", ""))
    except gallery.BadCursor:
        raise Http404(_("This page of the history does not exist any more.")) from None
    faces.set_queue_places(page.photos)
    query = request.GET.copy()
    query.pop("cursor", None)
    context = {
        "page": page,
        "filters": form,
        "filtering": any(query.values()),
        "query": query.urlencode(),
        "total": photos.count(),
        "photo_count": mine.count(),
        "emotions": EMOTION_CHOICES,
    }
    return render(request, "history.html", context)


@require_safe
@ensure_csrf_cookie
def photo(request: HttpRequest, photo_id: UUID) -> HttpResponse:
    return render(request, "photo.html", _photo_context(request, photo_id))


@require_safe
def photo_result(request: HttpRequest, photo_id: UUID) -> HttpResponse:
    return render(request, "partials/photo_result.html", _photo_context(request, photo_id))


def _photo_context(request: HttpRequest, photo_id: UUID) -> dict[str, object]:
    photos = owners.photos_of(request)
    photo = get_object_or_404(photos, pk=photo_id)
    older, newer = gallery.neighbours(photos, photo)
    return {
        "photo": photo,
        "faces": faces.views_of(photo),
        "older": older,
        "newer": newer,
    }


@require_safe
def photo_card(request: HttpRequest, photo_id: UUID) -> HttpResponse:
    photo = get_object_or_404(owners.photos_of(request).with_results(), pk=photo_id)
    return render(request, "partials/photo_card.html", {"photo": photo})


@require_GET
def photo_cards(request: HttpRequest) -> HttpResponse:
    """Several tiles at once: one request however many photos move."""
    photos = list(owners.photos_of(request).with_results().filter(pk__in=ids_of(request)))
    faces.set_queue_places(photos)
    return render(request, "partials/photo_cards.html", {"photos": photos})


@require_POST
def photo_retry(request: HttpRequest, photo_id: UUID) -> HttpResponse:
    photo = get_object_or_404(owners.photos_of(request).with_results(), pk=photo_id)
    # Only what failed: anything else would be work for nothing, as often as one likes.
    if photo.status == Photo.Status.FAILED:
        recognition.queue_again([photo.pk])
    if "HX-Request" in request.headers:
        photo.refresh_from_db()
        return render(request, "partials/photo_card.html", {"photo": photo})
    return redirect("photo", photo.pk)


@require_POST
def photos_delete(request: HttpRequest) -> HttpResponse:
    owner = owners.of(request)
    deleted = deletion.delete(owner, ids_of(request)) if owner else []
    if "text/html" in request.headers.get("Accept", ""):  # A form sent without scripts.
        words = ngettext("%(n)d photo was deleted.", "%(n)d photos were deleted.", len(deleted))
        messages.success(request, words % {"n": len(deleted)})
        return redirect("history")
    return JsonResponse({"deleted": deleted, "undo_seconds": settings.UNDO_SECONDS})


@require_POST
def photos_restore(request: HttpRequest) -> HttpResponse:
    owner = owners.of(request)
    restored = deletion.restore(owner, ids_of(request)) if owner else []
    return JsonResponse({"restored": restored})


@require_safe
def about(request: HttpRequest) -> HttpResponse:
    try:
        card = model_versions.classifier().card.as_dict()
    except (ValueError, OSError):
        card = None
    metrics = card["metrics"] if card else {}
    measured = metrics.get("PublicTest odd rows", {}).get("ferplus")
    source = card["data"].get("source", "") if card else ""
    context = {
        "card": card,
        "measured": measured,
        # What the site's own models were measured on is known by the name of its file or folder.
        "held_out": "" if "FER-2013" in source else source.partition(" (")[0],
        "retention_days": settings.GUEST_RETENTION_DAYS,
    }
    return render(request, "about.html", context)


def named_in(request: HttpRequest) -> list[str]:
    """The field `id` as it was sent."""
    return (request.POST if request.method == "POST" else request.GET).getlist("id")


def ids_of(request: HttpRequest) -> list[UUID]:
    """The photos that a request names, in the field `id`; what is no id names nothing."""
    found = []
    for text in named_in(request):
        try:
            found.append(UUID(text))
        except ValueError:
            continue
    return found
