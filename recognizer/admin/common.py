"""What the admin's pages have in common."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from recognizer.models import (
    ApiToken,
    Face,
    Prediction,
    Review,
)
from recognizer.services import (
    review_access,
)
from recognizer.text import EMOTION_NAMES
from recognizer.vision.emotions import percent

HANGING = (Face, Prediction, Review, ApiToken)


class WithWhatHangsOn:
    """Deleting a row takes what hangs on it along, which nobody deletes alone."""

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[Any, Any, Any, Any]:
        deleted, counts, forbidden, protected = super().get_deleted_objects(  # type: ignore[misc]
            objs, request
        )
        hanging = {model._meta.verbose_name for model in HANGING}
        return deleted, counts, set(forbidden) - hanging, protected


class ReadOnlyAdmin(admin.ModelAdmin[Any]):
    """Rows that the application writes and people only look at."""

    class Media:
        css = {"all": ["recognizer/admin.css"]}

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class ForReviewers(ReadOnlyAdmin):
    """Rows that show people's faces: the permission `review` is what opens them."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        return review_access.can_review(request.user)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return review_access.can_review(request.user)


def crop(face: Face) -> SafeString:
    url = reverse("face-crop", args=[face.pk])
    return format_html('<img class="we-crop" src="{}" alt="{}" loading="lazy">', url, face)


def probabilities(prediction: Prediction, most: int = 8) -> SafeString:
    """The emotions as labelled bars, the most probable first."""
    rows = (
        (EMOTION_NAMES[emotion], f"{probability:.4f}", percent(probability))
        for emotion, probability in prediction.ranked[:most]
    )
    bars = format_html_join(
        "", '<li><span>{}</span><meter max="1" value="{}"></meter><b>{}</b></li>', rows
    )
    return format_html('<ol class="we-bars">{}</ol>', bars)


def verdict(prediction: Prediction) -> SafeString:
    """The emotion with its confidence; uncertain ones red, dashed and with a question mark."""
    kind = "uncertain" if prediction.uncertain else "certain"
    return format_html(
        '<span class="we-{}">{} {}</span>', kind, prediction.label, percent(prediction.confidence)
    )


def in_photo(face: Face, uncertain: bool) -> SafeString:
    """The photo with this one face marked: others have predictions of their own."""
    photo = face.photo
    return format_html(
        '<svg class="we-photo" viewBox="0 0 {} {}" role="img" aria-label="{}">'
        '<image href="{}" width="100%" height="100%"/>'
        '<rect class="we-box we-box--{}" x="{}" y="{}" width="{}" height="{}"/></svg>',
        *(photo.width, photo.height, photo.name),
        reverse("photo-image", args=[photo.pk, "display"]),
        "uncertain" if uncertain else "certain",
        *face.box,
    )


def table(head: Iterable[Any], rows: Iterable[Iterable[Any]]) -> SafeString:
    """A plain table."""
    line = format_html_join("", '<th scope="col">{}</th>', ((cell,) for cell in head))
    lines = ((format_html_join("", "<td>{}</td>", ((cell,) for cell in row)),) for row in rows)
    body = format_html_join("", "<tr>{}</tr>", lines)
    return format_html("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>", line, body)
