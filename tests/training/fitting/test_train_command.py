import itertools
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from recognizer.services import model_store
from recognizer.training.datasets.classes import CLASSES
from recognizer.training.datasets.faces import Faces
from recognizer.training.datasets.votes import VotedFace
from recognizer.training.fitting.soft_labels import teach
from recognizer.vision.classification import OnnxClassifier
from recognizer.vision.preprocessing import normalize
from tests.training.drawing import SHOWN, draw_face, write_drawn_set
from tests.training.release.test_framing import Whole
from tests.training.votes import write_votes
from tests.vision.tiny_model import write_tiny_model


def test_a_data_set_that_is_not_there_is_refused_before_tensorflow_is_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    places: list[list[str]] = [[], [".", "--ferplus"], [".", "--extra"]]
    for given in places:
        with pytest.raises(CommandError, match=r"nowhere\.csv: there is no such file or folder"):
            call_command("train", *given, "nowhere.csv")


def test_a_broken_data_set_is_refused(dataset: tuple[Path, Path], tmp_path: Path) -> None:
    pytest.importorskip("tensorflow", reason="TensorFlow is needed to train")
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
    pytest.importorskip("tensorflow", reason="TensorFlow is needed to train")
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
widths = [4, 8]
blocks = [1, 1]
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
    monkeypatch.setattr("recognizer.training.release.version.MTCNN", Whole)
    # Threads are set once in a process, and other tests have fitted before.
    monkeypatch.setattr("recognizer.training.fitting.loop.set_threads", lambda threads: None)
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
    # The drawings have no row whose votes disagree, so there is nothing to learn ambiguity from.
    assert set(model.card.heads) == {"ferplus", "fer2013"}
    assert model.card.training["soft_labels"] == "soft.npz"
    assert model.card.data["source"].startswith("fer2013.csv (FER-2013")
    assert model.card.data["votes"] == "fer2013new.csv"
    assert "of 96 of 96 images 50% the answers of teacher" in model.card.data["targets"]
    assert model.card.affect is not None
    assert "50% the answers of teacher" in capsys.readouterr().err
    history = (tmp_path / "models" / "mine" / "history.csv").read_text().splitlines()
    assert len(history) == 3
    report = (tmp_path / "models" / "mine" / "report.html").read_text()
    assert "Training curves" in report
    assert "Evaluation on FER-2013 with FER+ votes, PublicTest" in report
    assert list((tmp_path / "run" / "tensorboard").iterdir())
    seen = normalize(faces.images[:5])
    before = model.logits(seen, ["ferplus"])["ferplus"]
    # Once finished, there is nothing left to fit: the model is only exported again.
    call_command("train", *source, *run, "--name", "mine")
    assert "Going on after epoch 2 of 2." in capsys.readouterr().err
    assert np.allclose(model_store.load("mine").logits(seen, ["ferplus"])["ferplus"], before)
    assert model.card.weights.precision == "float32"
    # Nor for another kind of export.
    call_command("train", *source, *run, "--set", "int8=true", "--name", "mine")
    small = model_store.load("mine")
    assert small.card.weights.precision == "int8"
    assert "Going on after epoch 2 of 2." in capsys.readouterr().err
    apart = np.abs(small.logits(seen, ["ferplus"])["ferplus"] - before)
    assert 0 < apart.mean() < 0.1 * before.std()
    # Another run may not take its place unasked.
    with pytest.raises(CommandError, match='a model "mine" already'):
        call_command("train", *source, "--run", str(tmp_path / "other"), "--name", "mine")


def test_reviewed_faces_are_enough_to_train_on(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorflow", reason="TensorFlow is needed to train")
    monkeypatch.setattr("recognizer.training.release.version.MTCNN", Whole)
    monkeypatch.setattr("recognizer.training.fitting.loop.set_threads", lambda threads: None)
    settings.MODELS_ROOT = tmp_path / "models"
    rng = np.random.default_rng(0)
    faces = []
    for number in range(96):
        emotion = SHOWN[number % 4]
        cv2.imwrite(str(tmp_path / f"{number}.png"), draw_face(emotion, rng))
        votes = tuple(3 * (name == emotion) for name in CLASSES)
        split = "PublicTest" if number < 32 else "Training"
        faces.append(VotedFace(f"{number}.png", votes, f"owner-{number}", split))
    write_votes(tmp_path, faces)
    (tmp_path / "tiny.toml").write_text(TINY)
    given = [str(tmp_path), "--config", str(tmp_path / "tiny.toml")]
    votes_only = ["--run", str(tmp_path / "run"), "--set", "distillation=0"]
    call_command("train", *given, *votes_only, "--name", "reviewed")
    card = model_store.load("reviewed").card
    # Nobody has given them FER-2013's labels, or disagreed.
    assert set(card.heads) == {"ferplus"}
    assert card.metrics["PublicTest"]["fer2013"] is None
    assert card.affect is not None
    assert card.affect.valence.head == "ferplus"
    assert "votes" not in card.data
    report = (tmp_path / "models" / "reviewed" / "report.html").read_text()
    assert f"Evaluation on {tmp_path.name} (reviewed faces), PublicTest" in report
    assert "FER-2013" not in report
    # A teacher says what FER-2013's labels would be.
    write_tiny_model(tmp_path / "models" / "teacher")
    soft = ["--output", str(tmp_path / "soft.npz")]
    call_command("teach", str(tmp_path), "--teacher", "teacher", *soft)
    call_command("train", *given, "--run", str(tmp_path / "taught"), "--name", "taught")
    assert set(model_store.load("taught").card.heads) == {"ferplus", "fer2013"}
    # So it does when it is asked while the network learns.
    live = ["--set", "soft_labels=", "--set", f'teachers=["{tmp_path / "models" / "teacher"}"]']
    call_command("train", *given, *live, "--run", str(tmp_path / "live"), "--name", "live")
    card = model_store.load("live").card
    assert set(card.heads) == {"ferplus", "fer2013"}
    assert card.training["teachers"] == ["teacher"]
    assert "50% the answers of teacher 2026.11 to each picture as it" in card.data["targets"]
    assert "teacher 2026.11" in card.data["may_have_learned_held_out"]
    start = ["--start", str(tmp_path / "models" / "live"), "--set", "distillation=0"]
    call_command("train", *given, *start, "--run", str(tmp_path / "on"), "--name", "on")
    # It was measured on these rows, and says itself what may be wrong with that.
    card = model_store.load("on").card
    assert "live" in card.data["may_have_learned_held_out"]
    with pytest.raises(CommandError, match=r"reviewed has no head fer2013, so it cannot"):
        call_command("teach", str(tmp_path), "--teacher", "reviewed", *soft)


def test_teachers_that_have_seen_none_of_the_images_are_refused(
    dataset: tuple[Path, Path],
    faces: Faces,
    tmp_path: Path,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("tensorflow", reason="TensorFlow is needed to train")
    monkeypatch.setattr("recognizer.training.fitting.loop.set_threads", lambda threads: None)
    settings.MODELS_ROOT = tmp_path / "models"
    teacher = OnnxClassifier(write_tiny_model(tmp_path / "teacher"))
    teach([teacher], 255 - faces.images).save(tmp_path / "soft.npz")
    (tmp_path / "tiny.toml").write_text(TINY)
    given = [str(dataset[0]), "--config", str(tmp_path / "tiny.toml")]
    with pytest.raises(CommandError, match=r"soft\.npz has none of these 96 images"):
        call_command("train", *given, "--run", str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_held_out_faces_that_cannot_calibrate_are_refused_before_the_fitting(
    tmp_path: Path,
) -> None:
    pytest.importorskip("tensorflow", reason="TensorFlow is needed to train")
    paths = write_drawn_set(tmp_path, held_out=1)
    with pytest.raises(CommandError, match=r"odd held-out rows \(0\) there is no face"):
        call_command("train", str(paths[0]), "--ferplus", str(paths[1]))


def test_pictures_that_the_final_test_shows_are_not_learned_from(
    dataset: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("tensorflow", reason="TensorFlow is needed to train")
    monkeypatch.setattr("recognizer.training.fitting.loop.set_threads", lambda threads: None)
    rows = [line.rstrip() for line in dataset[0].read_text().splitlines()]
    learned = next(row for row in rows if row.endswith("Training"))
    (tmp_path / "fer2013.csv").write_text(
        "\n".join([*rows, learned.replace("Training", "PrivateTest")]) + "\n"
    )
    (tmp_path / "large.toml").write_text("batch = 1000")
    with pytest.raises(CommandError, match="A step takes 1000 images"):
        call_command(
            "train", str(tmp_path / "fer2013.csv"), "--config", str(tmp_path / "large.toml")
        )
    said = capsys.readouterr().err
    assert "\n95 images to learn from; left out: 1 identical to a held-out image.\n" in f"\n{said}"


def test_emotions_on_one_side_only_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tensorflow", reason="TensorFlow is needed to train")
    monkeypatch.setattr("recognizer.training.fitting.loop.set_threads", lambda threads: None)
    rng = np.random.default_rng(0)
    for split, emotion in (
        ("train", "fear"),
        ("train", "happy"),
        ("test", "happy"),
        ("test", "sad"),
    ):
        folder = tmp_path / "set" / split / emotion
        folder.mkdir(parents=True)
        for number in range(4):
            cv2.imwrite(str(folder / f"{number}.png"), draw_face(emotion, rng))
    with pytest.raises(CommandError, match="there are 8 to learn from"):
        call_command("train", str(tmp_path / "set"), "--run", str(tmp_path / "run"))
    said = capsys.readouterr().err
    assert "Held out but not learned: sad." in said
    assert "Learned but not held out: fear." in said


def test_a_shipped_models_name_is_not_written_over(dataset: tuple[Path, Path]) -> None:
    with pytest.raises(CommandError, match='a model "resnet9-ferplus" already'):
        call_command("train", str(dataset[0]), "--name", "resnet9-ferplus")


def test_another_model_is_not_written_over_before_the_data_is_read(tmp_path: Path) -> None:
    write_tiny_model(tmp_path / "own-models" / "mine")
    run = ["--name", "mine", "--run", str(tmp_path / "run")]
    with pytest.raises(CommandError, match=r'a model "mine" already .*--replace'):
        call_command("train", "nowhere.csv", *run)
    with pytest.raises(CommandError, match=r"nowhere\.csv"):
        call_command("train", "nowhere.csv", *run, "--replace")


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (["--config", "wrong.toml"], r"wrong\.toml: There is no setting epoch"),
        (["--set", "balance"], '"balance" sets nothing'),
        (["--epochs", "-1"], "epochs = -1: input should be greater than 0."),
        (["--start", "gone"], "gone: there is no such file or folder to start from"),
        (["--backgrounds", "gone"], "gone: there is no such file or folder"),
        (["--set", "distillation=0.5", "--set", "soft_labels=gone.npz"], r"gone\.npz cannot be re"),
        (["--set", "distillation=0.5", "--set", 'teachers=["gone"]'], r"gone.*--set teachers=\[\]"),
        (
            ["--set", "network.name=vgg16", "--set", "network.weights=none"],
            'network.weights is "none"',
        ),
    ],
)
def test_a_wrong_setting_is_named_before_the_data_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: list[str], why: str
) -> None:
    pytest.importorskip("tensorflow", reason="TensorFlow is needed to train")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wrong.toml").write_text("epoch = 3\n")
    (tmp_path / "broken.csv").write_text("hello\n")
    with pytest.raises(CommandError, match=why):
        call_command("train", "broken.csv", *wrong)


def test_what_is_not_read_may_be_written_beside_the_classes(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    for split, emotion in itertools.product(("train", "test"), ("happy", "sad")):
        (folder / split / emotion).mkdir(parents=True)
        face = draw_face(emotion, np.random.default_rng(0))
        cv2.imwrite(str(folder / split / emotion / "1.png"), face)
    for output in (folder / "report.html", folder / ".hidden/report.html"):
        output.parent.mkdir(exist_ok=True)
        call_command("dataset", "explore", str(folder), "--output", str(output))
        assert output.exists()


@pytest.mark.parametrize(
    "command",
    [
        ["train", "SET", "--run", "INSIDE"],
        ["train", "SET", "--output", "INSIDE"],
        ["train", "fer2013.csv", "--extra", "SET", "--run", "INSIDE"],
        ["tune", "SET", "--run", "INSIDE"],
        ["teach", "SET", "--teacher", "resnet9-ferplus", "--output", "INSIDE.npz"],
        ["average", "SET", "--member", "resnet9-ferplus", "--name", "n", "--output", "INSIDE"],
        ["evaluate", "faces", "SET", "--report", "INSIDE.html"],
        ["evaluate", "faces", "SET", "--run", "INSIDE"],
        ["dataset", "explore", "SET", "--output", "INSIDE.html"],
    ],
    ids=" ".join,
)
def test_nothing_is_written_into_the_data_set(command: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "set"
    (folder / "train").mkdir(parents=True)
    (tmp_path / "fer2013.csv").touch()
    places = {"SET": folder, "INSIDE": folder / "train/x", "fer2013.csv": tmp_path / "fer2013.csv"}
    places |= {f"INSIDE{ending}": folder / f"train/x{ending}" for ending in (".npz", ".html")}
    with pytest.raises(CommandError, match=r"lies in the data set .* outside of it"):
        call_command(*[str(places.get(word, word)) for word in command])
    assert not list((folder / "train").iterdir())


def test_places_that_cannot_be_written_to_are_named_before_the_data_is_read(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("in the way")
    for option in ("--run", "--output"):
        with pytest.raises(CommandError, match="no folder that can be written to"):
            call_command("train", "nowhere.csv", option, str(tmp_path / "file" / "run"))
