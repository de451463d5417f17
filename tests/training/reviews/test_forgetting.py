"""What a network must still know, and what it must still call no face."""

from pathlib import Path

import numpy as np
import pytest

from recognizer.training.datasets.faces import Faces
from recognizer.vision.cards import NOT_A_FACE_HEAD, Head
from recognizer.vision.classification import OnnxClassifier

pytest.importorskip("tensorflow", reason="TensorFlow is needed to train")

import keras

from recognizer.training.fitting.fitted import logits
from recognizer.training.reviews import candidates
from recognizer.training.reviews.forgetting import AS_FITTED, Exam, Knowledge, Serving, exam

SERVING = Serving(not_a_face=Head(("no face",), 1.0), threshold=0.5)


@pytest.fixture
def network(fitted_model: Path, strange: Faces) -> keras.Model:
    """The fitted network with its head for what is no face."""
    old = OnnxClassifier(fitted_model)
    model = candidates.ancestor(fitted_model, old.card)
    return candidates._with_no_face_head(model, old, strange.images)


@pytest.fixture
def questions(faces: Faces) -> Exam:
    held_out = faces.split("PublicTest")
    return exam(held_out.images, held_out, SERVING, seed=1)


def test_a_network_passes_its_own_exam(network: keras.Model, questions: Exam) -> None:
    known = questions.of(network)
    assert known.right == 64
    assert known.called_none <= 3
    assert known.found["noise"] > 95
    assert known.found["backgrounds"] > 200
    assert questions.lost(known, known, forgotten=0.0) == ""


@pytest.mark.parametrize(
    ("bias", "lost"),
    [(50.0, "takes more of the reference set's faces for none"), (-50.0, "takes noise for faces")],
)
def test_a_head_that_says_always_the_same_is_noticed(
    network: keras.Model, questions: Exam, bias: float, lost: str
) -> None:
    before = questions.of(network)
    head = network.get_layer(NOT_A_FACE_HEAD)
    kernel, _ = head.get_weights()
    head.set_weights([0 * kernel, np.array([bias])])
    assert lost in questions.lost(before, questions.of(network), forgotten=1.0)


def test_rows_that_people_call_no_face_are_asked_for(faces: Faces) -> None:
    held_out = faces.split("PublicTest")
    named = np.arange(len(held_out)) >= 3
    votes = np.where(named[:, None], held_out.votes, np.eye(10, dtype=np.int64)[9] * 10)
    marked = Faces(held_out.images, held_out.labels, votes, named, held_out.splits, held_out.groups)
    asked = exam(held_out.images, marked, SERVING, seed=1)
    np.testing.assert_array_equal(asked.non_faces["rows marked as no face"], held_out.images[:3])
    assert len(asked.faces) == 61


def test_without_the_head_only_the_faces_count(network: keras.Model, faces: Faces) -> None:
    held_out = faces.split("PublicTest")
    asked = exam(held_out.images, held_out, AS_FITTED, seed=1)
    assert asked.of(network) == Knowledge(64, 0, {})


def test_without_held_out_rows_only_what_is_no_face_counts(
    network: keras.Model, strange: Faces
) -> None:
    known = exam(strange.images, None, SERVING, seed=1).of(network)
    assert (known.right, known.called_none) == (0, 0)
    assert set(known.found) == {"noise", "backgrounds"}


def test_every_output_is_answered(network: keras.Model, strange: Faces) -> None:
    said = logits(network, strange.images[:3])
    assert {head: answer.shape for head, answer in said.items()} == {
        "ferplus": (3, 8),
        "fer2013": (3, 7),
        "ambiguous": (3, 1),
        NOT_A_FACE_HEAD: (3, 1),
    }
    assert logits(network, strange.images[:0])["ferplus"].shape == (0, 8)
