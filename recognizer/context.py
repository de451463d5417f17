"""What every template may use."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest

from recognizer.services import review_access
from recognizer.text import SITE_NAME


def site(request: HttpRequest) -> dict[str, Any]:
    user = getattr(request, "user", None)
    return {
        "site_name": SITE_NAME,
        "signup_enabled": settings.SIGNUP_ENABLED,
        "owner_is_guest": user is None or not user.is_authenticated,
        "can_review": user is not None and review_access.can_review(user),
    }
