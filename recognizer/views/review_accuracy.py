"""How accurate is it on my photos? The page of the estimate."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from recognizer.forms import SelectionForm
from recognizer.models import User
from recognizer.services.accuracy import Estimate, estimate
from recognizer.text import EMOTION_NAMES
from recognizer.views.review import for_reviewers

# Charts are drawn in a square of this side.
SIDE = 100


@for_reviewers
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """The estimate, in words, a table and charts."""
    assert isinstance(request.user, User)
    form = SelectionForm(request.GET, request.user)
    found = estimate(form.selection())
    context = {
        **admin.site.each_context(request),
        "title": _("How accurate is it on these photos?"),
        "form": form,
        "found": found,
        "emotions": EMOTION_NAMES.items(),
        "rows": _rows(found),
        "reliability": [
            (SIDE * one.confidence, SIDE * (1 - (one.right.value or 0)), one)
            for one in found.reliability
        ],
        "risk": " ".join(
            f"{SIDE * coverage:.1f},{SIDE * (1 - error):.1f}"
            for coverage, error in found.risk_coverage
        ),
    }
    return render(request, "review/accuracy.html", context)


def _rows(found: Estimate) -> list[tuple[str, int, list[tuple[int, bool]]]]:
    """The confusion matrix: the truth, how often it came, and each answer's count."""
    return [
        (
            str(EMOTION_NAMES[truth]),
            sum(said.values()),
            [(count, answer == truth) for answer, count in said.items()],
        )
        for truth, said in found.confusion.items()
    ]
