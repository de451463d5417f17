"""Two workers on Redis and PostgreSQL share the work, and one of them is killed in the middle."""

import os
import signal
import time
from pathlib import Path

import pytest
import redis

from tests.distributed.site import Process, Site, kill
from tests.servers import wait_until

PHOTOS = 50
# Long enough for one small photo on a busy machine, short enough to wait for.
STALE_AFTER = 8

pytestmark = pytest.mark.slow


def test_each_photo_ends_with_one_result_though_a_worker_is_killed(
    redis_url: str, postgres_url: str, tmp_path: Path
) -> None:
    variables = {"REDIS_URL": redis_url, "DATABASE_URL": postgres_url}
    with Site(tmp_path, **variables, STALE_AFTER=str(STALE_AFTER), SWEEP_EVERY="1") as site:
        site.do("upload", str(PHOTOS))
        first, _second, _beat = site.worker("first"), site.worker("second"), site.beat()
        wait_until(lambda: len(site.photos("done")) >= 5, "work has begun", seconds=60)

        held = stop_while_it_holds_a_photo(site, first)
        kill(first)
        assert len(site.photos("done")) < PHOTOS, "It was killed too late to be in the middle."
        site.wait_for_all(PHOTOS)

        attempts = site.photos("done")
        assert attempts[held] == 2
        assert sorted(attempts.values()) == [1] * (PHOTOS - 1) + [2]
        assert_one_result_each(site)
        assert_a_second_delivery_changes_nothing(site, redis_url)


def stop_while_it_holds_a_photo(site: Site, worker: Process) -> str:
    """Freezes the worker at a moment when it has claimed a photo. Gives the photo's id."""
    while site.photos("queued"):
        os.killpg(worker.pid, signal.SIGSTOP)
        if held := photo_that_nobody_finishes(site):
            return held
        os.killpg(worker.pid, signal.SIGCONT)
        time.sleep(0.05)
    raise AssertionError("The worker was never seen with a photo in hand.")


def photo_that_nobody_finishes(site: Site) -> str | None:
    """Of the photos being processed, the one that stays so while the other worker does more."""
    processing, done = set(site.photos("processing")), len(site.photos("done"))
    deadline = time.monotonic() + STALE_AFTER / 2
    while processing and time.monotonic() < deadline:
        processing &= set(site.photos("processing"))
        if len(processing) == 1 and len(site.photos("done")) >= done + 3:
            return processing.pop()
    return None


def assert_one_result_each(site: Site) -> None:
    results = site.do("results")
    assert len(results) == PHOTOS
    assert {result["status"] for result in results} == {"done"}
    # The same picture gives the same face, whichever worker looked at it, and one prediction.
    boxes = {str(result["boxes"]) for result in results}
    assert len(boxes) == 1
    assert [result["predictions"] for result in results] == [[1]] * PHOTOS
    assert [result["missing_files"] for result in results] == [[]] * PHOTOS


def assert_a_second_delivery_changes_nothing(site: Site, redis_url: str) -> None:
    before, files = site.do("results"), site.do("stored_files")
    site.do("send_again")
    broker = redis.Redis.from_url(redis_url)
    wait_until(lambda: broker.llen("celery") == 0, "the queue is empty", seconds=60)
    time.sleep(1)  # for the last message, which left the queue and may still be at work
    assert site.do("results") == before
    assert site.do("stored_files") == files
