"""The review queue in the admin: one face at a time, and the keyboard."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import wraps
from math import ceil
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.admin.models import ADDITION, LogEntry
from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from recognizer.forms import QueueForm
from recognizer.models import Face, Opinion, Review, User
from recognizer.services import review_access, review_queue, reviews
from recognizer.services.review_queue import Queue
from recognizer.vision.emotions import EMOTIONS

View = Callable[..., HttpResponseBase]
# Counting 100,000 faces takes longer than finding the next one, and hurries nobody.
COUNTED_FOR = 15  # seconds
# Longer than this, the reviewer was not looking at the face.
LONGEST_LOOK = 600.0  # seconds


@dataclass(frozen=True, slots=True)
class Shown:
    """A face as the queue shows it.

    Attributes:
        around: x, y, width and height of the square of the photo that is shown large.
        answers: key, emotion, probability and whether it is the prediction, for each emotion.
        own: what the reviewer has said of it already.
    """

    face: Face
    around: tuple[int, int, int, int]
    answers: list[tuple[int, str, float, bool]]
    own: Review | None = None


def for_reviewers(view: View) -> View:
    """Only for those who may review; others sign in, or learn that they may not."""

    @wraps(view)
    def checked(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        if not review_access.can_review(request.user):
            raise PermissionDenied
        return view(request, *args, **kwargs)

    wrapped: View = admin.site.admin_view(checked)
    return wrapped


@for_reviewers
@require_safe
def queue(request: HttpRequest) -> HttpResponse:
    """The page, with the first face in it."""
    form = QueueForm(request.GET)
    context = {
        **admin.site.each_context(request),
        **_next(form.queue(_reviewer(request))),
        "title": QueueForm.TITLE,
        "form": form,
    }
    return render(request, "review/queue.html", context)


@for_reviewers
@require_POST
def verdict(request: HttpRequest) -> HttpResponse:
    """Record what the reviewer says of a face, and answer with the next one."""
    reviewer = _reviewer(request)
    asked = QueueForm(request.POST).queue(reviewer)
    faces = review_access.faces_for(reviewer).select_related("current")
    face = get_object_or_404(faces, pk=_number(request.POST.get("face")))
    # What was looked at is judged, even if another model has read the photo since.
    prediction = get_object_or_404(face.predictions, pk=_number(request.POST.get("prediction")))
    try:
        review = reviews.record(
            prediction,
            Review.Role.REVIEWER,
            request.POST.get("verdict", ""),
            request.POST.get("emotion", ""),
            reviewer,
            order=asked.order,
            seconds=_seconds(request.POST.get("seconds")),
        )
    except reviews.BadVerdict as error:
        return HttpResponseBadRequest(str(error), content_type="text/plain; charset=utf-8")
    if asked.is_random:
        review_queue.mark_sampled(asked, face)
    _log(request, face, review)
    return render(request, "review/face.html", _next(asked))


@for_reviewers
@require_POST
def undo(request: HttpRequest) -> HttpResponse:
    """Withdraw the reviewer's last verdict, and show its face again."""
    reviewer = _reviewer(request)
    asked = QueueForm(request.POST).queue(reviewer)
    undone = reviews.withdraw(reviewer)
    if undone is None:
        return render(request, "review/face.html", _next(asked))
    face = undone.prediction.face
    _log(request, face, undone)
    if not review_access.faces_for(reviewer).filter(pk=face.pk).exists():
        return render(request, "review/face.html", _next(asked))  # It may not be seen any more.
    review_queue.claim_again(face, reviewer)
    return render(request, "review/face.html", _with(asked, face))


@for_reviewers
@require_POST
def back(request: HttpRequest) -> HttpResponse:
    """Show again what the reviewer judged before; what they said stands until they say other."""
    reviewer = _reviewer(request)
    asked = QueueForm(request.POST).queue(reviewer)
    held = Opinion.objects.filter(
        reviewer=reviewer, face__in=review_access.faces_for(reviewer)
    ).order_by("-review__created", "-review")
    if before := _number(request.POST.get("before")):
        held = held.filter(review__lt=before)
    opinion = held.select_related("face__photo", "face__current", "review").first()
    if opinion is None:
        return render(request, "review/face.html", _next(asked))
    return render(request, "review/face.html", _with(asked, opinion.face, opinion.review))


@for_reviewers
@require_http_methods(["GET", "HEAD", "POST"])
def grid(request: HttpRequest) -> HttpResponse:
    """Many faces that are called alike: the wrong ones are marked, and the rest is accepted.

    The wrong ones stay claimed, so they are what the queue shows next, one at a time.
    """
    reviewer = _reviewer(request)
    form = QueueForm(request.POST or request.GET)
    asked = form.queue(reviewer)
    if request.method == "POST":
        wrong = {_number(key) for key in request.POST.getlist("wrong")}
        shown = {_number(key) for key in request.POST.getlist("face")}
        _accept(request, asked, shown - wrong)
        place = "review-queue" if wrong & shown else "review-grid"
        query = urlencode({"order": asked.order, "only": asked.emotion})
        return redirect(f"{reverse(place)}?{query}")
    faces = review_queue.take(asked, review_queue.GRID) if asked.emotion else []
    context = {
        **admin.site.each_context(request),
        "title": _("Review faces that are called alike"),
        "form": form,
        "asked": asked,
        "faces": faces,
    }
    return render(request, "review/grid.html", context)


def _accept(request: HttpRequest, asked: Queue, keys: Iterable[int]) -> None:
    """Accept what was predicted of the faces that the reviewer still holds."""
    held = asked.waiting().filter(pk__in=keys, claims__reviewer=asked.reviewer)
    for face in held.select_related("current"):
        assert face.current is not None
        review = reviews.record(
            face.current,
            Review.Role.REVIEWER,
            Review.Verdict.ACCEPT,
            user=asked.reviewer,
            order="grid",
        )
        _log(request, face, review)


def _next(asked: Queue) -> dict[str, object]:
    """The next face and the one after it, which the page loads ahead."""
    faces = review_queue.take(asked, 2)
    return _context(asked, faces[0] if faces else None, faces[1] if len(faces) > 1 else None)


def _with(asked: Queue, face: Face, own: Review | None = None) -> dict[str, object]:
    """This face, and the next one of the queue after it."""
    following = [other for other in review_queue.take(asked, 2) if other != face]
    return _context(asked, face, following[0] if following else None, own)


def _context(
    asked: Queue, face: Face | None, following: Face | None, own: Review | None = None
) -> dict[str, object]:
    key = f"review-waiting-{asked.reviewer.pk}-{asked.order}-{asked.emotion}"
    waiting = cache.get_or_set(key, asked.waiting().count, COUNTED_FOR)
    return {
        "shown": _shown(face, own) if face else None,
        "following": following,
        "waiting": waiting,
        "done": review_queue.done_by(asked.reviewer),
        "asked": asked,
    }


def _shown(face: Face, own: Review | None) -> Shown:
    assert face.current is not None
    x, y, width, height = face.box
    side = ceil(1.6 * max(width, height))
    left, top = x + (width - side) // 2, y + (height - side) // 2
    answers = [
        (key, emotion, probability, emotion == face.current.emotion)
        for key, (emotion, probability) in enumerate(
            zip(EMOTIONS, face.current.probabilities, strict=True), start=1
        )
    ]
    return Shown(face, (left, top, side, side), answers, own)


def _log(request: HttpRequest, face: Face, review: Review) -> None:
    LogEntry.objects.log_actions(
        user_id=_reviewer(request).pk,
        queryset=[review],
        action_flag=ADDITION,
        change_message=f"{face}: {review}",
        single_object=True,
    )


def _reviewer(request: HttpRequest) -> User:
    assert isinstance(request.user, User)
    return request.user


def _number(text: str | None) -> int:
    """A key out of a form; 0, which no row has, for anything else."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else 0


def _seconds(text: str | None) -> float | None:
    try:
        seconds = float(text or "")
    except ValueError:
        return None
    return seconds if 0 <= seconds <= LONGEST_LOOK else None
