import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from django.core.management import CommandError, call_command
from numpy.typing import NDArray
from PIL import Image
from pytest_django import Settings

from recognizer.vision import Recognition, Recognizer, classification
from recognizer.vision.classification import DEFAULT_MODEL
from recognizer.vision.emotions import EMOTIONS
from tests.vision.tiny_model import write_tiny_model

ROOT = Path(__file__).resolve().parents[2]
Photo = Callable[..., str]


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two small models in place of the shipped ones."""
    folder = tmp_path / "models"
    write_tiny_model(folder / DEFAULT_MODEL)
    write_tiny_model(folder / "other", size=32)
    monkeypatch.setattr(classification, "MODELS_FOLDER", folder)
    return folder


@pytest.fixture
def photo(tmp_path: Path, astronaut: NDArray[np.uint8]) -> Photo:
    """`photo("name.jpg")` writes the portrait there and gives its path."""

    def write(name: str, image: NDArray[np.uint8] = astronaut) -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cv2.imencode(".jpg", image[:, :, ::-1])[1].tobytes())
        return str(path)

    return write


class Run:
    """What one call of the command gave."""

    def __init__(self, *arguments: str) -> None:
        out, err = io.StringIO(), io.StringIO()
        self.status, self.complaint = 0, ""
        try:
            call_command("recognize", *arguments, stdout=out, stderr=err)
        except CommandError as error:
            self.status, self.complaint = error.returncode, str(error)
        self.out, self.err = out.getvalue(), err.getvalue()

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


def test_json_gives_one_object_per_photo_in_order(photo: Photo) -> None:
    paths = [photo("b.jpg"), photo("a.jpg", np.zeros((40, 60, 3), np.uint8))]
    run = Run("--json", *paths)
    assert run.status == 0
    first, second = run.rows
    assert [first["path"], second["path"]] == paths
    assert (first["width"], first["height"], first["error"]) == (512, 512, None)
    assert second == {"path": paths[1], "width": 60, "height": 40, "error": None, "faces": []}
    (face,) = first["faces"]
    assert set(face["probabilities"]) == set(EMOTIONS)
    assert sum(face["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert face["emotion"] == max(face["probabilities"], key=face["probabilities"].get)
    assert face["uncertain"] == bool(face["reasons"])
    assert face["valence"] is None


def test_bad_files_get_an_error_and_the_run_goes_on(photo: Photo, tmp_path: Path) -> None:
    good = photo("good.jpg")
    empty, text, broken = (tmp_path / name for name in ("empty.jpg", "text.jpg", "broken.jpg"))
    empty.touch()
    text.write_text("no image")
    broken.write_bytes(Path(good).read_bytes()[:5000])
    paths = [str(tmp_path / "missing.jpg"), str(tmp_path), str(empty), str(text), str(broken)]
    run = Run("--json", *paths, good)
    assert run.status == 1
    assert run.complaint == "5 of 6 photos could not be read."
    assert [row["path"] for row in run.rows] == [*paths, good]
    assert [row["error"] for row in run.rows] == [
        "There is no such file.",
        "This is a folder, not a photo.",
        "The file is empty.",
        "This is not an image.",
        "The image is damaged or incomplete.",
        None,
    ]
    for row in run.rows[:-1]:
        assert (row["width"], row["height"], row["faces"]) == (None, None, [])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_does_not_make_it_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (row,) = Run("--json", str(tmp_path / "pipe.jpg")).rows
    assert row["error"] == "This is not a regular file."


def test_a_path_is_given_back_exactly(
    photo: Photo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo("odd 😀\nname.jpg")
    monkeypatch.chdir(tmp_path)
    run = Run("--json", "./odd 😀\nname.jpg")
    assert run.rows[0]["path"] == "./odd 😀\nname.jpg"


def test_progress_goes_to_stderr(photo: Photo) -> None:
    path = photo("a.jpg", np.zeros((20, 20, 3), np.uint8))
    assert Run("--json", path, path).err == "1 of 2 photos\n2 of 2 photos\n"
    assert Run("--json", path, path, "--verbosity", "0").err == ""


def test_the_table_is_for_people(photo: Photo, tmp_path: Path) -> None:
    run = Run(photo("a.jpg"), str(tmp_path / "missing.jpg"))
    first, face, last = run.out.splitlines()
    assert first == f"{tmp_path / 'a.jpg'} (512 x 512 pixels): 1 face"
    assert any(emotion in face for emotion in EMOTIONS)
    assert re.search(r"at 18\d, 6\d: 8\d x 10\d", face)
    assert last == f"{tmp_path / 'missing.jpg'}: There is no such file."


def test_output_writes_annotated_jpegs_with_unique_names(photo: Photo, tmp_path: Path) -> None:
    paths = [photo("one/a.jpg"), photo("two/a.jpg"), photo("A.png"), photo("new\nline.jpg")]
    folder = tmp_path / "deep" / "drawn"
    assert Run("--json", "--output", str(folder), *paths, "missing.jpg").status == 1
    assert sorted(file.name for file in folder.iterdir()) == [
        "A-3-annotated.jpg",
        "a-2-annotated.jpg",
        "a-annotated.jpg",
        "new_line-annotated.jpg",
    ]
    with Image.open(folder / "a-annotated.jpg") as drawn, Image.open(paths[0]) as original:
        assert drawn.format == "JPEG"
        assert drawn.size == (512, 512)
        difference = np.abs(np.asarray(drawn).astype(int) - np.asarray(original))
    assert (difference.max(axis=2) > 100).sum() > 300


def test_an_output_that_is_no_folder_is_wrong_usage(photo: Photo) -> None:
    path = photo("a.jpg")
    run = Run("--json", "--output", path, path)
    assert run.status == 2
    assert "--output" in run.complaint
    assert run.out == ""


def test_another_model_can_be_named(photo: Photo) -> None:
    path = photo("a.jpg")
    default, other = Run("--json", path), Run("--json", "--model", "other", path)
    assert default.rows[0]["faces"][0]["box"] == other.rows[0]["faces"][0]["box"]
    assert default.rows != other.rows


def test_a_detector_that_is_none_is_wrong_usage(photo: Photo, settings: Settings) -> None:
    settings.DETECTOR = "nonesuch.Detector"
    run = Run(photo("a.jpg"))
    assert run.status == 2
    assert "The detector nonesuch.Detector cannot be used" in run.complaint


def test_an_unknown_model_is_wrong_usage_with_the_choice(photo: Photo) -> None:
    run = Run("--json", "--model", "none", photo("a.jpg"))
    assert run.status == 2
    assert run.complaint == f'There is no model "none". Available: other, {DEFAULT_MODEL}.'
    assert run.out == ""


def test_a_missing_default_model_is_wrong_usage(
    photo: Photo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classification, "MODELS_FOLDER", tmp_path / "nowhere")
    run = Run(photo("a.jpg"))
    assert run.status == 2
    assert "There are none in" in run.complaint


def test_min_face_leaves_small_faces_out(photo: Photo) -> None:
    (row,) = Run("--json", "--min-face", "400", photo("a.jpg")).rows
    assert row["faces"] == []


@pytest.mark.parametrize("size", ["11", "0", "many"])
def test_an_impossible_min_face_is_wrong_usage(photo: Photo, size: str) -> None:
    with pytest.raises(CommandError, match="min-face"):
        call_command("recognize", "--min-face", size, photo("a.jpg"))


def manage(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run manage.py in a process of its own, without a database."""
    nowhere = {"DATABASE_URL": "postgres://nobody@127.0.0.1:1/nothing"}
    return subprocess.run(
        [sys.executable, "manage.py", "recognize", *arguments],
        cwd=ROOT,
        env={**os.environ, **nowhere, **environment},
        text=True,
        capture_output=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("arguments", [[], ["--json"], ["--nonsense", "a.jpg"]])
def test_wrong_usage_exits_with_2(arguments: list[str]) -> None:
    done = manage(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "usage" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_real_command_needs_no_database_and_exits_with_1_on_a_bad_file(photo: Photo) -> None:
    done = manage("--json", photo("a.jpg"), "missing.jpg")
    assert done.returncode == 1, done.stderr
    first, second = map(json.loads, done.stdout.splitlines())
    assert first["faces"][0]["emotion"] == "happy"
    assert second["error"] == "There is no such file."
    assert "Traceback" not in done.stderr


def test_a_photo_that_cannot_be_recognised_costs_the_others_nothing(
    photo: Photo, monkeypatch: pytest.MonkeyPatch
) -> None:
    recognize = Recognizer.recognize
    calls = iter([RuntimeError("out of threads"), MemoryError()])

    def fail_twice(self: Recognizer, image: NDArray[np.uint8]) -> Recognition:
        if error := next(calls, None):
            raise error
        return recognize(self, image)

    monkeypatch.setattr(Recognizer, "recognize", fail_twice)
    run = Run(*(photo(name) for name in ("a.jpg", "b.jpg", "c.jpg")), "--json")
    rows = [json.loads(line) for line in run.out.splitlines()]
    assert "out of threads" in rows[0]["error"]
    assert "memory" in rows[1]["error"]
    assert rows[2]["error"] is None
    assert run.status == 1
