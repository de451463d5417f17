import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from recognizer.services import model_store
from recognizer.training.datasets.faces import Faces
from recognizer.vision.preprocessing import normalize
from tests.training.drawing import draw_face
from tests.training.test_framing import Whole
from tests.vision.tiny_model import write_tiny_model


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
    (tmp_path / "set/happy").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "set/happy/1.png"), draw_face("happy", np.random.default_rng(0)))
    with pytest.raises(CommandError, match="no PublicTest rows; it holds Training"):
        call_command("train", str(tmp_path / "set"))


TINY = """
epochs = 1
finish_epochs = 1
batch = 16
mixed_precision = "float32"
distillation = 0.5
soft_labels = "soft.npz"

[network]
name = "resnet9"
widths = [4, 8, 8]
squeeze = 2
"""


def test_it_fits_calibrates_and_leaves_a_model_beside_the_shipped_ones(
    dataset: tuple[Path, Path],
    faces: Faces,
    tmp_path: Path,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("tensorflow", reason="TensorFlow is needed to train")
    monkeypatch.setattr("recognizer.training.release.MTCNN", Whole)
    # Threads are set once in a process, and other tests have fitted before.
    monkeypatch.setattr("recognizer.training.fitting.set_threads", lambda threads: None)
    settings.MODELS_ROOT = tmp_path / "models"
    write_tiny_model(tmp_path / "models" / "teacher")
    source = [str(dataset[0]), "--ferplus", str(dataset[1])]
    soft = str(tmp_path / "soft.npz")
    call_command("teach", *source, "--teacher", "teacher", "--output", soft)
    (tmp_path / "tiny.toml").write_text(TINY)
    run = ["--config", str(tmp_path / "tiny.toml"), "--run", str(tmp_path / "run")]
    run += ["--set", "label_smoothing=0.05"]
    call_command("train", *source, *run, "--name", "mine")
    model = model_store.load("mine")
    assert model.card.training["label_smoothing"] == 0.05
    assert set(model.card.heads) == {"ferplus", "fer2013", "ambiguous"}
    assert model.card.training["soft_labels"] == "soft.npz"
    assert model.card.affect is not None
    assert "50% of the targets by teacher" in capsys.readouterr().err
    history = (tmp_path / "models" / "mine" / "history.csv").read_text().splitlines()
    assert len(history) == 3
    assert "Training curves" in (tmp_path / "models" / "mine" / "report.html").read_text()
    assert list((tmp_path / "run" / "tensorboard").iterdir())
    seen = normalize(faces.images[:5])
    before = model.logits(seen, ["ferplus"])["ferplus"]
    # Once finished, there is nothing left to fit: the model is only exported again.
    call_command("train", *source, *run, "--name", "mine")
    assert "Going on after epoch 2 of 2." in capsys.readouterr().err
    assert np.allclose(model_store.load("mine").logits(seen, ["ferplus"])["ferplus"], before)


def test_a_shipped_models_name_is_not_written_over(dataset: tuple[Path, Path]) -> None:
    with pytest.raises(CommandError, match='a model "resnet9-ferplus" already'):
        call_command("train", str(dataset[0]), "--name", "resnet9-ferplus")


def test_an_unknown_setting_is_named(dataset: tuple[Path, Path], tmp_path: Path) -> None:
    pytest.importorskip("tensorflow", reason="TensorFlow is needed to train")
    (tmp_path / "wrong.toml").write_text("epoch = 3\n")
    with pytest.raises(CommandError, match=r"wrong\.toml: There is no setting epoch"):
        call_command("train", str(dataset[0]), "--config", str(tmp_path / "wrong.toml"))


def test_places_that_cannot_be_written_to_are_named_before_the_data_is_read(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("in the way")
    for option in ("--run", "--output"):
        with pytest.raises(CommandError, match="no folder that can be written to"):
            call_command("train", "nowhere.csv", option, str(tmp_path / "file" / "run"))
