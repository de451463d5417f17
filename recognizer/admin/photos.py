"""Photos and the faces in them."""

from django.contrib import admin, messages
from django.db.models import Model, Prefetch, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.formats import localize
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from recognizer.admin.common import (
    ForReviewers,
    WithWhatHangsOn,
    crop,
    in_photo,
    probabilities,
    table,
    verdict,
)
from recognizer.admin.filters import (
    FaceEmotionFilter,
    ModelFilter,
    UncertainFilter,
)
from recognizer.models import (
    Face,
    Photo,
    Review,
)
from recognizer.services import (
    deletion,
    recognition,
    review_access,
)


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
