"""A photo's faces as a page shows them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.utils.translation import gettext

from recognizer.models import Face, Photo, Review
from recognizer.vision.emotions import EMOTIONS


@dataclass(frozen=True, slots=True)
class FaceView:
    """One face with its newest prediction and its owner's verdict, ready for a template."""

    id: int
    number: int
    box: tuple[int, int, int, int]
    emotion: str
    confidence: float
    runner_up: str
    runner_up_confidence: float
    uncertain: bool
    reasons: list[str]
    reason_texts: list[str]
    label: str
    bars: list[tuple[str, float]]
    model: str
    own_verdict: str | None
    own_verdict_at: datetime | None


def views_of(photo: Photo) -> list[FaceView]:
    """The photo's faces, the largest first; two or three queries however many."""
    rows = photo.faces.with_current().order_by("number")
    faces = [face for face in rows if face.current]
    verdicts = _own_verdicts(face.current_id for face in faces)
    return [_view(face, verdicts.get(face.current_id)) for face in faces]


def view_of(face: Face) -> FaceView:
    """One face that has a prediction."""
    return _view(face, _own_verdicts([face.current_id]).get(face.current_id))


def _own_verdicts(prediction_ids: Iterable[int | None]) -> dict[int | None, Review]:
    reviews = Review.objects.filter(
        role=Review.Role.OWNER, prediction__in=list(prediction_ids)
    ).order_by("created", "id")
    return {review.prediction_id: review for review in reviews}


def _view(face: Face, verdict: Review | None) -> FaceView:
    prediction = face.current
    assert prediction is not None
    (_, confidence), (runner_up, runner_up_confidence) = prediction.ranked[:2]
    return FaceView(
        id=face.pk,
        number=face.number,
        box=face.box,
        emotion=prediction.emotion,
        confidence=confidence,
        runner_up=runner_up,
        runner_up_confidence=runner_up_confidence,
        uncertain=prediction.uncertain,
        reasons=prediction.reasons,
        reason_texts=prediction.reason_texts,
        label=prediction.label,
        bars=list(zip(EMOTIONS, prediction.probabilities, strict=True)),
        model=str(prediction.model_version),
        own_verdict=_words(verdict) if verdict else None,
        own_verdict_at=verdict.created if verdict else None,
    )


def _words(review: Review) -> str:
    """What the owner said, to follow "You said:"."""
    if review.verdict == Review.Verdict.CORRECT:
        return str(review.get_emotion_display())
    if review.verdict == Review.Verdict.ACCEPT:
        return gettext("right")
    return str(review.get_verdict_display())


def set_queue_places(photos: Iterable[Photo]) -> None:
    """Fill in the place in the queue of many photos with one query."""
    waiting = [photo for photo in photos if photo.status == Photo.Status.QUEUED]
    if not waiting:
        return
    last = max(photo.queued_at for photo in waiting)
    queued = Photo.objects.live().filter(status=Photo.Status.QUEUED, queued_at__lte=last)
    places: dict[UUID, int] = {
        pk: place
        for place, pk in enumerate(
            queued.order_by("queued_at", "pk").values_list("pk", flat=True), start=1
        )
    }
    for photo in waiting:
        photo.queue_place = places.get(photo.pk)
