import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from tests.training.drawing import draw_face, write_fer2013
from tests.training.pictures import write_picture


@pytest.fixture
def root(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for number in range(3):
        write_picture(tmp_path / f"set/happy/h{number}.png", draw_face("happy", rng))
    write_picture(tmp_path / "set/sad/s.png", draw_face("sad", rng))
    return tmp_path / "set"


def test_it_balances_a_folder_and_tells_what_it_did(root: Path, tmp_path: Path) -> None:
    out, err = io.StringIO(), io.StringIO()
    arguments = [str(root), str(tmp_path / "out"), "--per-class", "2", "--strength", "0.5"]
    arguments += ["--augmentation", "geometric", "--size", "40"]
    call_command("dataset", "balance", *arguments, stdout=out, stderr=err)
    lines = err.getvalue().splitlines()
    assert "happy: 3 originals, 2 used (0 of them varied), 0 copies added, 0 skipped." in lines
    assert "sad: 1 originals, 1 used (0 of them varied), 1 copies added, 0 skipped." in lines
    told = json.loads((tmp_path / "out/balance.json").read_text())
    assert told["settings"]["strength"] == 0.5
    assert told["settings"]["augmentation"]["jpeg"] == 0
    assert told["classes"]["sad"]["copies"] == 1
    assert out.getvalue() == ""


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--per-class", "0"], "at least one"),
        (["--per-class", "5", "--strength", "2"], "0-1"),
        (["--per-class", "5", "--augmentation", "wild"], "known augmentation"),
    ],
)
def test_wrong_input_is_a_sentence(
    arguments: list[str], why: str, root: Path, tmp_path: Path
) -> None:
    with pytest.raises(CommandError, match=why):
        call_command("dataset", "balance", str(root), str(tmp_path / "out"), *arguments)
    assert not (tmp_path / "out").exists()


def test_cleaning_and_balancing_need_no_tensorflow() -> None:
    code = (
        "import sys\n"
        "from recognizer.management.dataset import balance, clean\n"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_rows_without_votes_are_balanced_by_their_own_labels(tmp_path: Path) -> None:
    pixels = tmp_path / "fer2013.csv"
    rng = np.random.default_rng(0)
    shown = ("happy", "fear")
    write_fer2013(pixels, [(one, "Training", draw_face(one, rng)) for one in shown])
    balance = ["dataset", "balance", str(pixels), str(tmp_path / "out"), "--per-class", "2"]
    with pytest.raises(CommandError, match="--labels ferplus needs the votes: add --ferplus"):
        call_command(*balance, "--labels", "ferplus")
    call_command(*balance)
    folders = [folder.name for folder in sorted((tmp_path / "out/train").iterdir())]
    assert folders == ["fear", "happy"]
