"""The admin: look at photos and predictions, review them, queue a photo again."""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from recognizer.admin import people, photos, verdicts, versions

__all__ = ["people", "photos", "verdicts", "versions"]

admin.site.site_header = _("WebEmotion administration")
admin.site.site_title = "WebEmotion"
admin.site.index_title = _("Photos, predictions and reviews")
