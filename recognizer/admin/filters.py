"""What the admin's lists can be narrowed by."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from recognizer.models import EMOTION_CHOICES, Face, Photo, Prediction, Review


class ModelFilter(admin.RelatedOnlyFieldListFilter):
    """By model version; shown even while there is one, so that people learn which it is."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title = _("model")

    def has_output(self) -> bool:
        return bool(self.lookup_choices)


class FaceEmotionFilter(admin.SimpleListFilter):
    """Photos with a face that the model is sure to show this emotion."""

    title = _("emotion")
    parameter_name = "emotion"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return EMOTION_CHOICES

    def queryset(self, request: HttpRequest, queryset: QuerySet[Photo]) -> QuerySet[Photo]:
        if not self.value():
            return queryset
        sure = Face.objects.filter(current__emotion=self.value(), current__uncertain=False)
        return queryset.filter(pk__in=sure.values("photo"))


class UncertainFilter(admin.SimpleListFilter):
    """Photos with, or without, a face that the model is unsure of."""

    title = _("uncertain faces")
    parameter_name = "uncertain"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", _("Yes")), ("no", _("No"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Photo]) -> QuerySet[Photo]:
        unsure = Face.objects.filter(current__uncertain=True).values("photo")
        if self.value() == "yes":
            return queryset.filter(pk__in=unsure)
        return queryset.exclude(pk__in=unsure) if self.value() == "no" else queryset


class ReviewedFilter(admin.SimpleListFilter):
    title = _("reviewed")
    parameter_name = "reviewed"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", _("Yes")), ("no", _("No"))]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[Prediction]
    ) -> QuerySet[Prediction]:
        reviewed = Review.objects.filter(role=Review.Role.REVIEWER).values("prediction")
        if self.value() == "yes":
            return queryset.filter(pk__in=reviewed)
        return queryset.exclude(pk__in=reviewed) if self.value() == "no" else queryset
