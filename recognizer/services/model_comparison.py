"""Two models on the same faces: where they say otherwise, and who the reviewers side with."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.db.models import Prefetch

from recognizer.models import Face, ModelVersion, Opinion, Prediction, User
from recognizer.services import accuracy, review_access
from recognizer.services.accuracy import Share

SHOWN: Final = 48


@dataclass(frozen=True, slots=True)
class Change:
    """A face that the two models call otherwise.

    Attributes:
        truth: the emotion that most reviewers gave it; "" if none has been, or they are divided.
    """

    face: Face
    old: Prediction
    new: Prediction
    truth: str


@dataclass(frozen=True, slots=True)
class Compared:
    """Two models side by side.

    Attributes:
        same: of the faces that both have seen, those that they call alike.
        old_right, new_right: of those that reviewers gave an emotion.
        mended, spoilt: how many of these only the new, or only the old one is right about.
        changes: the newest faces that are called otherwise, reviewed ones first.
    """

    same: Share
    old_right: Share
    new_right: Share
    mended: int
    spoilt: int
    changes: Sequence[Change]


def compare(reviewer: User, old: ModelVersion, new: ModelVersion) -> Compared:
    """Compare two models on the faces that a reviewer may see."""
    before, after = _answers(reviewer, old), _answers(reviewer, new)
    both = before.keys() & after.keys()
    changed = {face for face in both if before[face] != after[face]}
    truths = _truths(both, new)
    old_right = {face for face, truth in truths.items() if truth == before[face]}
    new_right = {face for face, truth in truths.items() if truth == after[face]}
    shown = sorted(changed, key=lambda face: (face not in truths, -face))[:SHOWN]
    return Compared(
        same=Share(len(both), len(both) - len(changed)),
        old_right=Share(len(truths), len(old_right)),
        new_right=Share(len(truths), len(new_right)),
        mended=len(new_right - old_right),
        spoilt=len(old_right - new_right),
        changes=_changes(shown, old, new, truths),
    )


def _answers(reviewer: User, version: ModelVersion) -> dict[int, str]:
    """What a model called each face."""
    faces = review_access.faces_for(reviewer)
    seen = Prediction.objects.filter(model_version=version, face__in=faces)
    return dict(seen.order_by().values_list("face", "emotion"))


def _truths(faces: set[int], version: ModelVersion) -> dict[int, str]:
    """The emotion that most reviewers gave, of the faces that have one; the version saw them."""
    seen = Opinion.objects.filter(face__predictions__model_version=version)
    standing = seen.select_related("review__prediction").defer("review__prediction__probabilities")
    said: dict[int, list[Opinion]] = {}
    for opinion in standing:
        if opinion.face_id in faces:
            said.setdefault(opinion.face_id, []).append(opinion)
    truths = {
        face: accuracy.truth([opinion.review for opinion in opinions])
        for face, opinions in said.items()
    }
    return {face: truth for face, truth in truths.items() if truth}


def _changes(
    faces: Sequence[int], old: ModelVersion, new: ModelVersion, truths: dict[int, str]
) -> list[Change]:
    wanted = Prediction.objects.filter(model_version__in=[old, new])
    rows = Face.objects.select_related("photo").prefetch_related(Prefetch("predictions", wanted))
    found = rows.in_bulk(faces)
    changes = []
    for key in faces:
        by_version = {one.model_version_id: one for one in found[key].predictions.all()}
        changes.append(
            Change(found[key], by_version[old.pk], by_version[new.pk], truths.get(key, ""))
        )
    return changes
