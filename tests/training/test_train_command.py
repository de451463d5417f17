import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from django.core.management import CommandError, call_command

from tests.training.drawing import draw_face


def test_a_broken_data_set_is_refused_before_tensorflow_is_loaded(
    dataset: tuple[Path, Path], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.csv"
    broken.write_text("hello\n")
    with pytest.raises(CommandError, match=r"broken\.csv lacks the columns"):
        call_command("train", str(broken), "--ferplus", str(dataset[1]))


def test_without_tensorflow_it_says_what_to_install(
    dataset: tuple[Path, Path], tmp_path: Path
) -> None:
    (tmp_path / "tensorflow.py").write_text("raise ImportError('No module named tensorflow')\n")
    (tmp_path / "keras.py").write_text("raise ImportError('No module named keras')\n")
    command = [sys.executable, "manage.py", "train", str(dataset[0]), "--ferplus", str(dataset[1])]
    done = subprocess.run(
        command,
        env={"PYTHONPATH": str(tmp_path), "WEBEMOTION_DATA": str(tmp_path / "data"), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "pip install -r requirements.txt" in done.stderr
    assert "Traceback" not in done.stderr


def test_class_folders_without_held_out_images_are_refused(tmp_path: Path) -> None:
    (tmp_path / "happy").mkdir()
    cv2.imwrite(str(tmp_path / "happy/1.png"), draw_face("happy", np.random.default_rng(0)))
    with pytest.raises(CommandError, match="no PublicTest rows; it holds Training"):
        call_command("train", str(tmp_path))
