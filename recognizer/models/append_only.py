"""Rows that say what happened."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _


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
