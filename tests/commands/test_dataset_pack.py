import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from recognizer.training.datasets.fer2013 import read
from recognizer.training.datasets.packing import read_index, read_packed
from tests.training.drawing import draw_face, write_fer2013, write_ferplus


@pytest.fixture
def dataset(tmp_path: Path) -> tuple[Path, Path]:
    rng = np.random.default_rng(0)
    splits = ["Training"] * 12 + ["PublicTest"] * 8
    write_fer2013(
        tmp_path / "fer2013.csv", [("happy", split, draw_face("happy", rng)) for split in splits]
    )
    write_ferplus(tmp_path / "fer2013new.csv", [(split, {"happy": 9}) for split in splits])
    return tmp_path / "fer2013.csv", tmp_path / "fer2013new.csv"


def dataset_pack(*arguments: object) -> None:
    call_command("dataset", "pack", *map(str, arguments))


def test_it_packs_and_says_so_on_stderr_only(
    dataset: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "packed"
    dataset_pack(dataset[0], "--ferplus", dataset[1], "--output", output, "--shards", 2)
    out, err = capsys.readouterr()
    assert out == ""
    assert "20 faces of 48x48 pixels (Training 12, PublicTest 8)" in err
    assert "4 shards, 0.1 MB" in err
    np.testing.assert_array_equal(read_packed(output).images, read(*dataset).images)
    assert read_index(output).sources == ["fer2013.csv", "fer2013new.csv"]


def test_it_packs_a_packed_folder_again(dataset: tuple[Path, Path], tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    dataset_pack(dataset[0], "--ferplus", dataset[1], "--output", one)
    dataset_pack(one, "--output", two, "--size", 64, "--split", "random", "--seed", 3)
    index = read_index(two)
    assert (index.size, index.split, index.seed) == (64, "random", 3)
    assert index.splits == {"Training": 16, "PublicTest": 4}


def test_a_taken_output_is_refused_before_the_source_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(CommandError, match="exists already"):
        dataset_pack("missing.csv", "--ferplus", "missing.csv", "--output", tmp_path / "file")


def test_a_wrong_number_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="1 to 99,999 shards, not 0"):
        dataset_pack("missing.csv", "--output", tmp_path / "packed", "--shards", 0)


def test_without_votes_a_rows_own_label_counts(dataset: tuple[Path, Path], tmp_path: Path) -> None:
    dataset_pack(dataset[0], "--output", tmp_path / "packed")
    faces = read_packed(tmp_path / "packed")
    assert (faces.votes.max(axis=1) == 10).all()


def test_it_runs_without_tensorflow(dataset: tuple[Path, Path], tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    for name in ("tensorflow", "keras"):
        (blocked / f"{name}.py").write_text("raise ImportError('not needed to pack')\n")
    command = [sys.executable, "manage.py", "dataset", "pack", str(dataset[0])]
    done = subprocess.run(
        [*command, "--ferplus", str(dataset[1]), "--output", str(tmp_path / "packed")],
        env={"PYTHONPATH": str(blocked), "WEBEMOTION_DATA": str(tmp_path / "data"), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(read_packed(tmp_path / "packed")) == 20
