"""What `dataset balance` and `dataset clean` make of folders, which both copy class by class."""

from pathlib import Path

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from recognizer.training.datasets.classes import CLASSES
from recognizer.training.datasets.faces import Faces
from recognizer.training.datasets.packing import Packing, pack
from recognizer.training.datasets.reading import read_dataset
from recognizer.training.datasets.votes import VotedFace
from tests.training.pictures import tight_crop, write_picture
from tests.training.votes import write_votes

FER2013_ORDER = ("anger", "disgust", "fear", "happy", "sad", "surprise", "neutral")

both = pytest.mark.parametrize("action", ["balance", "clean"])


@pytest.fixture(scope="module")
def face(astronaut: np.ndarray) -> np.ndarray:
    return tight_crop(astronaut)


def held_out(face: np.ndarray) -> np.ndarray:
    """Another picture: what is held out is not learned from."""
    return np.asarray(face[:, ::-1])


def run(action: str, root: Path, output: Path, *arguments: str) -> list[str]:
    """The files that were written in class folders, by name."""
    if action == "balance":
        call_command("dataset", action, str(root), str(output), "--per-class", "1", *arguments)
    else:
        call = [str(root), "--output", str(output), "--workers", "1", *arguments]
        call_command("dataset", action, *call)
    files = [path.relative_to(output) for path in output.rglob("*") if path.is_file()]
    return sorted(file.as_posix() for file in files if len(file.parts) > 1)


@both
def test_ferg_db_is_refused_by_name(action: str, tmp_path: Path, face: np.ndarray) -> None:
    for character in ("aia", "bonnie", "mery"):
        write_picture(tmp_path / "set" / character / f"{character}_joy/1.png", face)
    with pytest.raises(CommandError, match=r"layout 'FERG-DB.*each character to one of them"):
        run(action, tmp_path / "set", tmp_path / "out")


@both
def test_reviewed_faces_are_refused_by_name(action: str, tmp_path: Path, face: np.ndarray) -> None:
    write_picture(tmp_path / "set/faces/1.png", face)
    write_votes(tmp_path / "set", [VotedFace("faces/1.png", (1, *[0] * (len(CLASSES) - 1)))])
    with pytest.raises(CommandError, match=r"layout 'reviewed faces.*each group to one of them"):
        run(action, tmp_path / "set", tmp_path / "out")


@both
def test_a_packed_set_is_refused_by_name(action: str, tmp_path: Path, face: np.ndarray) -> None:
    one, votes = np.ones(1, np.int64), np.eye(1, 10, dtype=np.int64)
    packed = Faces(face[None], one, votes, one > 0, np.array(["Training"]), np.array([""]))
    pack(packed, tmp_path / "set", Packing())
    with pytest.raises(CommandError, match=r"layout 'packed.*that it was packed from"):
        run(action, tmp_path / "set", tmp_path / "out")


@both
def test_a_folder_around_the_data_set_is_looked_through(
    action: str, tmp_path: Path, face: np.ndarray
) -> None:
    write_picture(tmp_path / "set/archive/train/happy/a.png", face)
    write_picture(tmp_path / "set/archive/test/happy/b.png", held_out(face))
    (tmp_path / "set/__MACOSX").mkdir()
    assert run(action, tmp_path / "set", tmp_path / "out") == [
        "test/happy/b.png",
        "train/happy/a.png",
    ]


@both
def test_folders_keep_their_other_names(action: str, tmp_path: Path, face: np.ndarray) -> None:
    write_picture(tmp_path / "set/train/Happiness/a.png", face)
    write_picture(tmp_path / "set/validation/joyful/b.png", held_out(face))
    written = run(action, tmp_path / "set", tmp_path / "out")
    assert written == ["train/Happiness/a.png", "validation/joyful/b.png"]


@both
def test_digits_become_words(action: str, tmp_path: Path, face: np.ndarray) -> None:
    """Without its last picture, or one of the seven, no digit could be read back."""
    for digit in range(1, 7):
        write_picture(tmp_path / f"set/{digit}/a.png", face)
    (tmp_path / "set/0").mkdir()
    written = run(action, tmp_path / "set", tmp_path / "out", "--bad", "skip")
    assert written == sorted(f"{name}/a.png" for name in FER2013_ORDER[1:])
    assert len(read_dataset(tmp_path / "out").faces) == 6


@pytest.fixture
def bad(tmp_path: Path, face: np.ndarray) -> Path:
    """An unknown class, an empty one, and a broken picture on either side."""
    write_picture(tmp_path / "set/train/happy/a.png", face)
    write_picture(tmp_path / "set/test/happy/b.png", held_out(face))
    write_picture(tmp_path / "set/train/bored/c.png", face)
    (tmp_path / "set/train/sad").mkdir()
    return tmp_path / "set"


@both
def test_it_stops_for_all_problems_at_once(action: str, bad: Path, tmp_path: Path) -> None:
    (bad / "test/happy/broken.png").write_text("no picture")
    with pytest.raises(CommandError, match=r"has 3 problems:(.|\n)*--bad skip") as error:
        run(action, bad, tmp_path / "out")
    assert f"{bad}/train/bored: unknown class with 1 file" in str(error.value)
    assert f"{bad}/train/sad: an empty class" in str(error.value)
    assert f"{bad}/test/happy/broken.png: This is not an image." in str(error.value)
    assert not (tmp_path / "out").exists()


@both
def test_broken_pictures_stop_it_on_either_side(
    action: str, tmp_path: Path, face: np.ndarray
) -> None:
    for split in ("train", "test"):
        write_picture(tmp_path / "set" / split / "happy/a.png", face)
        (tmp_path / "set" / split / "happy/broken.png").write_text("no picture")
    with pytest.raises(CommandError, match="has 2 problems") as error:
        run(action, tmp_path / "set", tmp_path / "out")
    assert f"{tmp_path}/set/test/happy/broken.png: This is not an image." in str(error.value)
    assert not (tmp_path / "out").exists()


@both
def test_problems_are_named_counted_and_skipped_when_asked(
    action: str, bad: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for split in ("train", "test"):
        (bad / split / "happy/broken.png").write_text("no picture")
    written = run(action, bad, tmp_path / "out", "--bad", "skip")
    assert written == ["test/happy/b.png", "train/happy/a.png"]
    said = capsys.readouterr().err
    for part in ("train/bored", "train/sad", "train/happy/broken.png", "test/happy/broken.png"):
        assert f"Skipped {bad}/{part}: " in said
    assert "4 problems were skipped." in said


@both
def test_nothing_but_broken_pictures_is_refused_even_then(action: str, tmp_path: Path) -> None:
    (tmp_path / "set/happy").mkdir(parents=True)
    (tmp_path / "set/happy/1.png").write_text("hello")
    with pytest.raises(CommandError, match="no image that can be read"):
        run(action, tmp_path / "set", tmp_path / "out", "--bad", "skip")
