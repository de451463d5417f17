"""A real browser on a live site, and photos to look at in it.

Every page fails its test when a script throws, or when the content security policy stops something.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, sync_playwright
from pytest_django.live_server_helper import LiveServer

from recognizer.models import Face, ModelVersion, Photo, Prediction, User
from recognizer.services import uploads
from recognizer.services.owners import Owner
from recognizer.vision.emotions import EMOTIONS
from tests.browser.files import picture

DESK: ViewportSize = {"width": 1280, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}
PATIENCE_MS = 8000


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Browser]:
    # Playwright's event loop runs in this thread, which makes Django suspect async code.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu", *quiet]
        )
        yield browser
        browser.close()


class Visitor:
    """Somebody with a browser of their own: cookies, one window, and what went wrong in it."""

    def __init__(self, browser: Browser, address: str, **options: Any) -> None:
        options.setdefault("viewport", DESK)
        self.context: BrowserContext = browser.new_context(base_url=address, **options)
        self.context.set_default_timeout(PATIENCE_MS)
        self.address = address
        self.complaints: list[str] = []
        self.page = self.context.new_page()
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda message: self._listen(message.type, message.text))

    def _listen(self, kind: str, text: str) -> None:
        # An answer of 4xx or 5xx is often what a test wants; what is shown then is its business.
        expected = text.startswith(("Failed to load resource", "Response Status Error Code"))
        if kind in {"error", "warning"} and not expected:
            self.complaints.append(text)

    def signs_in_as(self, user: User) -> None:
        client = Client()
        client.force_login(user)
        cookie = client.cookies["sessionid"]
        self.context.add_cookies(
            [{"name": "sessionid", "value": cookie.value, "url": self.address}]
        )

    def says_nothing_went_wrong(self) -> None:
        assert self.complaints == []


VisitorMaker = Callable[..., Visitor]


@pytest.fixture
def visit(browser: Browser, live_server: LiveServer) -> Iterator[VisitorMaker]:
    """`visit(**options of the browser's context)`: a new visitor, checked when the test ends."""
    visitors: list[Visitor] = []

    def make(**options: Any) -> Visitor:
        visitors.append(Visitor(browser, live_server.url, **options))
        return visitors[-1]

    yield make
    for visitor in visitors:
        visitor.context.close()
    for visitor in visitors:
        visitor.says_nothing_went_wrong()


@pytest.fixture
def page(visit: VisitorMaker) -> Page:
    """The window of a guest at a desk."""
    return visit().page


@pytest.fixture
def alice_page(visit: VisitorMaker, alice: User) -> Page:
    visitor = visit()
    visitor.signs_in_as(alice)
    return visitor.page


# --- Photos ----------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def portrait(tmp_path_factory: pytest.TempPathFactory, astronaut: Any, jpeg: Any) -> Path:
    """A file with one face."""
    path = tmp_path_factory.mktemp("photos") / "portrait.jpg"
    path.write_bytes(jpeg(astronaut, quality=90))
    return path


@dataclass(frozen=True)
class Look:
    """What the model is to have said of a face: its first two emotions."""

    emotion: str
    confidence: float = 0.9
    runner_up: str = "neutral"
    reasons: Sequence[str] = ()

    @property
    def probabilities(self) -> list[float]:
        rest = 1 - self.confidence
        shares = dict.fromkeys(EMOTIONS, rest * 0.4 / 6)
        shares |= {self.runner_up: rest * 0.6, self.emotion: self.confidence}
        return [shares[name] for name in EMOTIONS]


HAPPY = Look("happy", 0.93, "surprise")
UNSURE = Look("happy", 0.41, "surprise", ["close_call", "small_face"])

Keeper = Callable[..., Photo]


@pytest.fixture
def keep(db: None) -> Keeper:
    """`keep(user, name, *looks)`: a photo of the user's that is done, with these faces.

    `status` and `error` make it another than done. Nothing is recognised, so it takes no time.
    """
    seeds = iter(range(1, 10_000))

    def make(user: User, name: str, *looks: Look, status: str = "done", error: str = "") -> Photo:
        data = picture(next(seeds), 640, 480)
        outcome = uploads.receive_bytes(Owner(user_id=user.pk), name, data)
        assert isinstance(outcome, uploads.Accepted)
        photo = outcome.photo
        for number, look in enumerate(looks, start=1):
            _add_face(photo, number, look)
        photo.status, photo.error = status, error
        if status == "done":
            photo.annotated.save("annotated.jpg", ContentFile(picture(0)), save=False)
        photo.save()
        return photo

    return make


def _add_face(photo: Photo, number: int, look: Look) -> None:
    version, _ = ModelVersion.objects.get_or_create(sha256="0" * 64, name="test", card={})
    face = Face(
        photo=photo,
        number=number,
        x=20 + 200 * ((number - 1) % 3),
        y=60 + 120 * ((number - 1) // 3),
        width=90,
        height=100,
        landmarks={},
        detection_score=0.99,
    )
    face.crop.save("crop.jpg", ContentFile(picture(number, 48, 48)), save=False)
    face.save()
    face.current = Prediction.objects.create(
        face=face,
        model_version=version,
        probabilities=look.probabilities,
        emotion=look.emotion,
        confidence=look.confidence,
        uncertain=bool(look.reasons),
        reasons=list(look.reasons),
    )
    face.save(update_fields=["current"])
