"""The JSON API, version 1: photos in, faces out. Its description is at /api/v1/openapi.json."""

from datetime import datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.utils.translation import gettext as _
from ninja import File, NinjaAPI, Query, Router, Schema
from ninja.errors import HttpError, ValidationError
from ninja.files import UploadedFile
from ninja.openapi.docs import Swagger
from ninja.responses import Status
from ninja.security import HttpBearer
from ninja.utils import check_csrf
from pydantic import Field

from recognizer.models import Photo
from recognizer.services import deletion, downloads, gallery, owners, tokens, uploads
from recognizer.services.owners import Owner
from recognizer.uploadhandler import ENDLESS
from recognizer.views.media import private_image

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
REFUSALS = {"too_large": 413, "disk_full": 507, "image": 422}

Point = tuple[float, float]
# Said, not checked: what is stored is answered, even where rounding passed a limit.
Probability = Annotated[float, Field(json_schema_extra={"minimum": 0, "maximum": 1})]


class Landmarks(Schema):
    """Pixels of the upright photo; left and right as seen in the picture."""

    left_eye: Point
    right_eye: Point
    nose: Point
    mouth_left: Point
    mouth_right: Point


class Probabilities(Schema):
    anger: Probability
    contempt: Probability
    disgust: Probability
    fear: Probability
    happy: Probability
    neutral: Probability
    sad: Probability
    surprise: Probability


class FaceOut(Schema):
    box: tuple[int, int, int, int] = Field(description="x, y, width, height in whole pixels.")
    landmarks: Landmarks
    detection_score: Probability
    emotion: str = Field(description="The most probable of the eight, even when uncertain.")
    confidence: Probability
    uncertain: bool
    reasons: list[str]
    probabilities: Probabilities
    valence: float | None = Field(
        description="-1 (unpleasant) to 1 (pleasant); null if the model does not give it."
    )
    arousal: float | None = Field(
        description="-1 (calm) to 1 (excited), experimental: it agrees little with people; "
        "null if the model does not give it."
    )


class PhotoOut(Schema):
    id: UUID
    status: Literal["queued", "processing", "done", "failed"]
    name: str
    created: datetime
    width: int
    height: int
    error: str | None
    note: str | None = Field(description="Such as: only the first of several pictures is read.")
    faces: list[FaceOut]


class PageOut(Schema):
    items: list[PhotoOut]
    next: str | None = Field(description="Send it back as `cursor` for the next page.")


class ErrorOut(Schema):
    detail: str


class Bearer(HttpBearer):
    """A personal token acts as its user and needs no CSRF token."""

    def authenticate(self, request: HttpRequest, token: str) -> Owner:
        user = tokens.user_of(token)
        if user is None:
            raise HttpError(401, _("The token is unknown or revoked. Make one on your account."))
        return Owner(user_id=user.pk)


class Caller:
    """Nobody yet, or whoever the session cookie says."""

    def __init__(self, owner: Owner | None) -> None:
        self.owner = owner


class Session:
    """The session cookie decides; unsafe requests must not come from another site."""

    csrf = True  # The documentation's "Try it out" then sends the token along.

    def __call__(self, request: HttpRequest) -> Caller:
        owner = owners.of(request)
        if request.method not in SAFE_METHODS:
            if owner is not None and not owner.is_guest:
                if check_csrf(request) is not None:
                    raise HttpError(
                        403,
                        _("Send the CSRF cookie's value in the X-CSRFToken header, or a token."),
                    )
            elif _comes_from_elsewhere(request):
                raise HttpError(403, _("Requests from other sites are refused. Use a token."))
        return Caller(owner)


def _comes_from_elsewhere(request: HttpRequest) -> bool:
    """What browsers say about a request; programs that say nothing pass."""
    if request.headers.get("Sec-Fetch-Site", "") == "cross-site":
        return True
    origin = request.headers.get("Origin")
    if origin is None or origin in settings.CSRF_TRUSTED_ORIGINS:
        return False
    try:
        return urlsplit(origin).netloc != request.get_host()
    except ValueError:  # Not an origin at all.
        return True


api = NinjaAPI(
    title="WebEmotion",
    version="1",
    description=(
        "Upload photos and read the visible expression of every face. An estimate of an "
        "expression, not of what a person feels; not for judging employees or pupils."
    ),
    auth=[Bearer(), Session()],
    docs_url=None,
    openapi_url="openapi.json",
    urls_namespace="api",
)
router = Router(tags=["photos"])


@router.post(
    "/photos",
    response={
        200: PhotoOut,
        201: PhotoOut,
        frozenset({401, 403, 413, 422, 429, 507}): ErrorOut,
    },
    summary="Upload a photo",
)
def upload_photo(
    request: HttpRequest, response: HttpResponse, image: File[UploadedFile]
) -> Status[dict[str, Any]]:
    """201 with the new photo; 200 with the existing one when the same bytes were sent before."""
    owner = _owner(request) or owners.of_or_new_guest(request)
    match uploads.receive(owner, owners.address(request), image):
        case uploads.Accepted(photo):
            return Status(201, downloads.photo_as_dict(photo))
        case uploads.Duplicate(photo):
            return Status(200, downloads.photo_as_dict(photo))
        case uploads.TooMany(detail, retry_after):
            response["Retry-After"] = str(retry_after)
            return Status(429, {"detail": detail})
        case uploads.Refused(reason, detail):
            return Status(REFUSALS[reason], {"detail": detail})


@router.get(
    "/photos",
    response={200: PageOut, frozenset({401, 422}): ErrorOut},
    summary="List photos, newest first",
)
def list_photos(
    request: HttpRequest, cursor: str = "", limit: Annotated[int, Query(ge=1, le=200)] = 50
) -> dict[str, Any]:
    try:
        page = gallery.page(_photos(request), cursor, limit)
    except gallery.BadCursor as error:
        raise HttpError(422, str(error)) from error
    items = [downloads.photo_as_dict(photo) for photo in page.photos]
    return {"items": items, "next": page.next_cursor}


@router.get(
    "/photos/{uuid:photo_id}",
    response={200: PhotoOut, frozenset({401, 404}): ErrorOut},
    summary="One photo with its faces",
)
def get_photo(request: HttpRequest, photo_id: UUID) -> dict[str, Any]:
    return downloads.photo_as_dict(_photo(request, photo_id))


@router.get(
    "/photos/{uuid:photo_id}/annotated",
    response={frozenset({401, 404, 409}): ErrorOut},
    openapi_extra={
        "responses": {
            200: {
                "description": "The image",
                "content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}},
            }
        }
    },
    summary="The photo with its faces drawn, as JPEG",
)
def get_annotated(request: HttpRequest, photo_id: UUID) -> HttpResponseBase:
    photo = _photo(request, photo_id)
    if photo.status == Photo.Status.FAILED:
        raise HttpError(409, photo.error)
    if photo.status != Photo.Status.DONE:
        raise HttpError(
            409,
            _("The photo is %(state)s; ask again when it is done.")
            % {"state": photo.get_status_display()},
        )
    return private_image(request, photo.annotated, may_change=True)


@router.delete(
    "/photos/{uuid:photo_id}",
    response={204: None, frozenset({401, 403, 404}): ErrorOut},
    summary="Delete a photo for good",
)
def delete_photo(request: HttpRequest, photo_id: UUID) -> Status[None]:
    deletion.purge(_photos(request).filter(pk=_photo(request, photo_id).pk))
    return Status(204, None)


api.add_router("", router)


def _owner(request: HttpRequest) -> Owner | None:
    caller = request.auth  # type: ignore[attr-defined]  # set by ninja
    return caller.owner if isinstance(caller, Caller) else caller


def _photos(request: HttpRequest) -> Any:
    owner = _owner(request)
    return owner.photos() if owner else Photo.objects.none()


def _photo(request: HttpRequest, photo_id: UUID) -> Photo:
    photo: Photo | None = _photos(request).with_results().filter(pk=photo_id).first()
    if photo is None:
        raise HttpError(404, _("There is no such photo among yours."))
    return photo


@api.exception_handler(ValidationError)
def say_what_was_expected(request: HttpRequest, error: ValidationError) -> HttpResponse:
    """422 as a sentence, not as a parser's tree."""
    if endless := request.META.get(ENDLESS):
        refused = uploads.too_large(endless)
        return api.create_response(
            request, {"detail": refused.detail}, status=REFUSALS[refused.reason]
        )
    places = [".".join(str(part) for part in e["loc"][1:]) for e in error.errors]
    if any(place.split(".")[-1] == "image" for place in places):
        detail = _("Send one image file as the multipart/form-data field “image”.")
    else:
        problems = zip(places, error.errors, strict=True)
        detail = "; ".join(f"{place}: {e['msg']}" for place, e in problems) + "."
    return api.create_response(request, {"detail": detail}, status=422)


@api.exception_handler(Http404)
def say_what_is_missing(request: HttpRequest, error: Http404) -> HttpResponse:
    return api.create_response(request, {"detail": str(error)}, status=404)


def docs(request: HttpRequest) -> HttpResponse:
    """The interactive documentation; its scripts come from this site."""
    return Swagger().render_page(request, api)
