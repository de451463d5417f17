"""Learn from reviews: start a run, compare old and new, promote, roll back, recognise again."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, Model, OuterRef, QuerySet
from django.http import FileResponse, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from recognizer.forms import ModelsForm
from recognizer.models import LearningRun, ModelVersion, Photo, Prediction, User
from recognizer.services import (
    learning,
    model_comparison,
    model_versions,
    promotions,
    recognition,
    review_access,
    reviewed_faces,
)
from recognizer.services.promotions import Promoted, Refused
from recognizer.services.reviewed_faces import Layout
from recognizer.views.review import View, for_reviewers

LEARN = "recognizer.add_learningrun"
PROMOTE = "recognizer.add_promotion"
RUNS_SHOWN = 20


def for_those_who_may(permission: str) -> Callable[[View], View]:
    """Only for people with a permission; others sign in, or learn that they may not."""

    def decorate(view: View) -> View:
        @wraps(view)
        def checked(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
            if not request.user.has_perm(permission):
                raise PermissionDenied
            return view(request, *args, **kwargs)

        wrapped: View = admin.site.admin_view(checked)
        return wrapped

    return decorate


@for_those_who_may("recognizer.view_learningrun")
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """How much there is to learn from, the model in use, and every run with its comparison."""
    runs = list(
        LearningRun.objects.select_related("base", "candidate", "who").defer(
            "base__card", "candidate__card"
        )[:RUNS_SHOWN]
    )
    used = _used()
    context = {
        **admin.site.each_context(request),
        "title": _("Learn from reviews"),
        "ready": learning.readiness(),
        "fewest": learning.FEWEST_FACES,
        "used": used,
        "promotion": model_versions.newest_promotion(),
        "runs": [_described(run, used) for run in runs],
        "waiting": _to_recognize_again(_person(request), used).count() if used else 0,
        "may_learn": request.user.has_perm(LEARN),
        "may_promote": request.user.has_perm(PROMOTE),
        "may_review": review_access.can_review(request.user),
    }
    return render(request, "review/learning.html", context)


@for_those_who_may(LEARN)
@require_POST
def ask(request: HttpRequest) -> HttpResponse:
    """Queue a run."""
    asked = learning.ask(_person(request))
    if isinstance(asked, Refused):
        messages.error(request, asked.reason)
    else:
        _log(request, asked, ADDITION, "asked for")
        messages.success(request, _("The model will learn from the reviews; this takes minutes."))
    return redirect("learning")


@for_those_who_may(LEARN)
@require_POST
def export(request: HttpRequest) -> HttpResponseBase:
    """The reviewed faces of owners who lend theirs, as a ZIP that the training room reads."""
    folders = request.POST.get("layout") == Layout.FOLDERS
    layout = Layout.FOLDERS if folders else Layout.VOTES
    try:
        archive = reviewed_faces.as_zip(layout)
    except reviewed_faces.ExportError as error:
        messages.error(request, str(error))
        return redirect("learning")
    _log(request, _person(request), CHANGE, "downloaded the reviewed faces that owners lend")
    return FileResponse(archive, as_attachment=True, filename="reviewed-faces.zip")


@for_those_who_may(PROMOTE)
@require_POST
def promote(request: HttpRequest, run_id: int) -> HttpResponse:
    """Have the site use a run's model."""
    run = get_object_or_404(LearningRun.objects.select_related("candidate"), pk=run_id)
    force = request.POST.get("although") == "on"
    reason = request.POST.get("reason", "").strip()
    try:
        outcome = learning.promote(run, _person(request), reason, force)
    except ValueError as error:  # Its folder is gone.
        outcome = Refused(str(error))
    _tell(request, outcome)
    return redirect("learning")


@for_those_who_may(PROMOTE)
@require_POST
def rollback(request: HttpRequest) -> HttpResponse:
    """Have the site use the model before."""
    reason = request.POST.get("reason", "").strip()
    _tell(request, promotions.rollback(_person(request), reason))
    return redirect("learning")


@for_reviewers
@require_POST
def again(request: HttpRequest) -> HttpResponse:
    """Have the model in use recognise the photos that it has not seen yet."""
    used = _used()
    photos = _to_recognize_again(_person(request), used) if used else Photo.objects.none()
    queued = recognition.queue_all_again(Photo.objects.filter(pk__in=photos.values("pk")))
    if used and queued:
        _log(request, used, CHANGE, f"queued {queued} photos to be recognised again")
    words = ngettext("%(n)d photo was queued.", "%(n)d photos were queued.", queued)
    messages.success(request, words % {"n": queued})
    return redirect("learning")


@for_reviewers
@require_safe
def compare(request: HttpRequest) -> HttpResponse:
    """Two models on the faces that both have seen."""
    form = ModelsForm(request.GET or None)
    found = None
    if form.is_valid():
        old, new = form.cleaned_data["old"], form.cleaned_data["new"]
        found = model_comparison.compare(_person(request), old, new)
    context = {
        **admin.site.each_context(request),
        "title": _("Compare two models"),
        "form": form,
        "found": found,
    }
    return render(request, "review/compare.html", context)


def _described(run: LearningRun, used: ModelVersion | None) -> dict[str, Any]:
    """A run with what its card on the page needs."""
    sets = [
        (_("Reviews held out"), run.comparison.get("held_out")),
        (_("Reference set"), run.comparison.get("reference")),
    ]
    return {
        "run": run,
        "sets": [(name, found) for name, found in sets if found],
        "no_reference": not run.comparison.get("reference"),
        "better": learning.is_better(run),
        "in_use": used is not None and run.candidate == used,
    }


def _used() -> ModelVersion | None:
    try:
        return model_versions.current()
    except (ValueError, OSError):
        return None


def _to_recognize_again(user: User, used: ModelVersion) -> QuerySet[Photo]:
    """The photos with faces that the model has not seen, as far as the person may review them."""
    seen = Prediction.objects.filter(face__photo=OuterRef("pk"), model_version=used)
    photos = review_access.photos_for(user).filter(
        status=Photo.Status.DONE, faces__current__isnull=False
    )
    return photos.exclude(Exists(seen)).distinct()


def _tell(request: HttpRequest, outcome: promotions.Outcome) -> None:
    if isinstance(outcome, Refused):
        messages.error(request, outcome.reason)
        return
    version = outcome.promotion.version
    if isinstance(outcome, Promoted):
        _log(request, outcome.promotion, CHANGE, str(outcome.promotion))
        for model, why in outcome.passed_over:
            words = _("%(model)s was passed over: %(why)s")
            messages.warning(request, words % {"model": model, "why": why})
    name = str(version) if version else _("its default model")
    messages.success(request, _("The site uses %(model)s from now on.") % {"model": name})


def _log(request: HttpRequest, row: Model, flag: int, text: str) -> None:
    LogEntry.objects.log_actions(
        user_id=_person(request).pk,
        queryset=[row],
        action_flag=flag,
        change_message=text,
        single_object=True,
    )


def _person(request: HttpRequest) -> User:
    assert isinstance(request.user, User)
    return request.user
