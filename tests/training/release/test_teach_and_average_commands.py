"""`manage.py teach` and `manage.py average` on drawn faces and tiny models."""

from pathlib import Path

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from recognizer.locks import locked
from recognizer.services import model_store, promotions
from recognizer.training.datasets.faces import Faces
from recognizer.training.datasets.preparation import prepare
from recognizer.training.fitting.soft_labels import SoftLabels
from recognizer.training.release import version
from recognizer.vision.preprocessing import normalize
from tests.training.conftest import Asked
from tests.training.drawing import write_drawn_set
from tests.training.release.test_framing import Whole
from tests.training.release.test_quantization import convolutional, written
from tests.vision.tiny_model import write_tiny_model


@pytest.fixture(autouse=True)
def own_models(settings: Settings, tmp_path: Path) -> None:
    settings.MODELS_ROOT = tmp_path / "models"
    for seed, name in enumerate(("one", "two")):
        write_tiny_model(tmp_path / "models" / name, seed=seed)


def arguments(dataset: tuple[Path, Path]) -> list[str]:
    return [str(dataset[0]), "--ferplus", str(dataset[1])]


def test_soft_labels_are_written_for_every_training_image(
    dataset: tuple[Path, Path], faces: Faces, tmp_path: Path
) -> None:
    target = tmp_path / "soft.npz"
    call_command("teach", *arguments(dataset), "--teacher", "one", "two", "--output", str(target))
    labels = SoftLabels.load(target)
    training = prepare(faces.split("Training"), faces.split("PublicTest").images)
    assert len(labels.of(training.images)["ferplus"]) == len(training)
    assert labels.teachers == ("one 2026.11", "two 2026.11")
    assert not list(tmp_path.glob("*.partial"))


@pytest.mark.parametrize(("command", "option"), [("teach", "--teacher"), ("average", "--member")])
def test_who_may_have_learned_what_is_held_out_is_named(
    dataset: tuple[Path, Path],
    faces: Faces,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
    option: str,
) -> None:
    monkeypatch.setattr("recognizer.training.release.version.MTCNN", Whole)
    known = {"held_out_sha256": version.held_out_hash(faces.split("PublicTest"))}
    write_tiny_model(tmp_path / "models" / "known", metrics=known)
    target = ["--output", str(tmp_path / "soft.npz")] if command == "teach" else ["--name", "made"]
    call_command(command, *arguments(dataset), option, "known", "two", *target)
    said = capsys.readouterr().err
    assert "other rows were held out for them: two 2026.11. If so" in said
    if command == "average":
        # Whoever learns from it is told, though it was measured on these rows.
        made = model_store.load("made").card
        assert "two 2026.11" in made.data[version.SUSPICION]
        assert "made" in version.measured_elsewhere([made], faces.split("PublicTest"))


def test_an_unknown_teacher_is_a_usage_error(dataset: tuple[Path, Path], tmp_path: Path) -> None:
    target = str(tmp_path / "soft.npz")
    with pytest.raises(CommandError, match="nobody") as error:
        call_command("teach", *arguments(dataset), "--teacher", "nobody", "--output", target)
    assert error.value.returncode == 2


def test_soft_labels_of_other_teachers_are_not_written_over(
    dataset: tuple[Path, Path], tmp_path: Path
) -> None:
    given = [*arguments(dataset), "--output", str(tmp_path / "soft.npz"), "--teacher"]
    call_command("teach", *given, "one")
    before = (tmp_path / "soft.npz").read_bytes()
    call_command("teach", *given, "one")
    with pytest.raises(CommandError, match=r"holds the answers of one 2026\.11; name another"):
        call_command("teach", *given, "two")
    assert (tmp_path / "soft.npz").read_bytes() == before


def test_soft_labels_of_other_pictures_are_not_written_over(
    dataset: tuple[Path, Path], tmp_path: Path
) -> None:
    given = ["--output", str(tmp_path / "soft.npz"), "--teacher", "one"]
    call_command("teach", *arguments(dataset), *given)
    before = (tmp_path / "soft.npz").read_bytes()
    other = write_drawn_set(tmp_path, training=32, held_out=16)
    with pytest.raises(CommandError, match=r"holds answers to other pictures; name another"):
        call_command("teach", *arguments(other), *given)
    assert (tmp_path / "soft.npz").read_bytes() == before


@pytest.mark.parametrize(
    "given", [["teach", "--output", "s.npz", "--teacher"], ["average", "--name", "n", "--member"]]
)
def test_a_model_of_another_size_is_told_which(
    dataset: tuple[Path, Path], given: list[str]
) -> None:
    command, *more = given
    size = ["--size", "64"]
    with pytest.raises(CommandError, match="takes faces of 48x48 pixels, and --size is 64") as told:
        call_command(command, *arguments(dataset), *size, *more, "one")
    assert told.value.returncode == 2


@pytest.mark.parametrize(("command", "option"), [("teach", "--teacher"), ("average", "--member")])
def test_a_model_counts_once(
    command: str, option: str, dataset: tuple[Path, Path], tmp_path: Path
) -> None:
    target = ["--output", str(tmp_path / "soft.npz")] if command == "teach" else ["--name", "new"]
    with pytest.raises(CommandError, match='"one" is named twice as a') as error:
        call_command(command, *arguments(dataset), option, "one", "two", "one", *target)
    assert error.value.returncode == 2


def test_an_average_says_what_it_was_measured_on(
    dataset: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recognizer.training.release.version.MTCNN", Whole)
    for name, source in (("ours", "faces (reviewed faces)"), ("theirs", "set (class folders)")):
        write_tiny_model(tmp_path / "models" / name, data={"source": source})
    call_command("average", *arguments(dataset), "--member", "ours", "theirs", "--name", "both")
    data = model_store.load("both").card.data
    assert data["source"].startswith("fer2013.csv (FER-2013")
    assert data["members"]["ours"]["source"] == "faces (reviewed faces)"


def test_soft_labels_are_written_by_one_process(dataset: tuple[Path, Path], tmp_path: Path) -> None:
    given = [*arguments(dataset), "--teacher", "one", "--output", str(tmp_path / "soft.npz")]
    with (
        locked(tmp_path / ".soft.npz.lock", RuntimeError("held")),
        pytest.raises(CommandError, match="Another process writes --output"),
    ):
        call_command("teach", *given)
    call_command("teach", *given)
    assert sorted(path.name for path in tmp_path.iterdir() if "soft" in path.name) == ["soft.npz"]


def test_an_average_is_a_model_of_its_own(
    dataset: tuple[Path, Path], faces: Faces, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recognizer.training.release.version.MTCNN", Whole)
    call_command("average", *arguments(dataset), "--member", "one", "two", "--name", "both")
    both = model_store.load("both")
    assert both.card.name == "both"
    assert both.card.macs == 2 * (model_store.load("one").card.macs * 2)
    assert both.card.metrics["PublicTest"]["ferplus"]["n"] == len(faces.split("PublicTest"))
    # By which `promote` knows that two cards' numbers are of the same pictures.
    again = version.measured(both, faces.split("PublicTest"), faces.split("PublicTest"))
    other = version.measured(both, faces.split("Training"), faces.split("Training"))
    known = both.card.metrics[promotions.HELD_OUT_HASH]
    assert again[promotions.HELD_OUT_HASH] == known != other[promotions.HELD_OUT_HASH]
    seen = normalize(faces.images[:3])
    members = [
        model_store.load(name).logits(seen, ["ferplus"])["ferplus"] for name in ("one", "two")
    ]
    assert not np.allclose(both.logits(seen, ["ferplus"])["ferplus"], members[0])


def test_a_stopped_average_goes_on_with_the_answers_that_are_kept(
    dataset: tuple[Path, Path],
    tmp_path: Path,
    asked: Asked,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("recognizer.training.release.version.MTCNN", Whole)
    given = ["--member", "one", "two", "--name", "both", "--run", str(tmp_path / "run")]
    with monkeypatch.context() as stopped:
        stopped.setattr("recognizer.management.model_reports.write", stop)
        with pytest.raises(SystemExit):
            call_command("average", *arguments(dataset), *given)
    assert "goes on with what the models said" in capsys.readouterr().err
    before = asked.faces
    assert before > 1000
    call_command("average", *arguments(dataset), *given)
    assert asked.faces == before
    assert model_store.load("both").card.metrics["PublicTest"]["ferplus"]["n"] == 64


def test_an_average_may_be_of_8_bit_integers(
    dataset: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recognizer.training.release.version.MTCNN", Whole)
    for seed, name in enumerate(("one", "two")):
        written(model_store.own_root() / name, convolutional(seed))
    given = ["--member", "one", "two", "--name", "both", "--int8"]
    call_command("average", *arguments(dataset), *given)
    assert model_store.load("both").card.weights.precision == "int8"


def test_an_average_may_look_at_each_face_moved_about(
    dataset: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recognizer.training.release.version.MTCNN", Whole)
    given = ["--member", "one", "--name", "moved", "--shift", "2"]
    call_command("average", *arguments(dataset), *given)
    card = model_store.load("moved").card
    assert card.architecture.endswith("moved by 2 pixels to four corners, two of them mirrored")
    assert card.macs == 4 * model_store.load("one").card.macs
    with pytest.raises(CommandError, match="shift must lie in 0-8") as error:
        call_command("average", "nowhere.csv", *given[:-1], "9")
    assert error.value.returncode == 2


def test_an_average_may_not_take_a_shipped_models_name(dataset: tuple[Path, Path]) -> None:
    with pytest.raises(CommandError, match="already"):
        call_command("average", *arguments(dataset), "--member", "one", "--name", "resnet9-ferplus")


def test_an_average_replaces_another_model_only_if_that_is_said(
    dataset: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recognizer.training.release.version.MTCNN", Whole)
    given = ["--member", "one", "two", "--name", "two"]
    with pytest.raises(CommandError, match=r'a model "two" already .*--replace') as error:
        call_command("average", "nowhere.csv", *given)
    assert error.value.returncode == 2
    call_command("average", *arguments(dataset), *given, "--replace")
    assert "average of one" in model_store.load("two").card.architecture
