"""Which face a reviewer gets next: in an order of their choice, and never one that another has.

A face in front of a reviewer is claimed. Claims are rows with a unique seat on a face, so two
reviewers who reach for the same face at the same moment cannot both get it, whatever the
database; a claim that was not used ends by itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from recognizer.models import Claim, Face, FaceQuerySet, Opinion, User
from recognizer.services import review_access

CLAIMED_FOR: Final = timedelta(minutes=10)
# So many faces more than wanted are looked at, in case that others claim the first ones just now.
_REACH: Final = 20
GRID: Final = 48


class Order(StrEnum):
    """In which order faces come."""

    UNCERTAIN = "uncertain"
    DISAGREEMENT = "disagreement"
    RANDOM = "random"


_BY: Final = {
    Order.UNCERTAIN: ("-doubt", "id"),
    Order.DISAGREEMENT: ("-disagreement", "id"),
    Order.RANDOM: ("shuffle", "id"),
}


@dataclass(frozen=True, slots=True)
class Queue:
    """What a reviewer wants to see.

    Attributes:
        reviewer: who.
        order: see `Order`. Only faces that two models judge differently come by disagreement.
        emotion: only faces that the newest prediction gives this emotion; "" for all.
    """

    reviewer: User
    order: Order = Order.UNCERTAIN
    emotion: str = ""

    def waiting(self) -> FaceQuerySet:
        """The faces that wait for this reviewer, those that others have included."""
        faces = review_access.faces_for(self.reviewer)
        if settings.REVIEW_OPINIONS == 1:
            # Said so, the index gives them in order, and nothing has to be sorted.
            faces = faces.filter(opinions=0)
        else:
            faces = faces.filter(opinions__lt=settings.REVIEW_OPINIONS)
            faces = faces.exclude(standing__reviewer=self.reviewer)
        if self.order == Order.DISAGREEMENT:
            faces = faces.filter(disagreement__gt=0)
        if self.emotion:
            faces = faces.filter(current__emotion=self.emotion)
        return faces.order_by(*_BY[self.order])

    @property
    def is_random(self) -> bool:
        """Are the answers a fair sample? Not if only some emotions are asked for."""
        return self.order == Order.RANDOM and not self.emotion


def take(queue: Queue, count: int = 1) -> Sequence[Face]:
    """Claim up to `count` faces for the reviewer, those that they have already first."""
    now = timezone.now()
    Claim.objects.filter(until__lt=now).delete()
    own = Claim.objects.filter(reviewer=queue.reviewer)
    waiting = queue.waiting().select_related("photo", "current")
    # By their keys, a handful: a join would make a database go through all the faces that wait.
    keys = list(own.values_list("face", flat=True))
    mine = sorted(waiting.filter(pk__in=keys), key=lambda face: keys.index(face.pk))
    # Those left over from another order or emotion would only keep others from them.
    own.exclude(face__in=mine).delete()
    own.update(until=now + CLAIMED_FOR)
    if len(mine) < count:
        # A seat that is taken is no place to look at, unless there are several.
        free = waiting.filter(claims=None) if settings.REVIEW_OPINIONS == 1 else waiting
        others = free.exclude(pk__in=[face.pk for face in mine])
        for face in others[: count + _REACH]:
            if len(mine) < count and _claim(face, queue.reviewer):
                mine.append(face)
    return mine[:count]


def _claim(face: Face, reviewer: User) -> bool:
    """Take a free seat on a face; False if there is none."""
    try:
        with transaction.atomic():
            # Locked, as it is while a verdict is written: one that came since the face was looked
            # up has left its seat, and must be seen.
            rows = Face.objects.select_for_update().filter(pk=face.pk)
            opinions = rows.values_list("opinions", flat=True).first()
            if opinions is None:
                return False  # The photo was erased just now.
            taken = set(Claim.objects.filter(face=face).values_list("seat", flat=True))
            for seat in range(settings.REVIEW_OPINIONS - opinions):
                if seat not in taken:
                    until = timezone.now() + CLAIMED_FOR
                    Claim.objects.create(face=face, seat=seat, reviewer=reviewer, until=until)
                    return True
    except IntegrityError:
        pass  # The reviewer has it already, in another window.
    return False


def claim_again(face: Face, reviewer: User) -> None:
    """Give a face back to the reviewer who has just withdrawn their verdict on it."""
    _claim(face, reviewer)


def mark_sampled(queue: Queue, face: Face) -> None:
    """Note that the random order has come as far as this face.

    Faces that it passed over because they had been reviewed in another order belong to the
    sample as well: without them, the uncertain faces would be missing from it.
    """
    now = timezone.now()
    passed = Q(shuffle__lt=face.shuffle, opinions__gt=0) | Q(pk=face.pk)
    seen = review_access.faces_for(queue.reviewer).filter(passed, sampled_at=None)
    Face.objects.filter(pk__in=seen.values("pk")).update(sampled_at=now)


def done_by(reviewer: User) -> int:
    """How many faces the reviewer's verdict stands on."""
    return Opinion.objects.filter(reviewer=reviewer).count()
