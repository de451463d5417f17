import io
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tqdm import tqdm

from recognizer.training.datasets.faces import DatasetError, Faces
from recognizer.training.datasets.preparation import distilled, prepare
from recognizer.training.evaluation.caching import CachedClassifier
from recognizer.training.fitting import soft_labels
from recognizer.training.fitting.soft_labels import SoftLabels, teach
from recognizer.training.release import averaging
from recognizer.vision.classification import OnnxClassifier
from tests.training.conftest import Asked
from tests.vision.tiny_model import write_tiny_model


@pytest.fixture
def teacher(tmp_path: Path) -> OnnxClassifier:
    return OnnxClassifier(write_tiny_model(tmp_path / "teacher"))


def test_they_find_their_images_in_any_order(
    teacher: OnnxClassifier, faces: Faces, tmp_path: Path
) -> None:
    labels = teach([teacher], faces.images)
    labels.save(tmp_path / "soft.npz")
    loaded = SoftLabels.load(tmp_path / "soft.npz")
    assert loaded.teachers == (teacher.name,)
    straight, reversed_ = loaded.of(faces.images), loaded.of(faces.images[::-1])
    for head in ("ferplus", "fer2013"):
        np.testing.assert_array_equal(straight[head], reversed_[head][::-1])
        np.testing.assert_allclose(straight[head].sum(axis=1), 1, atol=1e-5)
        np.testing.assert_allclose(straight[head], labels.of(faces.images)[head], atol=0.01)


def test_a_face_and_its_mirror_image_are_taught_alike(
    teacher: OnnxClassifier, faces: Faces
) -> None:
    mirrored = np.ascontiguousarray(faces.images[:, :, ::-1])
    one = teach([teacher], faces.images).of(faces.images)["ferplus"]
    other = teach([teacher], mirrored).of(mirrored)["ferplus"]
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_the_bar_counts_images(
    teacher: OnnxClassifier, faces: Faces, monkeypatch: pytest.MonkeyPatch
) -> None:
    bars: list[tqdm[None]] = []

    def watched(*, disable: None, **how: Any) -> "tqdm[None]":
        bars.append(tqdm(**how, disable=False, file=io.StringIO()))
        return bars[-1]

    monkeypatch.setattr(soft_labels, "tqdm", watched)
    teach([teacher, teacher], faces.images)
    assert [(bar.n, bar.total) for bar in bars] == [(len(faces), len(faces))]


def test_a_killed_teaching_is_gone_on_with(
    teacher: OnnxClassifier, faces: Faces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    ask, asked = OnnxClassifier.logits, [0]

    def count(self: OnnxClassifier, pictures: np.ndarray, heads: Any) -> Any:
        asked[0] += len(pictures)
        if asked[0] > limit:
            raise Killed
        return ask(self, pictures, heads)

    straight = teach([teacher], faces.images)
    kept = CachedClassifier(teacher.folder, tmp_path / "kept")
    monkeypatch.setattr(OnnxClassifier, "logits", count)
    limit = 4 + 2 * soft_labels.ASKED  # Four to find out whether it sees both sides.
    with pytest.raises(Killed):
        teach([kept], faces.images)
    asked, limit = [0], 2 * len(faces)
    resumed = teach([kept], faces.images)
    assert asked == [2 * (len(faces) - soft_labels.ASKED)]
    np.testing.assert_array_equal(resumed.ferplus, straight.ferplus)
    np.testing.assert_array_equal(resumed.fer2013, straight.fer2013)


def test_a_teacher_that_sees_both_sides_is_asked_about_one(
    teacher: OnnxClassifier, faces: Faces, tmp_path: Path, asked: Asked
) -> None:
    folder = tmp_path / "average"
    averaging.draft([teacher], folder, "average").save(folder / "card.json")
    both_sides = OnnxClassifier(folder)
    straight = teach([teacher], faces.images)
    asked.clear()
    labels = teach([both_sides], faces.images)
    # The others find out whether it does.
    assert asked.faces == len(faces) + 2 * 2
    # Here the logits of both sides were averaged, there their probabilities.
    np.testing.assert_allclose(labels.ferplus, straight.ferplus, atol=0.05)


def test_images_that_no_teacher_saw_keep_their_votes(teacher: OnnxClassifier, faces: Faces) -> None:
    training = prepare(faces.split("Training"), faces.split("PublicTest").images)
    half = len(training) // 2
    taught = teach([teacher], training.images[:half]).of(training.images)
    mixed = distilled(training, taught, 0.5)
    np.testing.assert_array_equal(mixed.ferplus[half:], training.ferplus[half:])
    assert not np.array_equal(mixed.ferplus[:half], training.ferplus[:half])


def test_soft_labels_of_another_data_set_say_nothing(teacher: OnnxClassifier, faces: Faces) -> None:
    labels = teach([teacher], faces.images[:50])
    answers = labels.of(255 - faces.images[:5])
    assert all(np.isnan(probabilities).all() for probabilities in answers.values())


@pytest.mark.parametrize("content", ["no archive", ""])
def test_another_file_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "soft.npz").write_text(content)
    with pytest.raises(DatasetError, match=r"holds no soft labels: expected a file that"):
        SoftLabels.load(tmp_path / "soft.npz")


def test_a_damaged_file_is_refused(teacher: OnnxClassifier, faces: Faces, tmp_path: Path) -> None:
    teach([teacher], faces.images).save(tmp_path / "soft.npz")
    whole = (tmp_path / "soft.npz").read_bytes()
    read = 0
    for place in range(0, len(whole), 7):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        (tmp_path / "soft.npz").write_bytes(damaged)
        with suppress(DatasetError):
            SoftLabels.load(tmp_path / "soft.npz")
            read += 1  # Dates, and what else no checksum covers.
    assert read < len(whole) / 7 / 10


def test_targets_move_towards_the_teacher(faces: Faces, teacher: OnnxClassifier) -> None:
    training = prepare(faces.split("Training"), faces.split("PublicTest").images)
    taught = teach([teacher], training.images).of(training.images)
    half = distilled(training, taught, 0.5)
    np.testing.assert_allclose(half.ferplus, (training.ferplus + taught["ferplus"]) / 2)
    np.testing.assert_array_equal(distilled(training, taught, 0.0).ferplus, training.ferplus)
