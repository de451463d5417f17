"""What tests of every room share: photos, people, real servers, a word on what did not run.

With REQUIRE_ALL=1 a test that cannot run fails instead of being skipped.
"""

import io
import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from celery import current_app
from django.core.cache import cache
from django.test import Client
from hypothesis import settings as hypothesis_settings
from numpy.typing import NDArray
from PIL import Image
from pytest_django import Settings

from recognizer.models import Photo, User
from tests import servers
from tests.factories import let_review

REQUIRE_ALL = os.environ.get("REQUIRE_ALL", "") not in {"", "0"}
PASSWORD = "correct horse battery staple"

# Quick rooms first: what is wrong shows early. The room of many short files comes last, so that
# no core waits for another at the end.
SLOW_ROOMS = ("install", "distributed", "browser")


# On a busy machine a first call takes long, and no test is about how long one takes.
hypothesis_settings.register_profile("untimed", deadline=None)
hypothesis_settings.load_profile("untimed")


# --- Photos ----------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def astronaut() -> NDArray[np.uint8]:
    """NASA's portrait of Eileen Collins, 512x512x3 RGB uint8, one face; not to be written to."""
    from skimage import data

    image: NDArray[np.uint8] = data.astronaut()  # type: ignore[no-untyped-call]
    image.setflags(write=False)
    return image


MakeImage = Callable[..., bytes]


@pytest.fixture(scope="session")
def jpeg() -> MakeImage:
    """`jpeg(image, **options)` gives the bytes of a JPEG; without an image, of a small gradient.

    `format="PNG"` and the like give other formats; further options are Pillow's.
    """

    def make(image: NDArray[np.uint8] | None = None, format: str = "JPEG", **options: Any) -> bytes:  # noqa: A002
        if image is None:
            ramp = np.linspace(0, 255, 64, dtype=np.uint8)
            image = np.dstack([np.tile(ramp, (48, 1))] * 3)
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, format, **options)
        return buffer.getvalue()

    return make


@pytest.fixture(autouse=True)
def own_files(settings: Settings, tmp_path: Path) -> None:
    """Each test stores its files, and the models of its site, in folders of its own."""
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.MODELS_ROOT = tmp_path / "own-models"


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    """What one test left in the cache of this process must not answer in another."""
    cache.clear()


@pytest.fixture(autouse=True)
def no_site_to_ask(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands ask the site's database which model is promoted; a test without one has none."""
    if request.node.get_closest_marker("django_db") or "db" in request.fixturenames:
        return
    monkeypatch.setattr("recognizer.services.model_versions.database_is_there", lambda: False)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[Any]]]:
    """The messages that would go to the broker."""
    messages: list[tuple[str, list[Any]]] = []

    def send_task(name: str, args: list[Any], **options: Any) -> None:
        messages.append((name, args))

    monkeypatch.setattr(current_app, "send_task", send_task)
    return messages


@pytest.fixture
def recognize_queued(db: None) -> Callable[[], int]:
    """Does at once what a worker would do: recognises every queued photo; gives their number."""
    from recognizer.services import recognition

    def recognize() -> int:
        waiting = Photo.objects.filter(status=Photo.Status.QUEUED).values_list("pk", flat=True)
        photo_ids = list(waiting)
        for photo_id in photo_ids:
            recognition.recognize(photo_id)
        return len(photo_ids)

    return recognize


@pytest.fixture(scope="session")
def fitted_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small model that knows drawn faces, with its Keras weights; read only."""
    pytest.importorskip("tensorflow", reason="TensorFlow is needed to train")
    from tests.training.fitted_model import write_fitted_model

    return write_fitted_model(tmp_path_factory.mktemp("fitted") / "fitted")


# --- People: an owner, another user, a guest, a reviewer ---------------------------------------


@pytest.fixture
def alice(db: None) -> User:
    return User.objects.create_user("alice", "alice@example.org", PASSWORD)


@pytest.fixture
def bob(db: None) -> User:
    return User.objects.create_user("bob", "bob@example.org", PASSWORD)


@pytest.fixture
def reviewer(db: None) -> User:
    """A member of staff who may review and look at what there is to review, and no more."""
    from django.contrib.auth.models import Permission

    user = User.objects.create_user("rita", "rita@example.org", PASSWORD, is_staff=True)
    names = ["review", "view_photo", "view_face", "view_prediction", "view_review"]
    user.user_permissions.set(
        Permission.objects.filter(content_type__app_label="recognizer", codename__in=names)
    )
    return let_review(user)


def _signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def alice_client(alice: User) -> Client:
    return _signed_in(alice)


@pytest.fixture
def bob_client(bob: User) -> Client:
    return _signed_in(bob)


@pytest.fixture
def reviewer_client(reviewer: User) -> Client:
    return _signed_in(reviewer)


@pytest.fixture
def guest_client(db: None) -> Client:
    """Someone who has not signed in and has not sent anything yet."""
    return Client()


# --- Real servers ------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    program = servers.find_redis()
    if program is None:
        pytest.skip("Redis is not installed (Debian: apt install redis-server)")
    with servers.redis_server(program) as url:
        yield url


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    binaries = servers.find_postgres()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt install postgresql)")
    with servers.postgres_server(binaries) as url:
        yield url


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium or Chrome."""
    program = servers.find_chromium()
    if program is None:
        pytest.skip("Chromium is not installed (Debian: apt install chromium)")
    return program


# --- What did not run ------------------------------------------------------------------------


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def slowness(item: pytest.Item) -> int:
        rooms = item.path.relative_to(Path(__file__).parent).parts
        return SLOW_ROOMS.index(rooms[0]) + 1 if rooms[0] in SLOW_ROOMS else 0

    items.sort(key=slowness)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, Any]:
    return _strict((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, Any, Any]:
    return _strict((yield))


def _strict(report: Any) -> Any:
    if REQUIRE_ALL and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"REQUIRE_ALL is set, and this did not run. {_reason(report)}"
    return report


def _reason(report: Any) -> str:
    """Why a test was skipped, without pytest's own words around it."""
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Says plainly at the end what was not run and why."""
    tests_by_reason: dict[str, list[str]] = {}
    for report in terminalreporter.getreports("skipped"):
        tests_by_reason.setdefault(_reason(report), []).append(report.nodeid)
    terminalreporter.section("Not run")
    if not tests_by_reason:
        terminalreporter.write_line("Nothing was left out.")
    for reason, tests in tests_by_reason.items():
        terminalreporter.write_line(f"{len(tests)} because: {reason}")
        for test in tests:
            terminalreporter.write_line(f"    {test}")
