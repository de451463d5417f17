"""Model versions, and which one the site uses."""

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from recognizer.models.append_only import AppendOnly


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
