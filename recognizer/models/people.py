"""Who uses the site, and what they may do."""

from django.conf import settings
from django.contrib.auth.models import AbstractUser, Group
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _


class User(AbstractUser):
    """A signed-in person; a class of our own from the start, because it can't be added later.

    Attributes:
        lends_since: since when models may learn from the person's reviewed faces; empty: not.
    """

    lends_since = models.DateTimeField(_("lends faces since"), null=True, blank=True)


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


class ReviewScope(models.Model):
    """Whose photos a group of reviewers may review."""

    reviewers = models.ForeignKey(
        Group,
        models.CASCADE,
        related_name="review_scopes",
        verbose_name=_("reviewers"),
        help_text=_("Its members who have the permission to review."),
    )
    owners = models.ForeignKey(
        Group,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("owners"),
        help_text=_("Its members' photos. Empty: everybody's photos, guests' too."),
    )

    class Meta:
        verbose_name = _("review scope")
        verbose_name_plural = _("review scopes")
        constraints = [
            models.UniqueConstraint(fields=("reviewers", "owners"), name="review_scope_once"),
            models.UniqueConstraint(
                fields=("reviewers",), condition=Q(owners=None), name="review_scope_of_all_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.reviewers}: {self.owners or gettext('everybody')}"
