import subprocess
import sys
from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest

from recognizer.training.augmentation import Augmentation
from recognizer.training.datasets.backgrounds import Backgrounds
from recognizer.training.datasets.faces import Faces
from recognizer.training.datasets.preparation import TrainingSet, prepare
from recognizer.training.release import non_faces
from recognizer.training.release.non_faces import background, fit_logistic, fit_non_face_head

pytest.importorskip("sklearn", reason="scikit-learn is needed to fit the head")


@pytest.fixture
def training(faces: Faces) -> TrainingSet:
    prepared = prepare(faces.split("Training"), faces.split("PublicTest").images)
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (30, 48, 48)).astype(np.uint8)
    return replace(prepared, non_faces=noise)


def roughness(images: np.ndarray) -> np.ndarray:
    """Two features that tell noise from drawings."""
    steps = np.abs(np.diff(images.astype(np.float32), axis=2)).mean(axis=(1, 2))
    return np.column_stack([steps, images.mean(axis=(1, 2))])


def test_it_tells_faces_from_what_is_none_out_of_fold(training: TrainingSet) -> None:
    found = fit_non_face_head(roughness, training, Augmentation())
    assert found is not None
    assert found.auroc is not None
    assert found.auroc > 0.9
    assert found.found is not None
    assert found.found > 0.7
    assert found.crops_found is None
    assert 0 < found.threshold < 1


def test_crops_of_photos_are_learned_and_counted(training: TrainingSet) -> None:
    rng = np.random.default_rng(1)
    crops = rng.integers(0, 256, (40, 48, 48)).astype(np.uint8)
    training = replace(training, backgrounds=Backgrounds(crops, np.repeat(np.arange(8), 5)))
    found = fit_non_face_head(roughness, training, Augmentation())
    assert found is not None
    assert found.crops_found is not None
    assert found.crops_found > 0.5


def test_crops_of_photos_are_enough(training: TrainingSet) -> None:
    crops = np.random.default_rng(1).integers(0, 256, (40, 48, 48)).astype(np.uint8)
    backgrounds = Backgrounds(crops, np.repeat(np.arange(8), 5))
    alone = replace(training, non_faces=training.non_faces[:0], backgrounds=backgrounds)
    found = fit_non_face_head(roughness, alone, Augmentation())
    assert found is not None
    assert (found.found, found.auroc) == (None, None)
    assert found.crops_found is not None
    assert found.crops_found > 0.5


def test_without_marked_rows_there_is_no_such_head(training: TrainingSet) -> None:
    none = replace(training, non_faces=training.non_faces[:0])
    assert fit_non_face_head(roughness, none, Augmentation()) is None


def test_what_is_counted_are_the_pictures_as_they_are(training: TrainingSet) -> None:
    told = {image.tobytes(): -1.0 for image in training.images}
    told |= {image.tobytes(): 1.0 for image in training.non_faces}

    def of_originals(images: np.ndarray) -> np.ndarray:
        return np.array([[told.get(image.tobytes(), 0.0)] for image in images])

    # Varied copies, of faces as of others, cannot be told apart: they would spoil every number.
    found = fit_non_face_head(of_originals, training, Augmentation())
    assert found is not None
    assert (found.found, found.auroc, found.false_alarms) == (1.0, 1.0, 0.0)


def test_faces_varied_as_for_training_set_the_threshold(training: TrainingSet) -> None:
    told = {image.tobytes(): -1.0 for image in training.images}

    def unlike_any_copy(images: np.ndarray) -> np.ndarray:
        return np.array([[told.get(image.tobytes(), 0.5)] for image in images])

    # Every varied face looks like what is no face: nothing may be called so.
    found = fit_non_face_head(unlike_any_copy, training, Augmentation())
    assert found is not None
    assert (found.found, found.false_alarms) == (0.0, 0.0)


def test_no_answer_comes_from_a_head_that_saw_a_copy(
    training: TrainingSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Copies are equal now, and features that know each picture by heart say nothing of others.
    monkeypatch.setattr(non_faces, "augment", lambda image, how, rng: image)
    monkeypatch.setattr(non_faces, "BACKGROUNDS", 100)

    def by_heart(images: np.ndarray) -> np.ndarray:
        seeds = [int.from_bytes(sha256(image.tobytes()).digest()[:8]) for image in images]
        return np.stack([np.random.default_rng(seed).normal(size=150) for seed in seeds])

    found = fit_non_face_head(by_heart, training, Augmentation())
    assert found is not None
    assert found.auroc is not None
    assert 0.25 < found.auroc < 0.75


def test_features_that_say_nothing_find_nothing(training: TrainingSet) -> None:
    rng = np.random.default_rng(0)

    def blind(images: np.ndarray) -> np.ndarray:
        return rng.normal(size=(len(images), 3))

    found = fit_non_face_head(blind, training, Augmentation())
    assert found is not None
    assert found.auroc is not None
    assert 0.3 < found.auroc < 0.7


def test_logistic_regression_finds_the_line_that_made_the_data() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(3, 2, (20_000, 2))
    chance = 1 / (1 + np.exp(-(features @ [1.0, -0.5] - 1.0)))
    head = fit_logistic(features, rng.random(20_000) < chance, np.ones(20_000))
    np.testing.assert_allclose([*head.weights, head.bias], [1.0, -0.5, -1.0], atol=0.1)


def test_the_head_is_the_regression_on_features_as_they_are() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(500, 4)) * [1, 30, 0.01, 0] + [
        0,
        -50,
        3,
        7,
    ]  # The last is constant.
    positive, weights = rng.random(500) < 0.3, rng.uniform(0.1, 3, 500)
    head = fit_logistic(features, positive, weights)
    # At the minimum, what the weighted errors pull at is what the penalty on the weights of
    # standardised features holds against.
    chances = 1 / (1 + np.exp(-head.logits(features)))
    deviation = features.std(axis=0)
    centred = (features - features.mean(axis=0)) / np.where(deviation > 0, deviation, 1)
    pull = (weights * (positive - chances)) @ centred
    np.testing.assert_allclose(pull, head.weights * deviation / non_faces.C, atol=1e-3)
    assert (weights * (positive - chances)).sum() == pytest.approx(0, abs=1e-3)
    assert np.abs(head.weights[:3] * deviation[:3]).max() > 0.05


def test_calibrating_needs_no_scikit_learn() -> None:
    code = "import sys; sys.modules['sklearn'] = None; import recognizer.training.release.version"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_backgrounds_have_the_size_of_a_face(faces: Faces) -> None:
    rng = np.random.default_rng(0)
    made = [background(faces.images[0], rng) for _ in range(20)]
    assert {picture.shape for picture in made} == {(48, 48)}
    assert len({picture.tobytes() for picture in made}) == 20
