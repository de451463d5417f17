"""Photos and the faces in them."""

import random
import secrets
import uuid
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import PurePosixPath

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _


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


def anywhere() -> float:
    """A place in a random order, 0-1."""
    return random.random()  # noqa: S311  (a sample has to be fair, not secret)


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
    # Decided once: what a model was measured by must never teach a later one.
    held_out = models.BooleanField(
        null=True,
        blank=True,
        help_text=_(
            "Whether models that learn from reviews are measured by it, and never learn from it; "
            "empty: no data set has had it yet."
        ),
    )

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

    # What the review queue is ordered by. Each is kept here because the queue must find the next
    # of 100,000 faces at once; `reviews` and `results` are the only ones to write them.
    opinions = models.PositiveSmallIntegerField(
        default=0, help_text=_("How many reviewers' verdicts on it stand.")
    )
    doubt = models.FloatField(
        default=0.0, help_text=_("1 minus the confidence of the newest prediction.")
    )
    disagreement = models.FloatField(
        default=0.0,
        help_text=_("The largest share of probability that two models place elsewhere."),
    )
    shuffle = models.FloatField(
        default=anywhere, help_text=_("Its place in a random order of all faces, 0-1.")
    )
    sampled_at = models.DateTimeField(
        null=True, blank=True, help_text=_("When the random order came to it; empty: not yet.")
    )

    objects = FaceQuerySet.as_manager()

    class Meta:
        verbose_name = _("face")
        verbose_name_plural = _("faces")
        ordering = ("photo", "number")
        indexes = [
            models.Index(fields=("opinions", "-doubt", "id"), name="face_by_doubt"),
            models.Index(fields=("opinions", "-disagreement", "id"), name="face_by_disagreement"),
            models.Index(fields=("opinions", "shuffle", "id"), name="face_at_random"),
        ]

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
