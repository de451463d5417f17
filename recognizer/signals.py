"""What happens beside signing in and beside deleting rows."""

from typing import Any

from django.contrib.auth.signals import user_logged_in
from django.db import transaction
from django.db.models.signals import post_delete
from django.dispatch import receiver
from django.http import HttpRequest

from recognizer.models import Face, Photo, User
from recognizer.services import files, owners


@receiver(user_logged_in)
def keep_guest_photos(request: HttpRequest, user: User, **_: Any) -> None:
    """A guest who signs in keeps the photos: the session carries the guest's value over."""
    guest = request.session.get(owners.GUEST_KEY, "")
    if guest:
        owners.adopt(user.pk, guest)


@receiver(post_delete, sender=Photo)
@receiver(post_delete, sender=Face)
def remove_files(instance: Photo | Face, **_: Any) -> None:
    """However a row goes, with its owner's account too, its files go when that is certain."""
    # The row first: a file without a row is only waste, a row without files is a broken page.
    stored = instance.files
    transaction.on_commit(lambda: files.remove(stored), robust=True)
