"""Verdicts on predictions: the owner's own, and reviewers'; kept apart, never overwritten."""

from django.db import transaction

from recognizer.models import Claim, Face, Opinion, Prediction, Review, User
from recognizer.vision.emotions import EMOTIONS


class BadVerdict(ValueError):
    """The verdict and the emotion do not fit together."""


def record(
    prediction: Prediction,
    role: str,
    verdict: str,
    emotion: str = "",
    user: User | None = None,
    *,
    order: str = "",
    seconds: float | None = None,
) -> Review:
    """Add a verdict.

    Args:
        prediction: what is judged.
        role: Review.Role, the hat that the person wears.
        verdict: Review.Verdict.
        emotion: what it is corrected to; only, and always, with "correct".
        user: who, if signed in; an owner who is a guest has no account.
        order: of the review queue that showed the face, if one did.
        seconds: that the person looked at it, if that is known.

    Raises:
        BadVerdict: an unknown verdict, or an emotion too many, too few or unknown.
    """
    if verdict not in Review.Verdict.values:
        expected = ", ".join(Review.Verdict.values)
        raise BadVerdict(f'Expected a verdict of {expected}; got "{verdict}".')
    if (verdict == Review.Verdict.CORRECT) != (emotion in EMOTIONS) or (
        emotion and emotion not in EMOTIONS
    ):
        raise BadVerdict(
            f'"correct" needs one of {", ".join(EMOTIONS)}, and other verdicts take no emotion; '
            f'got "{verdict}" with "{emotion}".'
        )
    with transaction.atomic():
        review = Review.objects.create(
            prediction=prediction,
            role=role,
            verdict=verdict,
            emotion=emotion,
            reviewer=user,
            order=order,
            seconds=seconds,
        )
        if role == Review.Role.REVIEWER and user is not None:
            _stand_by(review, user)
    return review


def withdraw(user: User) -> Review | None:
    """Undo a reviewer's last verdict that stands, by another review, which is given back."""
    newest = Opinion.objects.filter(reviewer=user).order_by("-review__created", "-review")
    last = newest.select_related("review__prediction__face").first()
    if last is None:
        return None
    undone, order = last.review.prediction, last.review.order
    role, withdrawn = Review.Role.REVIEWER, Review.Verdict.WITHDRAWN
    review = record(undone, role, withdrawn, user=user, order=order)
    undone.face.refresh_from_db()
    return review


def answer_of(review: Review) -> str:
    """The emotion that a review gives its face; "" where it gives none."""
    match review.verdict:
        case Review.Verdict.ACCEPT:
            return review.prediction.emotion
        case Review.Verdict.CORRECT:
            return review.emotion
        case _:
            return ""


def _stand_by(review: Review, user: User) -> None:
    """From now on this is what the reviewer says of the face."""
    face_id = review.prediction.face_id
    # Locked, so that two reviewers at once are both counted.
    Face.objects.select_for_update().get(pk=face_id)
    if review.verdict == Review.Verdict.WITHDRAWN:
        Opinion.objects.filter(face=face_id, reviewer=user).delete()
    else:
        Opinion.objects.update_or_create(
            face_id=face_id, reviewer=user, defaults={"review": review}
        )
    Claim.objects.filter(face=face_id, reviewer=user).delete()
    count = Opinion.objects.filter(face=face_id).count()
    Face.objects.filter(pk=face_id).update(opinions=count)
