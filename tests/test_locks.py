"""One process at a time, whatever the others do."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from recognizer.locks import locked

BUSY = ValueError("busy")


def test_a_lock_is_held_by_one_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "folder/.lock"
    with locked(path, BUSY):
        with pytest.raises(ValueError, match="busy"), locked(path, BUSY):
            pytest.fail("Two hold the lock.")
        assert path.exists()
    assert not path.exists()
    with locked(path, BUSY):
        pass


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from recognizer.locks import locked\n"
        "with locked(Path(sys.argv[1]), ValueError()): os.kill(os.getpid(), 9)"
    )
    path = tmp_path / ".lock"
    assert subprocess.run([sys.executable, "-c", code, path], check=False).returncode == -9
    assert path.exists()
    with locked(path, BUSY):
        pass
    assert not path.exists()


def test_a_dangling_link_in_its_place_is_an_error(tmp_path: Path) -> None:
    (tmp_path / ".lock").symlink_to(tmp_path / "nowhere" / "at all")
    with pytest.raises(OSError, match=r"\.lock"), locked(tmp_path / ".lock", BUSY):
        pytest.fail("There is no such file.")


def test_two_never_hold_it_at_once_however_often_it_is_taken_away(tmp_path: Path) -> None:
    path, inside = tmp_path / ".lock", threading.Lock()
    together: list[int] = []
    turns: list[int] = []

    def take() -> None:
        while len(turns) < 2000 and not together:
            try:
                with locked(path, BUSY):
                    if not inside.acquire(blocking=False):
                        together.append(1)
                        return
                    turns.append(1)
                    inside.release()
            except ValueError:
                continue

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(turns) >= 2000
    assert not together
