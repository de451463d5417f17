"""Many photos as one file, made while it is sent."""

from collections.abc import Callable, Iterable, Iterator

from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from recognizer.forms import FilterForm
from recognizer.models import Photo
from recognizer.services import downloads, gallery, owners
from recognizer.views.pages import ids_of, named_in

Writer = Callable[[Iterable[Photo]], Iterator[str] | Iterator[bytes]]


@require_http_methods(["GET", "POST"])
def as_zip(request: HttpRequest) -> HttpResponseBase:
    return _answer(request, downloads.as_zip, "application/zip", "zip")


@require_http_methods(["GET", "POST"])
def as_csv(request: HttpRequest) -> HttpResponseBase:
    return _answer(request, downloads.as_csv, "text/csv; charset=utf-8", "csv")


@require_http_methods(["GET", "POST"])
def as_json(request: HttpRequest) -> HttpResponseBase:
    return _answer(request, downloads.as_json, "application/json", "json")


def _answer(
    request: HttpRequest, writer: Writer, content_type: str, suffix: str
) -> HttpResponseBase:
    response = StreamingHttpResponse(writer(_chosen(request)), content_type=content_type)
    name = f"webemotion-{timezone.localtime():%Y-%m-%d}.{suffix}"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "private, no-store"
    return response


def _chosen(request: HttpRequest) -> Iterator[Photo]:
    """The photos named by `id`, or all that match the history's filters; a few at a time."""
    photos = owners.photos_of(request)
    if named_in(request):
        photos = photos.filter(pk__in=ids_of(request))
    else:
        photos = gallery.matching(photos, FilterForm(request.GET).filters())
    return photos.with_results().iterator(chunk_size=100)
