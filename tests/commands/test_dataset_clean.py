import io
from pathlib import Path

import numpy as np
import pytest
from django.core.management import CommandError, call_command

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
        (["missing.csv"], "--ferplus"),
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
