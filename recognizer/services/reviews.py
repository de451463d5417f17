"""Verdicts on predictions: the owner's own, and reviewers'; kept apart, never overwritten."""

from recognizer.models import Prediction, Review, User
from recognizer.vision.emotions import EMOTIONS


class BadVerdict(ValueError):
    """The verdict and the emotion do not fit together."""


def record(
    prediction: Prediction, role: str, verdict: str, emotion: str = "", user: User | None = None
) -> Review:
    """Add a verdict.

    Args:
        prediction: what is judged.
        role: Review.Role, the hat that the person wears.
        verdict: Review.Verdict.
        emotion: what it is corrected to; only, and always, with "correct".
        user: who, if signed in; an owner who is a guest has no account.

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
    return Review.objects.create(
        prediction=prediction, role=role, verdict=verdict, emotion=emotion, reviewer=user
    )
