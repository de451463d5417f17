import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from django.core.management import CommandError, call_command

from tests.training.drawing import draw_face, write_fer2013, write_ferplus


def folders(root: Path) -> Path:
    rng = np.random.default_rng(2)
    for split, emotion in (("train", "happy"), ("train", "sad"), ("test", "happy")):
        folder = root / split / emotion
        folder.mkdir(parents=True)
        for number in range(3):
            cv2.imwrite(str(folder / f"{number}.png"), draw_face(emotion, rng))
    return root


@pytest.fixture
def fer2013(tmp_path: Path) -> tuple[Path, Path]:
    rng = np.random.default_rng(0)
    rows = [
        (("happy", "sad")[number % 2], split, draw_face("happy", rng))
        for split, count in (("Training", 12), ("PublicTest", 8))
        for number in range(count)
    ]
    write_fer2013(tmp_path / "fer2013.csv", [*rows, (rows[0][0], "PublicTest", rows[0][2])])
    votes = [(split, {"happy": 6, "sad": 4}) for _, split, _ in rows]
    write_ferplus(tmp_path / "fer2013new.csv", [*votes, ("PublicTest", {"NF": 10})])
    return tmp_path / "fer2013.csv", tmp_path / "fer2013new.csv"


def test_the_report_needs_nothing_else(fer2013: tuple[Path, Path], tmp_path: Path) -> None:
    output = tmp_path / "report.html"
    call_command(
        "dataset", "explore", fer2013[0], "--ferplus", fer2013[1], "--output", output, "--seed", "3"
    )
    html = output.read_text(encoding="utf-8")
    links = re.findall(r'(?:src|href|url)\s*[=(]\s*"?([^"\s)]+)', html)
    assert links
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in links)
    # The site's colours; on paper the light ones, whatever the screen shows.
    assert "--page-bg:" in html
    assert "@media screen and (prefers-color-scheme: dark)" in html
    assert "@media (prefers" not in html
    assert "1 held-out image is also in Training" in html
    assert "Share of the most frequent answer" in html
    assert 'alt="not a face"' in html


def test_the_same_seed_gives_the_same_report(tmp_path: Path) -> None:
    source = folders(tmp_path / "faces")
    for name in ("a.html", "b.html"):
        call_command("dataset", "explore", source, "--output", tmp_path / name, "--samples", "2")
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_a_folders_name_is_not_taken_for_html(tmp_path: Path) -> None:
    source = folders(tmp_path / "<b>faces")
    (source / "train/<i>bored").mkdir()
    (source / "train/<i>bored/1.png").write_text("hello")
    output = tmp_path / "report.html"
    call_command("dataset", "explore", source, "--bad", "skip", "--output", output)
    html = output.read_text(encoding="utf-8")
    assert "&lt;b&gt;faces" in html
    assert "&lt;i&gt;bored" in html
    assert "<b>" not in html
    assert "<i>" not in html


def test_problems_stop_it_and_say_how_to_go_on(tmp_path: Path) -> None:
    source = folders(tmp_path / "faces")
    (source / "train/happy/broken.png").write_text("hello")
    with pytest.raises(CommandError, match=r"broken\.png: This is not an image\.\n.*--bad skip"):
        call_command("dataset", "explore", source, "--output", tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_skipping_is_not_promised_to_mend_a_set_that_cannot_be_read(tmp_path: Path) -> None:
    source = folders(tmp_path / "faces")
    (source / "train/happy/broken.png").write_text("hello")
    (tmp_path / "more").mkdir()
    explore: list[Any] = ["dataset", "explore", source, "--extra", tmp_path / "more"]
    with pytest.raises(CommandError, match=r"broken\.png(.|\n)*more(.|\n)*skip, where it is only"):
        call_command(*explore, "--output", tmp_path / "report.html")


@pytest.mark.parametrize(
    ("output", "why"), [("no/report.html", "no does not exist"), (".", "it is a folder")]
)
def test_an_output_that_cannot_be_is_refused_at_once(output: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=why) as error:
        call_command("dataset", "explore", "nowhere", "--output", tmp_path / output)
    assert error.value.returncode == 2


def test_it_runs_without_tensorflow_and_prints_nothing_on_stdout(tmp_path: Path) -> None:
    source = folders(tmp_path / "faces")
    output = tmp_path / "report.html"
    for name in ("tensorflow", "keras"):
        (tmp_path / f"{name}.py").write_text(f"raise ImportError('No module named {name}')\n")
    done = subprocess.run(
        [sys.executable, "manage.py", "dataset", "explore", source, "--output", output],
        env={"PYTHONPATH": str(tmp_path), "WEBEMOTION_DATA": str(tmp_path / "data"), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "9 images explored" in done.stderr


@pytest.mark.parametrize("samples", ["-3", "0"])
def test_fewer_samples_than_one_are_refused(tmp_path: Path, samples: str) -> None:
    output = str(tmp_path / "report.html")
    with pytest.raises(CommandError, match=f"1 or more --samples, not {samples}"):
        call_command("dataset", "explore", "missing", "--output", output, f"--samples={samples}")
