"""What every answer carries, and how the cookies are set."""

import re
import subprocess
import sys
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from recognizer.models import User
from tests.factories import make_photo, owned_by
from tests.variables import ROOT

PAGES = ["/", "/history/", "/about/", "/account/", "/sign-in/", "/sign-up/", "/password-reset/"]
PAGES += ["/nothing/", "/healthz", "/api/v1/photos", "/jsi18n/"]


@pytest.mark.parametrize("path", PAGES)
def test_every_answer_restricts_what_a_page_may_load(guest_client: Client, path: str) -> None:
    answer = guest_client.get(path)
    policy = dict(
        part.strip().partition(" ")[::2]
        for part in answer.headers["Content-Security-Policy"].split(";")
    )
    assert policy["default-src"] == "'self'"
    assert policy["object-src"] == policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["Referrer-Policy"] == "same-origin"


def test_pages_keep_to_the_policy(alice_client: Client, alice: User) -> None:
    photo = make_photo(owned_by(alice), faces=["happy", "?sad"])
    for path in [*PAGES[:7], f"/photos/{photo.pk}/"]:
        page = alice_client.get(path, follow=True).content.decode()
        assert not re.search(r"\son\w+=", page), path
        assert not re.search(r"<script(?![^>]*\bsrc=)", page), path
        assert "<style" not in page
        assert not re.search(r"\sstyle=", page), path
        assert not re.search(r'(?:src|href|action)="(?:https?:)?//', page), path


def test_the_cookies_of_a_visit(guest_client: Client, alice: User, settings: Settings) -> None:
    page = guest_client.get("/sign-in/")
    csrf = page.cookies[settings.CSRF_COOKIE_NAME]
    assert csrf["samesite"] == "Lax"
    answer = guest_client.post(
        "/sign-in/", {"username": "alice", "password": "correct horse battery staple"}
    )
    session = answer.cookies[settings.SESSION_COOKIE_NAME]
    assert session["httponly"]
    assert session["samesite"] == "Lax"
    assert not session["secure"]  # on http://127.0.0.1 a secure cookie would not come back


def settings_with(tmp_path: Any, **variables: str) -> list[str]:
    """What some settings are when Django starts with these environment variables."""
    names = "SESSION_COOKIE_SECURE CSRF_COOKIE_SECURE DEBUG SIGNUP_ENABLED SESSION_COOKIE_HTTPONLY"
    code = (
        "from django.conf import settings\n"
        f"print(*(getattr(settings, name) for name in {names.split()}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={
            "DJANGO_SETTINGS_MODULE": "webemotion.settings",
            "WEBEMOTION_DATA": str(tmp_path),
            **variables,
        },
        text=True,
        capture_output=True,
        check=True,
    )
    return done.stdout.split()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://faces.example.org", ["True", "True", "False", "False", "True"]),
        ("http://faces.example.org", ["False", "False", "False", "False", "True"]),
        ("", ["False", "False", "False", "True", "True"]),
    ],
)
def test_the_public_address_decides_about_secure_cookies(
    tmp_path: Any, url: str, expected: list[str]
) -> None:
    assert settings_with(tmp_path, PUBLIC_URL=url) == expected


def test_messages_to_workers_are_json_only(settings: Settings) -> None:
    assert settings.CELERY_TASK_SERIALIZER == "json"
    assert settings.CELERY_ACCEPT_CONTENT == ["json"]
