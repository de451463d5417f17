"""The admin: look at photos and predictions, review them, queue a photo again."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.db.models import Model, Prefetch, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.formats import localize
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from recognizer.admin_filters import (
    FaceEmotionFilter,
    ModelFilter,
    ReviewedFilter,
    UncertainFilter,
)
from recognizer.forms import ReviewForm
from recognizer.models import (
    ApiToken,
    Face,
    ModelVersion,
    Photo,
    Prediction,
    Promotion,
    Review,
    ReviewScope,
    User,
)
from recognizer.services import (
    deletion,
    promotions,
    recognition,
    review_access,
    reviews,
    tokens,
)
from recognizer.text import EMOTION_NAMES
from recognizer.vision.emotions import percent

admin.site.site_header = _("WebEmotion administration")
admin.site.site_title = "WebEmotion"
admin.site.index_title = _("Photos, predictions and reviews")


HANGING = (Face, Prediction, Review, ApiToken)


class WithWhatHangsOn:
    """Deleting a row takes what hangs on it along, which nobody deletes alone."""

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[Any, Any, Any, Any]:
        deleted, counts, forbidden, protected = super().get_deleted_objects(  # type: ignore[misc]
            objs, request
        )
        hanging = {model._meta.verbose_name for model in HANGING}
        return deleted, counts, set(forbidden) - hanging, protected


@admin.register(User)
class UserAdmin(WithWhatHangsOn, DjangoUserAdmin[User]):
    """Django's own."""


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


@admin.register(Photo)
class PhotoAdmin(WithWhatHangsOn, ForReviewers):
    list_display = ("picture", "name", "status", "owner", "what_was_found", "created")
    list_display_links = ("picture", "name")
    list_filter = (
        "status",
        FaceEmotionFilter,
        UncertainFilter,
        ("faces__current__model_version", ModelFilter),
        "created",
    )
    search_fields = ("name", "user__username", "sha256")
    date_hierarchy = "created"
    list_per_page = 50
    actions = ("queue_again",)
    fields = (
        "with_boxes",
        "predictions",
        "name",
        "owner",
        "status",
        "error",
        "attempts",
        ("width", "height", "format", "note"),
        ("created", "claimed_at", "finished_at"),
        "sha256",
    )
    readonly_fields = ("with_boxes", "predictions", "owner")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Photo]:
        faces = Face.objects.select_related("current").order_by("number")
        photos = review_access.photos_for(request.user).select_related("user")
        return photos.prefetch_related(Prefetch("faces", queryset=faces))

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.has_perm("recognizer.delete_photo")

    def delete_model(self, request: HttpRequest, obj: Photo) -> None:
        deletion.purge(Photo.objects.filter(pk=obj.pk))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Photo]) -> None:
        deletion.purge(Photo.objects.filter(pk__in=list(queryset.values_list("pk", flat=True))))

    @admin.display(description=_("photo"))
    def picture(self, photo: Photo) -> SafeString:
        url = reverse("photo-image", args=[photo.pk, "thumbnail"])
        return format_html('<img class="we-thumbnail" src="{}" alt="" loading="lazy">', url)

    @admin.display(description=_("owner"))
    def owner(self, photo: Photo) -> str:
        return str(photo.user) if photo.user else str(_("guest"))

    @admin.display(description=_("faces"))
    def what_was_found(self, photo: Photo) -> SafeString:
        labels = [(verdict(face.current),) for face in photo.tile_faces if face.current]
        return format_html_join(" ", "{}", labels)

    @admin.display(description=_("photo with its boxes"))
    def with_boxes(self, photo: Photo) -> SafeString:
        kind = "annotated" if photo.annotated else "display"
        url = reverse("photo-image", args=[photo.pk, kind])
        return format_html('<img class="we-photo" src="{}" alt="{}">', url, photo.name)

    @admin.display(description=_("faces"))
    def predictions(self, photo: Photo) -> SafeString:
        rows = (
            (
                reverse("admin:recognizer_prediction_change", args=[face.current.pk]),
                crop(face),
                verdict(face.current),
                probabilities(face.current, most=3),
            )
            for face in photo.tile_faces
            if face.current
        )
        cards = format_html_join("", '<a class="we-face" href="{}">{}{}{}</a>', rows)
        return format_html('<div class="we-faces">{}</div>', cards)

    @admin.action(description=_("Queue the selected photos again"))
    def queue_again(self, request: HttpRequest, photos: QuerySet[Photo]) -> None:
        queued = recognition.queue_again(photos.values_list("pk", flat=True))
        words = ngettext("%(n)d photo was queued.", "%(n)d photos were queued.", queued)
        self.message_user(request, words % {"n": queued}, messages.SUCCESS)


class ReviewInline(admin.TabularInline[Review, Prediction]):
    """Earlier verdicts to read, and one line to add another; none can be changed."""

    model = Review
    form = ReviewForm
    extra = 1
    readonly_fields = ("role", "reviewer", "made")
    verbose_name_plural = _("verdicts (new ones are added, none is overwritten)")

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return review_access.can_review(request.user)

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return review_access.can_review(request.user)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    @admin.display(description=_("created"))
    def made(self, review: Review) -> datetime | str:
        return review.created if review.pk else "-"


@admin.register(Prediction)
class PredictionAdmin(ForReviewers):
    """Every prediction, to be looked at and reviewed; itself it never changes."""

    list_display = (
        "face_crop",
        "what",
        "first_bars",
        "photo",
        "reviewed",
        "model_version",
        "created",
    )
    list_display_links = ("face_crop", "what")
    list_filter = (
        "emotion",
        "uncertain",
        ("model_version", ModelFilter),
        "created",
        ReviewedFilter,
    )
    search_fields = ("face__photo__name", "face__photo__user__username")
    date_hierarchy = "created"
    list_per_page = 50
    actions = ("accept",)
    fields = (
        *("in_photo", "face_crop", "what", "bars", "why"),
        *("photo", "model_version", "created", "history"),
    )
    readonly_fields = fields
    inlines = (ReviewInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Prediction]:
        visible = review_access.photos_for(request.user)
        predictions = Prediction.objects.filter(face__photo__in=visible)
        related = predictions.select_related("face__photo", "model_version")
        return related.defer("model_version__card").prefetch_related("reviews")

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        # The page must be a form for the inline to take verdicts; all its own fields are read-only.
        return review_access.can_review(request.user)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        title = {"title": _("Select a prediction to review")}
        return super().changelist_view(request, {**title, **(extra_context or {})})

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> Any:
        context = {"title": _("Review a prediction"), **(extra_context or {})}
        return super().change_view(request, object_id, form_url, context)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """A prediction is never written again."""

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        assert request.user.is_authenticated
        formset.new_objects, formset.changed_objects, formset.deleted_objects = [], [], []
        for line in formset.extra_forms:
            if line.has_changed():
                review = reviews.record(
                    form.instance,
                    Review.Role.REVIEWER,
                    line.cleaned_data["verdict"],
                    line.cleaned_data["emotion"],
                    request.user,
                )
                formset.new_objects.append(review)

    @admin.action(description=_("Accept the selected predictions"))
    def accept(self, request: HttpRequest, predictions: QuerySet[Prediction]) -> None:
        assert request.user.is_authenticated
        for prediction in predictions:
            reviews.record(
                prediction, Review.Role.REVIEWER, Review.Verdict.ACCEPT, user=request.user
            )
        words = ngettext("%(n)d was accepted.", "%(n)d were accepted.", len(predictions))
        self.message_user(request, words % {"n": len(predictions)}, messages.SUCCESS)

    @admin.display(description=_("face"))
    def face_crop(self, prediction: Prediction) -> SafeString:
        return crop(prediction.face)

    @admin.display(description=_("emotion"), ordering="confidence")
    def what(self, prediction: Prediction) -> SafeString:
        return verdict(prediction)

    @admin.display(description=_("probabilities"))
    def bars(self, prediction: Prediction) -> SafeString:
        return probabilities(prediction)

    @admin.display(description=_("most probable"))
    def first_bars(self, prediction: Prediction) -> SafeString:
        return probabilities(prediction, most=3)

    @admin.display(description=_("why uncertain"))
    def why(self, prediction: Prediction) -> str:
        return " ".join(prediction.reason_texts) or str(_("It is not."))

    @admin.display(description=_("photo"))
    def photo(self, prediction: Prediction) -> SafeString:
        photo = prediction.face.photo
        url = reverse("admin:recognizer_photo_change", args=[photo.pk])
        return format_html('<a href="{}">{}</a>', url, photo.name)

    @admin.display(description=_("in its photo"))
    def in_photo(self, prediction: Prediction) -> SafeString:
        return in_photo(prediction.face, prediction.uncertain)

    @admin.display(description=_("history"))
    def history(self, prediction: Prediction) -> SafeString:
        url = reverse("admin:recognizer_face_change", args=[prediction.face_id])
        return format_html('<a href="{}">{}</a>', url, _("All that was said of this face"))

    @admin.display(description=_("reviews"))
    def reviewed(self, prediction: Prediction) -> str:
        made = [r for r in prediction.reviews.all() if r.role == Review.Role.REVIEWER]
        return ", ".join(str(review) for review in made)


@admin.register(Face)
class FaceAdmin(ForReviewers):
    """One face's history: what every model said of it, and every person, and when."""

    list_display = ("face_crop", "photo", "number", "opinions")
    search_fields = ("photo__name",)
    fields = ("marked", "said_by_models", "said_by_people")
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Face]:
        visible = review_access.photos_for(request.user)
        return Face.objects.filter(photo__in=visible).select_related("photo", "current")

    @admin.display(description=_("face"))
    def face_crop(self, face: Face) -> SafeString:
        return crop(face)

    @admin.display(description=_("in its photo"))
    def marked(self, face: Face) -> SafeString:
        return in_photo(face, face.uncertain)

    @admin.display(description=_("models"))
    def said_by_models(self, face: Face) -> SafeString:
        made = face.predictions.select_related("model_version").defer("model_version__card")
        rows = (
            (localize(localtime(one.created)), one.model_version, verdict(one), probabilities(one))
            for one in made
        )
        return table((_("when"), _("model"), _("answer"), _("probabilities")), rows)

    @admin.display(description=_("people"))
    def said_by_people(self, face: Face) -> SafeString:
        made = Review.objects.filter(prediction__face=face).select_related(
            "reviewer", "prediction__model_version"
        )
        rows = (
            (
                localize(localtime(one.created)),
                one.reviewer or _("guest, or an account that was closed"),
                one.get_role_display(),
                one,
                one.prediction.model_version,
                one.order or "–",
                "–" if one.seconds is None else f"{one.seconds:.1f} s",
            )
            for one in made
        )
        head = (_("when"), _("who"), _("as"), _("verdict"), _("on"), _("order"), _("took"))
        return table(head, rows)


@admin.register(Review)
class ReviewAdmin(ForReviewers):
    list_display = ("created", "prediction", "verdict", "emotion", "role", "reviewer")
    list_filter = ("verdict", "role", "emotion", "created")
    search_fields = ("reviewer__username", "prediction__face__photo__name")
    list_select_related = ("prediction", "reviewer")
    date_hierarchy = "created"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Review]:
        visible = review_access.photos_for(request.user)
        return super().get_queryset(request).filter(prediction__face__photo__in=visible)


@admin.register(ReviewScope)
class ReviewScopeAdmin(admin.ModelAdmin[ReviewScope]):
    """Who may review whose photos."""

    list_display = ("reviewers", "owners")


@admin.register(ModelVersion)
class ModelVersionAdmin(ReadOnlyAdmin):
    list_display = ("name", "sha256", "created")


@admin.register(Promotion)
class PromotionAdmin(ReadOnlyAdmin):
    """Which model the site uses, and used: the newest row counts."""

    list_display = ("number", "created", "chosen", "measured", "replaced", "kind", "who", "reason")
    list_filter = ("is_rollback", "created")
    list_select_related = ("version", "replaced", "who")
    list_per_page = 50
    search_fields = ("name", "version__name", "reason", "who__username")
    fields = (
        "number",
        "created",
        "chosen",
        "name",
        "measured",
        "replaced",
        "kind",
        "who",
        "reason",
    )

    @admin.display(description=_("model"), ordering="version")
    def chosen(self, promotion: Promotion) -> str:
        return str(promotion.version or _("the default"))

    @admin.display(description=_("accuracy on PublicTest (FER+)"))
    def measured(self, promotion: Promotion) -> str:
        metrics = promotion.version.card.get("metrics", {}) if promotion.version else {}
        found = promotions.accuracy(metrics)
        return f"{found.value:.2%}" if found else "-"

    @admin.display(description=_("kind"), ordering="is_rollback")
    def kind(self, promotion: Promotion) -> str:
        return str(_("rollback") if promotion.is_rollback else _("promotion"))


@admin.register(ApiToken)
class ApiTokenAdmin(ReadOnlyAdmin):
    list_display = ("name", "user", "created", "last_used", "revoked")
    list_filter = ("revoked",)
    search_fields = ("name", "user__username")
    exclude = ("digest",)
    actions = ("revoke",)

    @admin.action(description=_("Revoke the selected tokens"), permissions=["view"])
    def revoke(self, request: HttpRequest, chosen: QuerySet[ApiToken]) -> None:
        revoked = sum(tokens.revoke(token.user, token.pk) for token in chosen)
        words = ngettext("%(n)d token was revoked.", "%(n)d tokens were revoked.", revoked)
        self.message_user(request, words % {"n": revoked}, messages.SUCCESS)
