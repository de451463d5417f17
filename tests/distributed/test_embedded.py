"""Without Redis and PostgreSQL: SQLite and a queue of files, in one data folder."""

from functools import partial
from pathlib import Path

import pytest

from tests.distributed.site import Site, kill
from tests.servers import wait_until
from tests.vision.tiny_model import write_tiny_model

pytestmark = pytest.mark.slow


def test_the_queue_of_files_delivers_every_photo(tmp_path: Path) -> None:
    with Site(tmp_path) as site:
        site.worker("only")
        site.do("upload", "10")
        site.wait_for_all(10)
        assert set(site.photos("done").values()) == {1}
        assert [result["predictions"] for result in site.do("results")] == [[1]] * 10


def test_an_emptied_queue_loses_no_photo(tmp_path: Path) -> None:
    with Site(tmp_path, STALE_AFTER="3", SWEEP_EVERY="1") as site:
        site.do("upload", "5")
        messages = list((tmp_path / "queue" / "messages").iterdir())
        assert len(messages) == 5
        for message in messages:
            message.unlink()
        site.worker("only")
        site.beat()
        site.wait_for_all(5)
        assert set(site.photos("done").values()) == {1}


def test_the_next_worker_finishes_what_a_killed_one_held(tmp_path: Path) -> None:
    with Site(tmp_path, STALE_AFTER="8", SWEEP_EVERY="1") as site:
        site.do("upload", "20")
        held = kill_a_worker_that_holds_a_photo(site)
        site.worker("second")
        site.beat()
        site.wait_for_all(20)
        attempts = site.photos("done")
        assert attempts[held] == 2
        assert sorted(attempts.values()) == [1] * 19 + [2]
        assert [result["predictions"] for result in site.do("results")] == [[1]] * 20


def kill_a_worker_that_holds_a_photo(site: Site) -> str:
    """Starts workers and kills each at its work, until one dies with a photo in hand."""
    while site.photos("queued"):
        queued = site.photos("queued")
        worker = site.worker("first")
        wait_until(partial(_leaves_the_queue, site, queued), "the worker is at work")
        kill(worker)
        if held := site.photos("processing"):
            (photo,) = held
            return photo
    raise AssertionError("No worker was ever killed with a photo in hand.")


def _leaves_the_queue(site: Site, queued: dict[str, int]) -> bool:
    return site.photos("queued") != queued


def test_a_running_worker_takes_up_what_is_promoted_and_rolled_back(tmp_path: Path) -> None:
    with Site(tmp_path) as site:
        site.worker("only")
        write_tiny_model(tmp_path / "models" / "mine")
        site.do("upload", "1")
        site.wait_for_all(1)
        for done, action in ((1, ["promote", "mine", "--force"]), (2, ["rollback"])):
            site.run("manage.py", "models", *action)
            site.do("upload", "1", str(done))
            site.wait_for_all(done + 1)
        assert site.do("models_used") == ["resnet9-ferplus", "mine", "resnet9-ferplus"]
