import io
from pathlib import Path

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from recognizer.training.datasets.reading import read_dataset
from tests.training.drawing import draw_face, write_fer2013, write_ferplus
from tests.training.pictures import faceless, tight_crop, write_picture


def test_it_cleans_a_folder_and_sums_up(tmp_path: Path, astronaut: np.ndarray) -> None:
    write_picture(tmp_path / "set/happy/a.png", tight_crop(astronaut))
    write_picture(tmp_path / "set/sad/b.png", faceless())
    out, err = io.StringIO(), io.StringIO()
    arguments = [str(tmp_path / "set"), "--output", str(tmp_path / "clean"), "--workers", "1"]
    call_command("dataset", "clean", *arguments, stdout=out, stderr=err)
    assert (tmp_path / "clean/happy/a.png").exists()
    assert not (tmp_path / "clean/sad").exists()
    assert "1 files are in" in err.getvalue()
    assert out.getvalue() == ""


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["set", "--score", "2"], "least score"),
        (["missing.csv"], "cannot be read"),
        (["missing.csv", "--ferplus", "votes.csv"], "cannot be read"),
    ],
)
def test_wrong_input_is_a_sentence(
    arguments: list[str], why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_picture(tmp_path / "set/sad/b.png", faceless())
    with pytest.raises(CommandError, match=why):
        call_command("dataset", "clean", *arguments, "--output", "clean")


def test_rows_without_votes_are_cleaned_by_themselves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recognizer.training.datasets.cleaning.reason", lambda found, limits: "")
    rng = np.random.default_rng(0)
    pixels, votes = tmp_path / "fer2013.csv", tmp_path / "votes.csv"
    shown = ("happy", "fear")
    write_fer2013(pixels, [(one, "Training", draw_face(one, rng)) for one in shown])
    write_ferplus(votes, [("Training", {one: 10}) for one in ("happiness", "fear")])
    clean = ["dataset", "clean", str(pixels), "--output", str(tmp_path / "clean"), "--workers", "1"]
    call_command(*clean, "--ferplus", str(votes))
    assert (tmp_path / "clean/fer2013new.csv").exists()
    call_command(*clean)
    # Votes that were left there would be taken for those of other rows.
    assert not (tmp_path / "clean/fer2013new.csv").exists()
    assert len(read_dataset(tmp_path / "clean/fer2013.csv").faces) == len(
        read_dataset(pixels).faces
    )
