import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

# It names a start and teachers that are not there: a search does without.
TINY = """
start = "gone"
soft_labels = "gone.npz"
distillation = 0.3
small_epochs = 30
batch = 16
ema = 0.9
mixed_precision = "float32"

[network]
name = "resnet9"
widths = [4, 8]
blocks = [1, 1]
squeeze = 2
"""


def tune(
    dataset: tuple[Path, Path], *more: str, path: str = ""
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "manage.py", "tune", str(dataset[0]), "--ferplus", str(dataset[1])]
    environment = os.environ | {"PYTHONPATH": path or os.environ.get("PYTHONPATH", "")}
    return subprocess.run(
        [*command, *more], env=environment, capture_output=True, text=True, check=False
    )


def test_it_prints_a_table_and_leaves_settings_to_train_with(
    dataset: tuple[Path, Path], tmp_path: Path
) -> None:
    for needed in ("tensorflow", "keras_tuner", "sklearn"):
        pytest.importorskip(needed, reason=f"{needed} is needed to tune")
    (tmp_path / "tiny.toml").write_text(TINY)
    run = tmp_path / "run"
    done = tune(
        dataset, "--trials", "2", "--epochs", "1", "--share", "0.25",
        "--config", str(tmp_path / "tiny.toml"), "--run", str(run),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split()[:2] == ["trial", "ferplus_accuracy"]
    assert {line.split()[0] for line in lines[1:]} == {"1", "2"}
    assert "72 images to learn from; trials are measured on 0.25 of Training" in done.stderr
    assert "it leaves out start and soft_labels of" in done.stderr
    assert "error" not in lines[0]  # A column that is there if a trial has failed.
    assert f"--config {run / 'best.toml'}" in done.stderr
    assert {"trials.csv", "trials.json", "best.toml"} <= {file.name for file in run.iterdir()}


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (["--architecture", "resnet99"], "resnet99"),
        (["--trials", "0"], "needs trials of 1 or more, not 0"),
        (["--config", "gone.toml"], r"gone\.toml cannot be read"),
    ],
)
def test_a_wrong_setting_is_named_before_the_data_is_read(
    tmp_path: Path, wrong: list[str], why: str
) -> None:
    pytest.importorskip("tensorflow", reason="TensorFlow is needed to tune")
    (tmp_path / "broken.csv").write_text("hello\n")
    with pytest.raises(CommandError, match=why):
        call_command("tune", str(tmp_path / "broken.csv"), *wrong)


def test_a_broken_data_set_is_refused(dataset: tuple[Path, Path], tmp_path: Path) -> None:
    broken = tmp_path / "broken.csv"
    broken.write_text("hello\n")
    with pytest.raises(CommandError, match=r"broken\.csv lacks the columns"):
        call_command("tune", str(broken), "--ferplus", str(dataset[1]))


def test_an_impossible_share_is_refused(dataset: tuple[Path, Path]) -> None:
    with pytest.raises(CommandError, match="above 0 and below 1, not 2"):
        call_command("tune", str(dataset[0]), "--ferplus", str(dataset[1]), "--share", "2")


def test_a_run_folder_that_cannot_be_written_is_named(
    dataset: tuple[Path, Path], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    place = tmp_path / "file" / "run"
    with pytest.raises(CommandError, match="file is no folder that can be written to"):
        call_command("tune", str(dataset[0]), "--ferplus", str(dataset[1]), "--run", str(place))


@pytest.mark.parametrize("missing", ["tensorflow", "keras_tuner"])
def test_it_says_what_to_install(missing: str, dataset: tuple[Path, Path], tmp_path: Path) -> None:
    # keras would be found without tensorflow, and fail in its own words.
    for name in {missing, "keras"} if missing == "tensorflow" else {missing}:
        (tmp_path / f"{name}.py").write_text(f"raise ImportError('No module named {name}')\n")
    done = tune(dataset, path=str(tmp_path))
    assert done.returncode == 1
    assert "pip install -r requirements.txt" in done.stderr
    assert "Traceback" not in done.stderr
