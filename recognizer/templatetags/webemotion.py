"""Filters and tags that say numbers, emotions and times the way the whole site does."""

from datetime import datetime

from django import template
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince, timeuntil
from django.utils.translation import gettext as _

from recognizer.text import EMOTION_NAMES
from recognizer.vision.emotions import percent

register = template.Library()


register.filter(percent)


@register.filter
def emotion(code: str) -> str:
    """An emotion's code as its name in the reader's language."""
    return str(EMOTION_NAMES.get(code, code))


@register.filter
def tenths(share: float) -> str:
    """A share in tenths of a percent, where whole ones would hide a difference: "86.7%"."""
    return f"{100 * share:.1f}%"


@register.filter
def points(share: float) -> str:
    """A difference of two shares in percentage points, with its sign: "+2.4"."""
    return f"{100 * share:+.1f}".replace("-", "−")


@register.simple_tag
def reltime(moment: datetime) -> SafeString:
    """A moment as "2 minutes ago" or "in 14 days", the exact one on hover."""
    now = timezone.now()
    if abs((now - moment).total_seconds()) < 60:
        words = _("just now") if moment <= now else _("in a moment")
    elif moment < now:
        words = _("%(time)s ago") % {"time": timesince(moment, now, depth=1)}
    else:
        words = _("in %(time)s") % {"time": timeuntil(moment, now, depth=1)}
    local = timezone.localtime(moment)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        moment.isoformat(timespec="seconds"),
        f"{date_format(local, 'DATETIME_FORMAT')} {local.tzname()}",
        words,
    )
