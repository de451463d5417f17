import shutil
from pathlib import Path

import pytest

from recognizer.training.datasets.faces import DatasetError
from recognizer.training.datasets.outputs import whole_folder

ABOUT = {"data": "these"}


class Killed(BaseException):
    """As by kill -9: nobody cleans up."""


def write(output: Path, about: dict[str, str] = ABOUT) -> list[str]:
    """Write a folder of two parts; gives the names of those that were not there yet."""
    written: list[str] = []
    with whole_folder(output, about) as whole:
        for name in ("a", "b"):

            def part(name: str = name) -> None:
                written.append(name)
                (whole.folder / name).write_text(name)

            whole.once(name, part)
    return written


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def killed(*_: object, **__: object) -> None:
    raise Killed


def test_a_folder_appears_whole_and_alone(tmp_path: Path) -> None:
    assert write(tmp_path / "out") == ["a", "b"]
    assert names(tmp_path) == ["out"]
    assert names(tmp_path / "out") == ["a", "b"]


@pytest.mark.parametrize("journal", [None, "", '{"data": "th'])
def test_files_that_tell_not_what_they_are_about_are_cleared_away(
    journal: str | None, tmp_path: Path
) -> None:
    partial = tmp_path / ".out.partial"
    partial.mkdir()
    (partial / "stray").write_text("of another data set")
    if journal is not None:
        (partial / ".parts.jsonl").write_text(journal)
    write(tmp_path / "out")
    assert names(tmp_path / "out") == ["a", "b"]


def killed_before_renaming(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", killed)
        with pytest.raises(Killed):
            write(output)


def test_a_run_killed_before_the_folder_has_its_name_is_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_before_renaming(tmp_path / "out", monkeypatch)
    assert names(tmp_path) == [".out.partial"]
    assert write(tmp_path / "out") == []
    assert names(tmp_path / "out") == ["a", "b"]


def test_what_such_a_run_left_is_not_mixed_into_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_before_renaming(tmp_path / "out", monkeypatch)
    (tmp_path / ".out.partial/stray").write_text("of this data set")
    assert write(tmp_path / "out", {"data": "others"}) == ["a", "b"]
    assert names(tmp_path / "out") == ["a", "b"]


def test_a_run_killed_after_that_has_left_a_whole_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename

    def rename_and_die(self: Path, target: Path) -> None:
        rename(self, target)
        raise Killed

    monkeypatch.setattr(Path, "rename", rename_and_die)
    with pytest.raises(Killed):
        write(tmp_path / "out")
    assert names(tmp_path) == ["out"]
    assert names(tmp_path / "out") == [".parts.jsonl", "a", "b"]
    with pytest.raises(DatasetError, match="in use"):
        write(tmp_path / "out", {"data": "others"})


def test_a_clearing_that_was_killed_leaves_no_part_to_rely_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        with whole_folder(tmp_path / "out", ABOUT) as whole:
            whole.once("a", lambda: None)
            raise DatasetError("It cannot be finished.")

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", killed)
        with pytest.raises(Killed):
            fail()
    assert write(tmp_path / "out") == ["a", "b"]


def test_a_place_that_another_process_writes_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    output = tmp_path / "out"
    with whole_folder(output, ABOUT) as whole:
        (whole.folder / "part").write_text("mine")
        with pytest.raises(DatasetError, match=r"Another process is writing to .*out"):
            write(output, {"data": "others"})
    assert (output / "part").read_text() == "mine"
    assert names(tmp_path) == ["out"]
