from pathlib import Path

import pytest

from recognizer.training.fitting import run_folders

WANTED = {"seed": 1, "network": {"name": "resnet9"}}


class Killed(BaseException):
    """As by kill -9: nobody cleans up."""


@pytest.fixture
def half_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill in the middle of whatever is written."""
    write = Path.write_bytes

    def half(self: Path, content: bytes) -> None:
        write(self, content[: len(content) // 2])
        raise Killed

    monkeypatch.setattr(Path, "write_bytes", half)


def test_a_folder_is_claimed_once(tmp_path: Path) -> None:
    for _ in range(2):
        run_folders.claim(tmp_path / "run/config.json", WANTED)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["config.json"]
    with pytest.raises(ValueError, match=r"other settings \(seed differ"):
        run_folders.claim(tmp_path / "run/config.json", {**WANTED, "seed": 2})


def test_a_run_folder_is_one_processs_at_a_time(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with (
        run_folders.alone(run),
        pytest.raises(ValueError, match=r"Another process .*\(--run\)"),
        run_folders.alone(run),
    ):
        pass
    # Nothing was done in it, so nothing is left; and it is free for the next one.
    assert not run.exists()
    with run_folders.alone(run):
        run_folders.claim(run / "config.json", WANTED)
    assert (run / "config.json").exists()


@pytest.mark.usefixtures("half_written")
def test_a_killed_claim_claims_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Killed):
        run_folders.claim(tmp_path / "config.json", WANTED)
    monkeypatch.undo()
    run_folders.claim(tmp_path / "config.json", {**WANTED, "seed": 2})
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


@pytest.mark.parametrize("content", [b'{"seed": 1, "netw', b"", b"[1]", b"\xff"])
def test_a_damaged_claim_is_named_with_what_to_do(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"config\.json is damaged .*Restore .*\(--run\)"):
        run_folders.claim(tmp_path / "config.json", WANTED)


def test_a_history_that_was_only_begun_gets_its_heading(tmp_path: Path) -> None:
    (tmp_path / "history.csv").touch()
    run_folders.append(tmp_path, {"epoch": 1, "seconds": 60})
    assert run_folders.effort(tmp_path) == {"epochs_done": 1, "minutes": 1.0}


@pytest.mark.usefixtures("half_written")
def test_a_kill_forgets_no_epoch_that_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for epoch in (1, 2, 3):
        run_folders.append(tmp_path, {"epoch": epoch, "seconds": 9})
    with pytest.raises(Killed):
        run_folders.forget_after(tmp_path, 2)
    assert run_folders.effort(tmp_path)["epochs_done"] == 3
    monkeypatch.undo()
    run_folders.forget_after(tmp_path, 2)
    assert run_folders.effort(tmp_path)["epochs_done"] == 2
    # A model that has the same history comes from this run: nothing else may change in it.
    whole = (tmp_path / "history.csv").read_bytes()
    run_folders.forget_after(tmp_path, 2)
    assert (tmp_path / "history.csv").read_bytes() == whole
