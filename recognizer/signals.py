"""What happens beside signing in."""

from typing import Any

from django.contrib.auth.signals import user_logged_in
from django.dispatch import receiver
from django.http import HttpRequest

from recognizer.models import User
from recognizer.services import owners


@receiver(user_logged_in)
def keep_guest_photos(request: HttpRequest, user: User, **_: Any) -> None:
    """A guest who signs in keeps the photos: the session carries the guest's value over."""
    guest = request.session.get(owners.GUEST_KEY, "")
    if guest:
        owners.adopt(user.pk, guest)
