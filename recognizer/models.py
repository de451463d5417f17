"""What is kept: photos, their faces, every model version's predictions, and people's reviews."""

import secrets
import uuid
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import PurePosixPath
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from recognizer.text import EMOTION_NAMES, REASON_TEXTS
from recognizer.vision.emotions import EMOTIONS, percent


class User(AbstractUser):
    """A signed-in person; a class of our own from the start, because it can't be added later."""


class PhotoQuerySet(models.QuerySet["Photo"]):
    def live(self) -> "PhotoQuerySet":
        """All but the deleted ones, which wait a moment for an undo before they are purged."""
        return self.filter(deleted_at=None)

    def claimed_as(self, photo: "Photo") -> "PhotoQuerySet":
        """The photo while it is claimed as it was when `photo` was read: by the same worker."""
        # The attempts alone start again when a photo is queued anew.
        return self.filter(
            pk=photo.pk,
            status=Photo.Status.PROCESSING,
            attempts=photo.attempts,
            claimed_at=photo.claimed_at,
        )

    def with_results(self) -> "PhotoQuerySet":
        """With faces and their current predictions, in two queries however many photos."""
        faces = Face.objects.with_current().order_by("number")
        return self.prefetch_related(models.Prefetch("faces", queryset=faces))


class FaceQuerySet(models.QuerySet["Face"]):
    def with_current(self) -> "FaceQuerySet":
        """With the newest predictions and their models' names, but not the models' long cards."""
        return self.select_related("current__model_version").defer("current__model_version__card")


@dataclass(frozen=True, slots=True)
class TileLabel:
    """Faces of a photo that are called alike."""

    text: str
    uncertain: bool
    count: int


def photo_path(row: models.Model, name: str) -> str:
    """A random path: neither the upload's name nor the photo's id gives a file away."""
    token = secrets.token_hex(16)
    return f"photos/{token[:2]}/{token}{PurePosixPath(name).suffix}"


class Photo(models.Model):
    """One uploaded image and what became of it. This row, not the queue, is the truth."""

    class Status(models.TextChoices):
        QUEUED = "queued", _("queued")
        PROCESSING = "processing", _("processing")
        DONE = "done", _("done")
        FAILED = "failed", _("failed")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, null=True, blank=True, related_name="photos"
    )
    guest = models.CharField(max_length=64, blank=True, default="")
    name = models.CharField(_("file name"), max_length=200)
    sha256 = models.CharField(max_length=64)
    format = models.CharField(max_length=16)
    note = models.CharField(max_length=200, blank=True, default="")
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    stored_bytes = models.PositiveBigIntegerField(default=0)
    original = models.FileField(upload_to=photo_path)
    display = models.FileField(upload_to=photo_path)
    thumbnail = models.FileField(upload_to=photo_path)
    annotated = models.FileField(upload_to=photo_path, blank=True)

    status = models.CharField(
        _("state"), max_length=10, choices=Status.choices, default=Status.QUEUED
    )
    error = models.TextField(blank=True, default="")
    attempts = models.PositiveSmallIntegerField(default=0)
    created = models.DateTimeField(default=timezone.now)
    # Its place in the queue goes by `queued_at`; `sent_at` is when a worker was last asked.
    queued_at = models.DateTimeField(default=timezone.now)
    sent_at = models.DateTimeField(default=timezone.now)
    claimed_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)

    objects = PhotoQuerySet.as_manager()

    class Meta:
        verbose_name = _("photo")
        verbose_name_plural = _("photos")
        ordering = ("-created", "-id")
        constraints = [
            models.CheckConstraint(
                condition=Q(user=None) ^ Q(guest=""), name="photo_has_exactly_one_owner"
            ),
            models.UniqueConstraint(
                fields=("user", "sha256"),
                condition=Q(user__isnull=False, deleted_at=None),
                name="photo_once_per_user",
            ),
            models.UniqueConstraint(
                fields=("guest", "sha256"),
                condition=Q(user=None, deleted_at=None),
                name="photo_once_per_guest",
            ),
        ]
        indexes = [
            models.Index(fields=("user", "-created", "-id"), name="photo_of_user"),
            models.Index(fields=("guest", "-created", "-id"), name="photo_of_guest"),
            models.Index(fields=("status", "queued_at"), name="photo_in_queue"),
            models.Index(fields=("deleted_at",), name="photo_deleted"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_moving(self) -> bool:
        return self.status in (self.Status.QUEUED, self.Status.PROCESSING)

    @property
    def expires(self) -> datetime | None:
        """When a guest's photo is deleted; None for a user's, which stays."""
        if self.user_id is not None:
            return None
        return self.created + timedelta(days=settings.GUEST_RETENTION_DAYS)

    @cached_property
    def queue_place(self) -> int | None:
        """1 for the next one to be taken; None when it isn't waiting."""
        if self.status != self.Status.QUEUED:
            return None
        ahead = Photo.objects.live().filter(
            Q(queued_at__lt=self.queued_at) | Q(queued_at=self.queued_at, id__lt=self.id),
            status=self.Status.QUEUED,
        )
        return ahead.count() + 1

    @property
    def tile_faces(self) -> list["Face"]:
        """The faces that have a prediction, the largest first."""
        return [face for face in self.faces.all() if face.current]

    @cached_property
    def tile_labels(self) -> list[TileLabel]:
        """What a tile says of the faces: uncertain ones first, then the most frequent."""
        counts = Counter((face.label, face.uncertain) for face in self.tile_faces)
        labels = [TileLabel(text, uncertain, n) for (text, uncertain), n in counts.items()]
        return sorted(labels, key=lambda label: (not label.uncertain, -label.count))

    @property
    def tile_rest(self) -> int:
        """How many faces the first two of `tile_labels` leave out."""
        return len(self.tile_faces) - sum(label.count for label in self.tile_labels[:2])

    @property
    def faces_found(self) -> int:
        return len(self.faces.all())

    @property
    def files(self) -> list[models.fields.files.FieldFile]:
        """Every stored file of the photo and of its faces."""
        own = [self.original, self.display, self.thumbnail, self.annotated]
        return [file for file in [*own, *(face.crop for face in self.faces.all())] if file]


class ModelVersion(models.Model):
    """A trained, calibrated, exported model with its card, as it was when first used."""

    name = models.CharField(max_length=100)
    sha256 = models.CharField(
        max_length=64, unique=True, help_text=_("Of the card, which names the hash of the weights.")
    )
    card = models.JSONField()
    created = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = _("model version")
        verbose_name_plural = _("model versions")
        ordering = ("-created",)

    def __str__(self) -> str:
        return f"{self.name} {self.sha256[:8]}"


class Face(models.Model):
    """One detected face. Coordinates are pixels of the upright photo."""

    photo = models.ForeignKey(Photo, models.CASCADE, related_name="faces")
    number = models.PositiveSmallIntegerField(help_text=_("1 for the largest face of the photo."))
    x = models.PositiveIntegerField()
    y = models.PositiveIntegerField()
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    landmarks = models.JSONField()
    detection_score = models.FloatField()
    crop = models.FileField(upload_to=photo_path)
    current = models.ForeignKey(
        "Prediction",
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        help_text=_("The newest prediction: the one that pages show."),
    )

    objects = FaceQuerySet.as_manager()

    class Meta:
        verbose_name = _("face")
        verbose_name_plural = _("faces")
        ordering = ("photo", "number")

    def __str__(self) -> str:
        return f"{self.photo} #{self.number}"

    @property
    def box(self) -> tuple[int, int, int, int]:
        return self.x, self.y, self.width, self.height

    @property
    def files(self) -> list[models.fields.files.FieldFile]:
        return [self.crop] if self.crop else []

    @property
    def label(self) -> str:
        """What the face is called on a page: "happy", or "? happy or surprise"."""
        return self.current.label if self.current else ""

    @property
    def uncertain(self) -> bool:
        return bool(self.current and self.current.uncertain)


class AppendOnly(models.Model):
    """A row that is written once. Deleting the photo is the one way to be rid of it."""

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise ValidationError(
                _("%(what)s is written once and never changed; add a new one instead.")
                % {"what": self._meta.verbose_name}
            )
        super().save(*args, **kwargs)


EMOTION_CHOICES = [(emotion, EMOTION_NAMES[emotion]) for emotion in EMOTIONS]


class Prediction(AppendOnly):
    """One model version's answer for one face.

    `probabilities` holds eight calibrated floats in the order of EMOTIONS; `emotion` is the
    most probable one even when `uncertain`; `reasons` says why, as codes. `valence` and `arousal`
    are -1 to 1, or null where the model does not give them.
    """

    face = models.ForeignKey(Face, models.CASCADE, related_name="predictions")
    model_version = models.ForeignKey(ModelVersion, models.PROTECT, related_name="predictions")
    probabilities = models.JSONField()
    emotion = models.CharField(_("emotion"), max_length=10, choices=EMOTION_CHOICES)
    confidence = models.FloatField(_("confidence"))
    uncertain = models.BooleanField(_("uncertain"))
    reasons = models.JSONField(default=list, blank=True)
    valence = models.FloatField(_("valence"), null=True, blank=True)
    arousal = models.FloatField(_("arousal"), null=True, blank=True)
    created = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = _("prediction")
        verbose_name_plural = _("predictions")
        ordering = ("-created", "-id")
        constraints = [
            models.UniqueConstraint(
                fields=("face", "model_version"), name="prediction_once_per_model_version"
            )
        ]
        indexes = [
            models.Index(fields=("emotion", "uncertain"), name="prediction_emotion"),
            models.Index(fields=("-created", "-id"), name="prediction_newest"),
        ]

    def __str__(self) -> str:
        return ("? " if self.uncertain else "") + f"{self.emotion} {percent(self.confidence)}"

    @property
    def label(self) -> str:
        """The emotion's name, or both of the first two where the model is uncertain."""
        (first, _p1), (second, _p2) = self.ranked[:2]
        if not self.uncertain:
            return str(EMOTION_NAMES[self.emotion])
        return gettext("? %(first)s or %(second)s") % {
            "first": EMOTION_NAMES[first],
            "second": EMOTION_NAMES[second],
        }

    @property
    def reason_texts(self) -> list[str]:
        return [str(REASON_TEXTS.get(reason, reason)) for reason in self.reasons]

    @property
    def ranked(self) -> list[tuple[str, float]]:
        """All eight emotions with their probabilities, the most probable first."""
        pairs = zip(EMOTIONS, self.probabilities, strict=True)
        return sorted(pairs, key=lambda pair: -pair[1])


class Review(AppendOnly):
    """A person's verdict on a prediction. The newest of a person counts; none is overwritten."""

    class Verdict(models.TextChoices):
        ACCEPT = "accept", _("accept")
        CORRECT = "correct", _("correct to")
        NOT_A_FACE = "not_a_face", _("not a face")
        CANT_TELL = "cant_tell", _("can't tell")

    class Role(models.TextChoices):
        OWNER = "owner", _("owner")
        REVIEWER = "reviewer", _("reviewer")

    prediction = models.ForeignKey(Prediction, models.CASCADE, related_name="reviews")
    # Empty for a guest, who has no account, and for a reviewer whose account was closed.
    reviewer = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="reviews"
    )
    role = models.CharField(_("role"), max_length=8, choices=Role.choices)
    verdict = models.CharField(_("verdict"), max_length=10, choices=Verdict.choices)
    emotion = models.CharField(_("emotion"), max_length=10, choices=EMOTION_CHOICES, blank=True)
    created = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = _("review")
        verbose_name_plural = _("reviews")
        ordering = ("-created", "-id")
        permissions = [("review", _("Can review predictions"))]
        constraints = [
            models.CheckConstraint(
                condition=Q(verdict="correct") ^ Q(emotion=""),
                name="review_names_an_emotion_only_to_correct",
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_verdict_display()} {self.emotion}".strip()


class Promotion(AppendOnly):
    """From then on the site uses this model version. The row with the highest number counts."""

    # Whoever follows the same row as somebody else comes too late: two at once can't both count.
    number = models.PositiveIntegerField(_("number"), unique=True)
    version = models.ForeignKey(
        ModelVersion,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="promotions",
        help_text=_("Empty: the site's default again, as before the first promotion."),
    )
    name = models.CharField(
        _("folder"), max_length=255, blank=True, default="", help_text=_("Of the model, then.")
    )
    replaced = models.ForeignKey(
        ModelVersion,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text=_("What the site used until then, as far as it could be told."),
    )
    previous = models.ForeignKey(
        "self",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text=_("Where a rollback leads; empty: to the site's default."),
    )
    is_rollback = models.BooleanField(_("rollback"), default=False)
    # Empty when it was done from the shell without a name, and once the account is closed.
    who = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    reason = models.CharField(_("reason"), max_length=500, blank=True, default="")
    created = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = _("promotion")
        verbose_name_plural = _("promotions")
        ordering = ("-number",)

    def __str__(self) -> str:
        return f"#{self.number} {self.version or gettext('the default')}"


class ApiToken(models.Model):
    """A personal token of the API; only its hash is kept."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="api_tokens")
    name = models.CharField(_("name"), max_length=100)
    digest = models.CharField(max_length=64, unique=True)
    created = models.DateTimeField(default=timezone.now)
    last_used = models.DateTimeField(null=True, blank=True)
    revoked = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("API token")
        verbose_name_plural = _("API tokens")
        ordering = ("-created",)

    def __str__(self) -> str:
        return self.name


class UploadTally(models.Model):
    """How many uploads an owner or an address has made in one hour."""

    who = models.CharField(max_length=64)
    hour = models.DateTimeField()
    uploads = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=("who", "hour"), name="tally_once_an_hour")]

    def __str__(self) -> str:
        return f"{self.who} {self.hour:%Y-%m-%d %H}h: {self.uploads}"


class Heartbeat(models.Model):
    """When each worker was last there: what /readyz goes by."""

    name = models.CharField(max_length=200, unique=True)
    seen = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} {self.seen:%Y-%m-%d %H:%M:%S}"
