"""Whose photos a reviewer may see: those of the owners in the groups that they may review."""

from django.contrib.auth.models import AnonymousUser, Group
from django.db.models import Exists, OuterRef, QuerySet

from recognizer.models import (
    Face,
    FaceQuerySet,
    Photo,
    PhotoQuerySet,
    ReviewScope,
    User,
)


def can_review(user: User | AnonymousUser) -> bool:
    return user.is_active and user.has_perm("recognizer.review")


def photos_for(user: User | AnonymousUser) -> PhotoQuerySet:
    """The photos that a reviewer may see as one; none for anybody else.

    A superuser sees all of them.
    """
    if not isinstance(user, User) or not can_review(user):
        return Photo.objects.none()
    if user.is_superuser:
        return Photo.objects.live()
    scopes = ReviewScope.objects.filter(reviewers__in=user.groups.all())
    owners = list(scopes.values_list("owners", flat=True))
    if None in owners:
        return Photo.objects.live()
    # A subquery, because a join would give a photo once for each group of its owner.
    return Photo.objects.live().filter(user__in=User.objects.filter(groups__in=owners))


def groups_for(user: User) -> QuerySet[Group]:
    """The groups whose members' photos are among them, to choose from."""
    if not can_review(user):
        return Group.objects.none()
    scopes = ReviewScope.objects.filter(reviewers__in=user.groups.all())
    owners = list(scopes.values_list("owners", flat=True))
    if user.is_superuser or None in owners:
        return Group.objects.order_by("name")
    return Group.objects.filter(pk__in=owners).order_by("name")


def faces_for(user: User | AnonymousUser) -> FaceQuerySet:
    """The faces in them that have a prediction.

    Asked face by face (EXISTS), so that a database may go through the faces in the order wanted
    and stop at the first ones, instead of beginning with all photos.
    """
    photos = photos_for(user).filter(pk=OuterRef("photo"), status=Photo.Status.DONE)
    return Face.objects.filter(Exists(photos), current__isnull=False)
