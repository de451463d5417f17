"""Which lent photos teach models, and which only measure them: decided once for each photo.

A photo's faces stay together, and so do copies of it, whoever sent them. Where many people lend
photos, each person's stay together, too: then a model is measured by people it has never seen.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Final
from uuid import UUID

from django.db import transaction

from recognizer.models import Photo, User

SHARE: Final = 0.4
"""Of the faces that are held out: a clear answer is worth as much as a little more to learn."""
ENOUGH_PEOPLE: Final = 8
"""With fewer, whole people on one side would leave the measure to one or two of them."""


@transaction.atomic
def decide(photos: Iterable[Photo]) -> None:
    """Give each photo its side, `held_out`; those that have one keep it.

    Args:
        photos: lent ones, with the faces that count as their `faces`.
    """
    lent = list(photos)
    # One at a time; what others decided while this one waited stands.
    lenders = User.objects.filter(pk__in={photo.user_id for photo in lent}).order_by("pk")
    list(lenders.select_for_update().values_list("pk"))
    # Of photos that are lent no longer, too: a model may have learned from them.
    decided = Photo.objects.filter(held_out__isnull=False)
    copies: dict[str, bool | None] = dict(decided.values_list("sha256", "held_out"))
    sides = dict(decided.values_list("pk", "held_out"))
    for photo in lent:
        photo.held_out = sides.get(photo.pk)
    people: dict[int | None, set[bool]] = defaultdict(set)
    faces: Counter[bool] = Counter()

    def note(photo: Photo, side: bool) -> None:
        copies[photo.sha256] = side
        people[photo.user_id].add(side)
        faces[side] += len(photo.faces.all())

    for photo in lent:
        if photo.held_out is not None:
            note(photo, photo.held_out)
    whole_people = _are_many(lent)
    undecided = [photo for photo in lent if photo.held_out is None]
    for photo in sorted(undecided, key=lambda one: _anywhere(one, whole_people)):
        side = copies.get(photo.sha256)
        if side is None and whole_people and len(people[photo.user_id]) == 1:
            (side,) = people[photo.user_id]
        if side is None:
            side = faces[True] < SHARE * (faces[True] + faces[False])
        note(photo, side)
        photo.held_out = side
    Photo.objects.bulk_update(undecided, ["held_out"], batch_size=500)


def together(photos: Iterable[Photo]) -> dict[UUID, str]:
    """What each photo must stay together with wherever a side is divided further, by its key.

    Args:
        photos: all lent ones, decided.

    Returns:
        the same text for copies, and where many people lend photos, for a person's on one side.
    """
    lent = list(photos)
    whole_people = _are_many(lent)
    names: dict[str, str] = {}
    for photo in lent:
        person = f"person {photo.user_id} {photo.held_out}"
        # A copy stays with the photo, as it does when the sides are decided.
        names.setdefault(photo.sha256, person if whole_people else f"photo {photo.sha256}")
    return {photo.pk: names[photo.sha256] for photo in lent}


def _are_many(lent: list[Photo]) -> bool:
    return len({photo.user_id for photo in lent}) >= ENOUGH_PEOPLE


def _anywhere(photo: Photo, whole_people: bool) -> tuple[bytes, bytes]:
    """A place in an order that has nothing to do with the photos, a person's together."""
    person = f"person {photo.user_id}" if whole_people else ""
    return hashlib.sha256(person.encode()).digest(), hashlib.sha256(photo.sha256.encode()).digest()
