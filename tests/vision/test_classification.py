import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from recognizer.training.release.version import write_labels
from recognizer.vision import classification
from recognizer.vision.cards import CardError
from recognizer.vision.classification import (
    DEFAULT_MODEL,
    ModelError,
    OnnxClassifier,
    available_models,
    load_model,
    softmax,
)
from recognizer.vision.detection import Detection
from recognizer.vision.preprocessing import crop_face, normalize
from tests.vision.tiny_model import tiny_network, write_tiny_model

EYES = {"left_eye": (203.0, 101.0), "right_eye": (246.0, 102.0)}
FACE = Detection((182, 64, 83, 107), EYES, 0.99)
ELSEWHERE = Detection((20, 300, 60, 60), {"left_eye": (30, 320), "right_eye": (60, 330)}, 0.8)


@pytest.fixture(scope="module")
def classifier(tiny_model: Path) -> OnnxClassifier:
    return OnnxClassifier(tiny_model, threads=1)


def test_every_detection_gets_calibrated_probabilities(
    classifier: OnnxClassifier, astronaut: NDArray[np.uint8]
) -> None:
    answers = classifier.classify(astronaut, [FACE, ELSEWHERE])
    assert len(answers) == 2
    for answer in answers:
        assert answer.probabilities.shape == (8,)
        assert answer.probabilities.sum() == pytest.approx(1)
        assert answer.sharpness > 0
    assert classifier.classify(astronaut, []) == []


def test_classifying_is_crop_normalise_network_temperature(
    classifier: OnnxClassifier, astronaut: NDArray[np.uint8]
) -> None:
    crop = crop_face(astronaut, FACE.box, FACE.landmarks, classifier.card.preprocessing)
    logits = classifier.logits(normalize(crop[None]), ["ferplus"])["ferplus"]
    (answer,) = classifier.classify(astronaut, [FACE])
    np.testing.assert_allclose(answer.probabilities, softmax(logits[0] / 1.5))


def test_the_order_of_faces_does_not_matter(
    classifier: OnnxClassifier, astronaut: NDArray[np.uint8]
) -> None:
    one, other = classifier.classify(astronaut, [FACE, ELSEWHERE])
    second, first = classifier.classify(astronaut, [ELSEWHERE, FACE])
    np.testing.assert_allclose(one.probabilities, first.probabilities)
    np.testing.assert_allclose(other.probabilities, second.probabilities)


def test_many_faces_go_through_in_batches(classifier: OnnxClassifier) -> None:
    faces = np.random.default_rng(0).normal(size=(150, 48, 48, 1)).astype(np.float32)
    together = classifier.probabilities(faces)
    single = np.concatenate([classifier.probabilities(face[None]) for face in faces[60:70]])
    assert together.shape == (150, 8)
    np.testing.assert_allclose(together[60:70], single, atol=1e-6)
    assert classifier.probabilities(faces[:0]).shape == (0, 8)


def test_the_second_head_answers_too(classifier: OnnxClassifier) -> None:
    faces = np.random.default_rng(0).normal(size=(3, 48, 48, 1)).astype(np.float32)
    assert classifier.probabilities(faces, "fer2013").shape == (3, 7)
    with pytest.raises(ModelError, match="ferplus, fer2013"):
        classifier.probabilities(faces, "valence")


def test_its_name_tells_model_and_version(classifier: OnnxClassifier) -> None:
    assert classifier.name == "tiny 2026.11"


def test_changed_weights_are_refused(tiny_model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "changed")
    with (folder / "model.onnx").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(ModelError, match="SHA-256"):
        OnnxClassifier(folder)


def test_missing_weights_are_refused(tiny_model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "changed")
    (folder / "model.onnx").unlink()
    with pytest.raises(ModelError, match=r"model\.onnx: cannot be read"):
        OnnxClassifier(folder)


def test_one_altered_byte_of_the_weights_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "changed")
    weights = bytearray((folder / "model.onnx").read_bytes())
    weights[len(weights) // 2] ^= 1
    (folder / "model.onnx").write_bytes(weights)
    with pytest.raises(ModelError, match="SHA-256"):
        OnnxClassifier(folder)


def test_a_model_that_fits_its_card_passes_the_check(classifier: OnnxClassifier) -> None:
    classifier.check()


@pytest.mark.parametrize(
    ("network", "complaint"),
    [
        (b"no network", "is no network that can be run"),
        (tiny_network(scale=float("nan")), "not a finite number"),
        (tiny_network(scale=float("inf")), "not a finite number"),
        (tiny_network(classes=(7, 7)), r'expected an output "ferplus" of \(N, 8\)'),
        (tiny_network(classes=(8, 8)), r'expected an output "fer2013" of \(N, 7\)'),
        (tiny_network(size=32), r"\(N, 48, 48, 1\)"),
    ],
)
def test_what_the_card_names_rightly_must_also_answer_rightly(
    tmp_path: Path, network: bytes, complaint: str
) -> None:
    folder = write_tiny_model(tmp_path / "other", network=network)
    with pytest.raises(ModelError, match=complaint):
        OnnxClassifier(folder).check()


def test_a_network_of_another_size_is_refused(tmp_path: Path, astronaut: NDArray[np.uint8]) -> None:
    other = {"size": 48, "margin": 1.0, "shift_y": 0.0, "align": "none"}
    folder = write_tiny_model(tmp_path / "other", size=32, preprocessing=other)
    with pytest.raises(ModelError, match=r"\(N, 48, 48, 1\)"):
        OnnxClassifier(folder).classify(astronaut, [FACE])


def test_a_network_without_a_head_of_the_card_is_refused(
    tmp_path: Path, astronaut: NDArray[np.uint8]
) -> None:
    folder = write_tiny_model(tmp_path / "other")
    heads = dict(OnnxClassifier(folder).card.as_dict()["heads"])
    heads["valence"] = {"labels": ["low", "high"], "temperature": 1.0}
    folder = write_tiny_model(tmp_path / "other", heads=heads)
    with pytest.raises(ModelError, match='"valence"'):
        OnnxClassifier(folder).classify(astronaut, [FACE])


def test_a_card_that_calls_classes_otherwise_than_the_network_is_refused(tmp_path: Path) -> None:
    folder = write_tiny_model(tmp_path / "other")
    heads = dict(OnnxClassifier(folder).card.as_dict()["heads"])
    write_labels(folder / "model.onnx", {head: heads[head]["labels"] for head in heads})
    network = (folder / "model.onnx").read_bytes()
    OnnxClassifier(write_tiny_model(folder, network=network)).check()
    heads["fer2013"]["labels"] = heads["fer2013"]["labels"][::-1]
    folder = write_tiny_model(folder, network=network, heads=heads)
    with pytest.raises(ModelError, match=r'"fer2013" gives .* but the card calls them'):
        OnnxClassifier(folder).check()


@pytest.mark.parametrize("said", ["anger, happy", "[1, 2]", "[" * 100_000, "{"])
def test_what_others_write_into_a_network_says_nothing_of_its_classes(
    tmp_path: Path, said: str
) -> None:
    network = onnx.load_from_string(tiny_network())
    onnx.helper.set_model_props(network, {"labels": said})
    folder = write_tiny_model(tmp_path / "other", network=network.SerializeToString())
    OnnxClassifier(folder).check()


def test_softmax_is_safe_from_overflow() -> None:
    shares = softmax(np.array([[1000.0, 0, -1000], [0, 0, 0]]))
    np.testing.assert_allclose(shares, np.array([[1, 0, 0], [1 / 3, 1 / 3, 1 / 3]]))


def test_models_are_found_by_name(tiny_model: Path) -> None:
    assert available_models(tiny_model.parent) == ["tiny"]
    assert load_model("tiny", folder=tiny_model.parent).card.name == "tiny"


def test_the_default_model_is_loaded_without_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tiny_model(tmp_path / DEFAULT_MODEL)
    monkeypatch.setattr(classification, "MODELS_FOLDER", tmp_path)
    assert load_model().card.name == DEFAULT_MODEL


@pytest.mark.parametrize("name", ["nothing", "../tiny", "/etc", "tiny/"])
def test_an_unknown_model_is_refused_with_the_choice(tiny_model: Path, name: str) -> None:
    with pytest.raises(ModelError, match=r"Available: tiny\."):
        load_model(name, folder=tiny_model.parent)


def test_no_models_at_all_are_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="There are none in"):
        load_model(folder=tmp_path)


def test_a_model_with_a_broken_card_is_refused(tmp_path: Path) -> None:
    folder = write_tiny_model(tmp_path / "broken", schema=99)
    with pytest.raises(CardError, match="schema"):
        load_model("broken", folder=folder.parent)


def test_every_shipped_model_fits_its_card(astronaut: NDArray[np.uint8]) -> None:
    assert DEFAULT_MODEL in available_models()
    for name in available_models():
        classifier = load_model(name)
        assert classifier.card.name == name
        (answer,) = classifier.classify(astronaut, [FACE])
        assert answer.probabilities.sum() == pytest.approx(1)


def test_every_shipped_model_has_a_report_without_other_peoples_pictures() -> None:
    for name in available_models():
        report = (load_model(name).folder / "report.html").read_text()
        assert load_model(name).card.weights.sha256 in report
        assert "data:image" not in report
