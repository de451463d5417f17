import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from recognizer.training.datasets.fer2013 import read
from recognizer.training.datasets.packing import read_index, read_packed
from recognizer.training.datasets.votes import VotedFace
from tests.training.drawing import draw_face, write_fer2013, write_ferplus
from tests.training.pictures import write_picture
from tests.training.votes import write_votes


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


def test_a_random_split_keeps_what_the_official_one_would_not(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    # Photo 0 is held out of the first set, and has faces in the second one, too.
    for name, photos, held_out in (("one", range(6), "PublicTest"), ("two", range(0, 12, 6), "")):
        faces = [
            VotedFace(f"{photo}.png", (9, *[0] * 9), f"photo {photo}", "" if photo else held_out)
            for photo in photos
        ]
        for face in faces:
            write_picture(tmp_path / name / face.file, draw_face("anger", rng))
        write_votes(tmp_path / name, faces)
    source = [tmp_path / "one", "--extra", tmp_path / "two", "--output"]
    dataset_pack(*source, tmp_path / "official")
    dataset_pack(*source, tmp_path / "random", "--split", "random")
    assert len(read_index(tmp_path / "official")) == 6 + 1
    assert len(read_index(tmp_path / "random")) == 6 + 2


def test_a_taken_output_is_refused_before_the_source_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(CommandError, match="exists already"):
        dataset_pack("missing.csv", "--ferplus", "missing.csv", "--output", tmp_path / "file")


def test_an_output_in_its_own_source_is_refused(tmp_path: Path) -> None:
    put(tmp_path / "set", ["happy/1.png"], 0)
    put(tmp_path / "more", ["happy/2.png"], 1)
    (tmp_path / "link").symlink_to(tmp_path / "more")
    sources = (tmp_path / "set", "--extra", tmp_path / "more")
    for output in ("set/packed", "more/packed", "link/packed"):
        with pytest.raises(CommandError, match="lie one in the other"):
            dataset_pack(*sources, "--output", tmp_path / output)
        assert not (tmp_path / output).exists()


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


def put(folder: Path, names: list[str], seed: int) -> None:
    rng = np.random.default_rng(seed)
    for name in names:
        write_picture(folder / name, draw_face("happy", rng))


def test_a_random_split_tears_no_character_apart(tmp_path: Path) -> None:
    people = ["aia", "bonnie", "jules", "malcolm", "mery", "ray"]
    put(tmp_path / "ferg", [f"{one}/{one}_joy/{n}.png" for one in people for n in range(4)], 0)
    dataset_pack(tmp_path / "ferg", "--output", tmp_path / "packed", "--split", "random")
    # Packed again, it is still known who is who.
    dataset_pack(
        tmp_path / "packed", "--output", tmp_path / "two", "--split", "random", "--seed", 3
    )
    for folder in ("packed", "two"):
        splits = read_packed(tmp_path / folder).splits.reshape(6, 4)
        assert (splits == splits[:, :1]).all()
        assert (splits[:, 0] == "PublicTest").sum() == 1


def test_extra_pictures_stay_in_training_and_are_named(
    dataset: tuple[Path, Path], tmp_path: Path
) -> None:
    put(tmp_path / "more", [f"happy/{number}.png" for number in range(30)], 1)
    output = tmp_path / "packed"
    extra = ("--extra", tmp_path / "more", "--split", "random")
    dataset_pack(dataset[0], "--ferplus", dataset[1], *extra, "--output", output)
    assert set(read_packed(output).splits[20:]) == {"Training"}
    assert read_index(output).splits == {"Training": 46, "PublicTest": 4}
    assert read_index(output).sources == ["fer2013.csv", "fer2013new.csv", "more"]


def test_shrinking_packed_pictures_is_said(
    dataset: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    large = tmp_path / "large"
    dataset_pack(dataset[0], "--output", large, "--size", 128)
    dataset_pack(large, "--output", tmp_path / "same", "--size", 128)
    assert "shrunk" not in capsys.readouterr().err
    dataset_pack(large, "--output", tmp_path / "small")
    said = capsys.readouterr().err
    assert f"{large}: its images of 128x128 pixels were shrunk to 48x48." in said
