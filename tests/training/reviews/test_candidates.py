"""A model that goes on from an exported one, exported itself, with its ancestor's card."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from recognizer.services import promotions
from recognizer.training.datasets.faces import Faces
from recognizer.training.datasets.halves import even_and_odd
from recognizer.training.datasets.preparation import TrainingSet
from recognizer.training.evaluation.comparison import compare
from recognizer.training.release.non_faces import background
from recognizer.training.release.quantization import precision_of, quantize
from recognizer.training.settings import SettingsError
from recognizer.vision.cards import NOT_A_FACE_HEAD, ModelCard, Weights
from recognizer.vision.classification import OnnxClassifier
from recognizer.vision.preprocessing import normalize

pytest.importorskip("tensorflow", reason="TensorFlow is needed to train")

from recognizer.training.fitting.fitted import logits
from recognizer.training.release import export, version
from recognizer.training.reviews import candidates
from recognizer.training.reviews.finetuning import Origin
from tests.training.fitted_model import QUICK, negatives


@pytest.fixture(scope="module")
def old(fitted_model: Path) -> OnnxClassifier:
    return OnnxClassifier(fitted_model)


@pytest.fixture(scope="module")
def new(
    old: OnnxClassifier, reviewed: TrainingSet, tmp_path_factory: pytest.TempPathFactory
) -> OnnxClassifier:
    """What came of learning; the folder was not there before. Not to be written to."""
    folder = tmp_path_factory.mktemp("learned") / "deep" / "learned-7"
    return candidates.learn(old, reviewed, None, folder, "learned-7", lambda _: None, QUICK)


def edited(model: Path, folder: Path, **changes: Any) -> OnnxClassifier:
    """A copy of a model's folder; `changes` replace entries of the card."""
    shutil.copytree(model, folder)
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps(card | changes))
    return OnnxClassifier(folder)


# --- The new model -----------------------------------------------------------------------------


def test_it_is_a_model_like_others_and_better_at_what_it_learned(
    old: OnnxClassifier, new: OnnxClassifier, strange: Faces
) -> None:
    new.check()
    assert sorted(path.name for path in new.weights.parent.iterdir()) == [
        "card.json",
        "model.onnx",
        "network.weights.h5",
    ]
    found = compare(old, new, strange)
    assert found
    assert found["low"] > 0.3


def test_its_card_names_its_ancestor(
    old: OnnxClassifier, new: OnnxClassifier, reviewed: TrainingSet
) -> None:
    card = new.card
    assert card.name == "learned-7"
    assert card.data == {**old.card.data, "reviewed_faces": len(reviewed)}
    assert card.notes == candidates.NOTES
    made = card.training["fine_tuning"]
    assert made["from"] == old.name
    assert made["from_weights"] == old.card.weights.sha256 != card.weights.sha256
    assert made["replayed_faces"] == 0
    assert [way["share"] for way in made["cross_validation"]] == [0.0, *QUICK.ways]
    assert made["share_of_the_way"] in QUICK.ways
    assert made["settings"]["learning_rate"] == QUICK.learning_rate


def test_what_was_measured_on_other_weights_is_not_claimed(new: OnnxClassifier) -> None:
    assert new.card.metrics == {}
    assert promotions.accuracy(new.card.metrics) is None


def test_it_is_calibrated_and_framed_as_its_ancestor(
    fitted_model: Path, tmp_path: Path, reviewed: TrainingSet, faces: Faces
) -> None:
    heads = json.loads((fitted_model / "card.json").read_text())["heads"]
    del heads["not_a_face"], heads["fer2013"]
    heads["ferplus"] |= {"temperature": 1.7, "bias": [0.1] * 8}
    old = edited(
        fitted_model,
        tmp_path / "old",
        heads=heads,
        preprocessing={"size": 48, "margin": 1.15, "shift_y": 0.05, "align": "eyes"},
    )
    origin = Origin(reviewed, faces.split("PublicTest"))
    how = replace(QUICK, forgotten=1.0)
    new = candidates.learn(old, reviewed, origin, tmp_path / "new", "new", lambda _: None, how)
    new.check()
    outputs = onnx.load(new.weights).graph.output
    assert {output.name for output in outputs} == set(heads)
    assert new.card.heads == old.card.heads
    assert new.card.preprocessing == old.card.preprocessing
    assert new.card.uncertainty == old.card.uncertainty
    assert new.card.training["fine_tuning"]["replayed_faces"] == len(reviewed)


def test_the_weights_beside_it_are_its_own_so_that_it_can_go_on(
    new: OnnxClassifier, strange: Faces
) -> None:
    model = candidates.ancestor(new.weights.parent, new.card)
    fitted = logits(model, strange.images)
    heads = [head for head in fitted if head in new.card.heads]
    for head, exported in new.logits(normalize(strange.images), heads).items():
        np.testing.assert_allclose(exported, fitted[head], atol=1e-3)


def test_one_of_8_bit_integers_goes_on_as_such(
    fitted_model: Path, reviewed: TrainingSet, faces: Faces, strange: Faces, tmp_path: Path
) -> None:
    shutil.copytree(fitted_model, tmp_path / "old")
    quantize(tmp_path / "old" / "model.onnx", faces.split("Training").images)
    card = ModelCard.load(fitted_model / "card.json")
    sha256 = version.file_hash(tmp_path / "old" / "model.onnx")
    replace(card, weights=Weights("model.onnx", sha256, "int8")).save(tmp_path / "old/card.json")
    old = OnnxClassifier(tmp_path / "old")
    new = candidates.learn(old, reviewed, None, tmp_path / "new", "new", lambda _: None, QUICK)
    new.check()
    assert new.card.weights.precision == "int8"
    assert precision_of(onnx.load(new.weights)) == "int8"
    found = compare(old, new, strange)
    assert found
    assert found["low"] > 0.3


def test_its_card_tells_how_it_does_on_the_reference_set(
    new: OnnxClassifier, faces: Faces, tmp_path: Path
) -> None:
    copied = edited(new.weights.parent, tmp_path / "measured")
    reference = faces.split("PublicTest")
    measured = candidates.with_metrics(copied, reference)
    assert measured.card == ModelCard.load(tmp_path / "measured" / "card.json")
    # What `promote` goes by: the even rows said how far to go.
    claimed = promotions.accuracy(measured.card.metrics, promotions.ODD_ROWS)
    found = compare(new, new, even_and_odd(reference)[1])
    assert claimed
    assert found
    assert claimed.value == pytest.approx(found["new"]["accuracy"], abs=1e-9)
    assert claimed.low == pytest.approx(found["new"]["intervals_95"]["accuracy"][0], abs=1e-9)
    assert replace(measured.card, metrics={}) == new.card
    # As the page About shows them.
    assert measured.card.metrics["PublicTest odd rows"]["ferplus"]["n"] == found["faces"]
    assert measured.card.metrics["PublicTest"]["ferplus"]["n"] == len(reference)
    assert measured.card.metrics["no_face_on_odd_rows"]["faces"] == found["faces"]


def test_it_claims_nothing_of_rows_that_say_nothing(new: OnnxClassifier, faces: Faces) -> None:
    one = np.arange(len(faces)) == np.flatnonzero(faces.splits == "PublicTest")[0]
    assert candidates.with_metrics(new, faces.where(one)) is new


# --- The head that says "this is no face" ------------------------------------------------------


def called_none(model: OnnxClassifier, images: np.ndarray) -> float:
    """The share of the pictures that a model says show no face."""
    answers = model.answers(normalize(images)).not_a_face
    assert answers is not None
    return float((answers > model.card.uncertainty.not_a_face).mean())


def test_what_is_no_face_is_still_called_so_and_faces_are_not(
    old: OnnxClassifier, new: OnnxClassifier, faces: Faces, strange: Faces
) -> None:
    rng = np.random.default_rng(99)
    noise = rng.integers(0, 256, (200, 48, 48), dtype=np.uint8)
    familiar = faces.split("PublicTest").images
    backgrounds = np.stack([background(familiar[row % 64], rng) for row in range(200)])
    assert called_none(old, noise) > 0.95
    assert called_none(new, noise) > 0.95
    assert called_none(new, backgrounds) > called_none(old, backgrounds) - 0.1
    assert called_none(new, familiar) < 0.05
    # Reviewers said what these show, so they are faces.
    assert called_none(old, strange.images) == 1
    assert called_none(new, strange.images) < 0.2


def test_the_head_is_the_old_one(old: OnnxClassifier, new: OnnxClassifier) -> None:
    before, now = (export.head_of(one.weights, NOT_A_FACE_HEAD) for one in (old, new))
    assert now.bias == before.bias
    np.testing.assert_array_equal(now.weights, before.weights)
    assert new.card.heads[NOT_A_FACE_HEAD] == old.card.heads[NOT_A_FACE_HEAD]


def test_a_head_is_read_as_it_was_given(old: OnnxClassifier, fitted_model: Path) -> None:
    head = export.head_of(old.weights, NOT_A_FACE_HEAD)
    pictures = negatives(seed=8, count=20).images
    model = candidates.ancestor(fitted_model, old.card)
    expected = old.logits(normalize(pictures), [NOT_A_FACE_HEAD])[NOT_A_FACE_HEAD][:, 0]
    answers = head.logits(export.features_of(model)(pictures))
    np.testing.assert_allclose(answers, expected, atol=1e-3)


@pytest.mark.parametrize("name", ["faces", "nonesuch", "ferplus"])
def test_what_is_no_such_head_is_refused(old: OnnxClassifier, name: str) -> None:
    with pytest.raises(SettingsError, match=f'The output "{name}" of model.onnx is not the linear'):
        export.head_of(old.weights, name)


# --- Models that can't go on -------------------------------------------------------------------


def refusal(old: OnnxClassifier, reviewed: TrainingSet, folder: Path) -> str:
    with pytest.raises(SettingsError) as refused:
        candidates.learn(old, reviewed, None, folder / "new", "new", lambda _: None, QUICK)
    assert not (folder / "new").exists()
    return str(refused.value)


def test_without_its_keras_weights_it_says_what_to_do(
    fitted_model: Path, reviewed: TrainingSet, tmp_path: Path
) -> None:
    old = edited(fitted_model, tmp_path / "old")
    (tmp_path / "old" / "network.weights.h5").unlink()
    said = refusal(old, reviewed, tmp_path)
    assert "fitted can't go on learning: its folder holds no network.weights.h5" in said
    assert "Promote one that `manage.py train` has made." in said


def test_weights_that_are_not_those_of_the_export_are_refused(
    fitted_model: Path, reviewed: TrainingSet, tmp_path: Path
) -> None:
    old = edited(fitted_model, tmp_path / "old")
    model = candidates.ancestor(fitted_model, old.card)
    model.set_weights([1.1 * weight for weight in model.get_weights()])
    model.save_weights(tmp_path / "old" / "network.weights.h5")
    said = refusal(old, reviewed, tmp_path)
    assert "network.weights.h5 holds other weights than model.onnx" in said


def test_an_average_of_models_has_no_network_to_go_on_from(
    fitted_model: Path, reviewed: TrainingSet, tmp_path: Path
) -> None:
    old = edited(fitted_model, tmp_path / "old", training={"average_of": ["a", "b"]})
    assert "the average of several models" in refusal(old, reviewed, tmp_path)


def test_weights_of_another_network_are_refused(
    fitted_model: Path, reviewed: TrainingSet, tmp_path: Path
) -> None:
    training = json.loads((fitted_model / "card.json").read_text())["training"]
    training["network"]["dense"] = 24
    old = edited(fitted_model, tmp_path / "old", training=training)
    assert "cannot be taken for simple_cnn" in refusal(old, reviewed, tmp_path)


@pytest.mark.parametrize(
    ("architecture", "message"),
    [("nonesuch", 'no architecture "nonesuch"'), ("resnet9", "fitted: network.")],
)
def test_a_card_that_this_release_cannot_read_is_named(
    fitted_model: Path,
    reviewed: TrainingSet,
    tmp_path: Path,
    architecture: str,
    message: str,
) -> None:
    old = edited(fitted_model, tmp_path / "old", architecture=architecture)
    assert message in refusal(old, reviewed, tmp_path)
