"""Predictions, and what people say of them."""

from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from recognizer.admin.common import ForReviewers, crop, in_photo, probabilities, verdict
from recognizer.admin.filters import (
    ModelFilter,
    ReviewedFilter,
)
from recognizer.forms import ReviewForm
from recognizer.models import (
    Prediction,
    Review,
)
from recognizer.services import (
    review_access,
    reviews,
)


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
