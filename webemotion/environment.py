"""Helpers for settings.py: what has to be found or made before Django can start."""

import logging
import os
import secrets
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured


def secret_key(path: Path) -> str:
    """The key kept in `path`, made once; only its owner may read it (mode 0600)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        _make_key(path)
    key = path.read_text(encoding="ascii").strip()
    if len(key) < 50:
        raise ImproperlyConfigured(
            f"The secret key in {path} is shorter than 50 characters. Delete the file to have a "
            "new one made (everyone is signed out), or set SECRET_KEY."
        )
    return key


def _make_key(path: Path) -> None:
    """Written aside, then linked: who finds the file finds a whole key, and the first one wins."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(50))
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()


def origin(public_url: str) -> tuple[str, str, bool]:
    """Split PUBLIC_URL into its origin, its host name and whether it is https."""
    parts = urlsplit(public_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ImproperlyConfigured(
            f'PUBLIC_URL must look like https://faces.example.org, not "{public_url}".'
        )
    return f"{parts.scheme}://{parts.netloc}", parts.hostname, parts.scheme == "https"


def is_news(record: logging.LogRecord) -> bool:
    """Whether a line belongs into the log: "not ready yet" is an answer, not an error."""
    request = getattr(record, "request", None)
    return getattr(request, "path", "") != "/readyz"
