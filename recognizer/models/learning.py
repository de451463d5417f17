"""Runs that learn from reviews: what they began with, how far they are, what came of them."""

from django.conf import settings
from django.db import models
from django.db.models import Q, Value
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from recognizer.models.versions import ModelVersion


class LearningRun(models.Model):
    """One try to make the site's model better with reviewed faces. This row is the truth of it.

    Attributes:
        dataset: counts of the faces that were learned from and held out, and the SHA-256 of both.
        comparison: old and new model on the same faces, as `training.comparison` gives it.
    """

    class Status(models.TextChoices):
        QUEUED = "queued", _("queued")
        RUNNING = "running", _("running")
        DONE = "done", _("done")
        FAILED = "failed", _("failed")

    status = models.CharField(
        _("state"), max_length=10, choices=Status.choices, default=Status.QUEUED
    )
    # Empty when it was begun from the shell without a name, and once the account is closed.
    who = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    base = models.ForeignKey(
        ModelVersion,
        models.PROTECT,
        related_name="+",
        verbose_name=_("old model"),
        help_text=_("What the site used when the run was asked for."),
    )
    candidate = models.ForeignKey(
        ModelVersion,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("new model"),
    )
    folder = models.CharField(
        _("folder"), max_length=100, blank=True, default="", help_text=_("Of the new model.")
    )
    dataset = models.JSONField(_("data set"), default=dict, blank=True)
    comparison = models.JSONField(_("comparison"), default=dict, blank=True)
    progress = models.CharField(_("progress"), max_length=300, blank=True, default="")
    error = models.TextField(_("error"), blank=True, default="")
    attempts = models.PositiveSmallIntegerField(default=0)
    created = models.DateTimeField(default=timezone.now)
    sent_at = models.DateTimeField(default=timezone.now)
    # Kept fresh while a process is at it: a run that was not seen for long has lost its process.
    seen_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("learning run")
        verbose_name_plural = _("learning runs")
        ordering = ("-created", "-id")
        constraints = [
            # Two who ask at once: the second one finds the first one's row. The value is the same
            # for all open runs, so there can be one of them.
            models.UniqueConstraint(
                Value(1),
                condition=Q(status__in=["queued", "running"]),
                name="learning_one_at_a_time",
            )
        ]

    def __str__(self) -> str:
        return f"#{self.pk}"

    @property
    def is_open(self) -> bool:
        return self.status in (self.Status.QUEUED, self.Status.RUNNING)
