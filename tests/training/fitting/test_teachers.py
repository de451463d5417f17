from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="TensorFlow is needed to fit")

import keras

from recognizer.training.datasets.faces import Faces
from recognizer.training.datasets.preparation import HEADS, TrainingSet, prepare
from recognizer.training.fitting.batches import batches
from recognizer.training.fitting.fitted import logits
from recognizer.training.fitting.hyperparameters import Fitting
from recognizer.training.fitting.loop import fit
from recognizer.training.fitting.teachers import Teachers, shares_of
from recognizer.training.networks import ResNet9
from recognizer.training.settings import SettingsError
from recognizer.vision.classification import OnnxClassifier, softmax
from recognizer.vision.emotions import EMOTIONS
from recognizer.vision.preprocessing import normalize
from tests.vision.tiny_model import tiny_network, write_tiny_model

TAUGHT = Fitting(
    epochs=2,
    batch=32,
    distillation=0.75,
    network=ResNet9(widths=(4, 8), entry=0, blocks=(1, 1), squeeze=2),
)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[str, ...]:
    return tuple(str(write_tiny_model(tmp_path / f"t{seed}", seed=seed)) for seed in (1, 2))


@pytest.fixture(scope="module")
def training(faces: Faces) -> TrainingSet:
    return prepare(faces.split("Training"), faces.split("PublicTest").images)


def loaded(folders: tuple[str, ...]) -> Teachers:
    teachers = Teachers.load(folders, 48)
    assert teachers is not None
    return teachers


def quiet(_: str) -> None:
    return None


def test_they_answer_with_their_mean(folders: tuple[str, ...], faces: Faces) -> None:
    answers = loaded(folders).answers(faces.images[:5])
    seen = normalize(faces.images[:5])
    one, other = (shares_of(OnnxClassifier(Path(folder)), seen) for folder in folders)
    for head in HEADS:
        np.testing.assert_allclose(answers[head], (one[head] + other[head]) / 2, rtol=1e-6)
        assert not np.allclose(one[head], other[head])


def test_they_are_asked_about_what_the_student_sees(
    folders: tuple[str, ...], training: TrainingSet
) -> None:
    weights = np.ones(len(training))
    teachers = loaded(folders)
    with_them = list(batches(training, weights, TAUGHT, 0, teachers))
    without = list(batches(training, weights, TAUGHT, 0))
    assert len(with_them) == len(without) > 1
    models = [OnnxClassifier(Path(folder)) for folder in folders]
    for taught, plain in zip(with_them, without, strict=True):
        np.testing.assert_array_equal(taught[0], plain[0])
        np.testing.assert_array_equal(taught[3], plain[3])
        for place, head in enumerate(HEADS, start=1):
            said = np.mean([shares_of(model, taught[0])[head] for model in models], axis=0)
            expected = 0.25 * plain[place] + 0.75 * said
            np.testing.assert_allclose(taught[place], expected, atol=1e-5)


def test_they_see_small_pictures_at_full_size(
    folders: tuple[str, ...], training: TrainingSet
) -> None:
    weights, teachers = np.ones(len(training)), loaded(folders)
    small = next(batches(training, weights, replace(TAUGHT, small_epochs=1), 0, teachers))
    whole = next(batches(training, weights, TAUGHT, 0, teachers))
    assert (small[0].shape, whole[0].shape) == ((32, 32, 32, 1), (32, 48, 48, 1))
    np.testing.assert_array_equal(small[1], whole[1])


def test_a_student_learns_what_they_say(
    folders: tuple[str, ...], training: TrainingSet, faces: Faces, tmp_path: Path
) -> None:
    said = loaded(folders).answers(faces.images)["fer2013"]

    def apart(model: keras.Model) -> float:
        answers = softmax(logits(model, faces.images)["fer2013"].astype(np.float64))
        return float(np.abs(answers - said).sum(axis=1).mean())

    how = replace(TAUGHT, epochs=12, learning_rate=0.1, ema=0.9, distillation=1.0)
    held_out = faces.split("PublicTest")
    taught = fit(training, held_out, how, tmp_path / "taught", quiet, loaded(folders))
    untaught = fit(training, held_out, replace(how, distillation=0), tmp_path / "own", quiet)
    assert apart(taught) < 0.7 * apart(untaught)


def test_a_run_is_of_its_teachers_weights(
    folders: tuple[str, ...], training: TrainingSet, faces: Faces, tmp_path: Path
) -> None:
    how = replace(TAUGHT, epochs=1, teachers=folders)
    held_out, run = faces.split("PublicTest"), tmp_path / "run"
    straight = fit(training, held_out, how, run, quiet, loaded(folders))
    # The same ones may lie elsewhere.
    moved = tuple(str(Path(folder).rename(tmp_path / f"moved{folder[-1]}")) for folder in folders)
    lines: list[str] = []
    again = fit(training, held_out, replace(how, teachers=moved), run, lines.append, loaded(moved))
    assert lines == ["Going on after epoch 1 of 1."]
    for one, other in zip(straight.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    write_tiny_model(Path(moved[0]), network=tiny_network(seed=3))
    with pytest.raises(ValueError, match=r"other settings \(teachers differ\)"):
        fit(training, held_out, how, run, quiet, loaded(moved))


def test_who_cannot_teach_is_named_with_what_to_do(tmp_path: Path) -> None:
    assert Teachers.load((), 48) is None
    with pytest.raises(SettingsError, match=r"nobody.*--set teachers=\[\] --set distillation=0"):
        Teachers.load((str(tmp_path / "nobody"),), 48)
    heads = {"ferplus": {"labels": list(EMOTIONS), "temperature": 1.0}}
    one_sided = write_tiny_model(tmp_path / "half", heads=heads)
    with pytest.raises(SettingsError, match="half has no head fer2013, so it cannot teach"):
        Teachers.load((str(one_sided),), 48)
    large = write_tiny_model(tmp_path / "large", size=64)
    with pytest.raises(ValueError, match=r"large 2026\.11 takes faces of 64x64 pixels, and"):
        Teachers.load((str(large),), 48)
