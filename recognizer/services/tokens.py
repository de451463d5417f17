"""Personal API tokens: shown once, kept as a hash, revocable."""

import hashlib
import secrets
from datetime import timedelta

from django.utils import timezone

from recognizer.models import ApiToken, User

PREFIX = "we_"


def create(user: User, name: str) -> tuple[ApiToken, str]:
    """Make a token; the text is returned here and can't be had again."""
    text = PREFIX + secrets.token_urlsafe(32)
    return ApiToken.objects.create(user=user, name=name, digest=_digest(text)), text


def user_of(text: str) -> User | None:
    """The active user behind a token, or None when it is unknown or revoked."""
    token = (
        ApiToken.objects.select_related("user").filter(digest=_digest(text), revoked=None).first()
    )
    if token is None or not token.user.is_active:
        return None
    now = timezone.now()
    # Once a minute is enough to know, and spares a write per request.
    if token.last_used is None or now - token.last_used > timedelta(minutes=1):
        ApiToken.objects.filter(pk=token.pk).update(last_used=now)
    return token.user


def revoke(user: User, token_id: int) -> bool:
    """Make a token of the user's useless; False when there is no such token in use."""
    tokens = ApiToken.objects.filter(user=user, pk=token_id, revoked=None)
    return bool(tokens.update(revoked=timezone.now()))


def _digest(text: str) -> str:
    # 256 random bits need no salt and no slow hash: there is nothing to guess.
    return hashlib.sha256(text.encode()).hexdigest()
