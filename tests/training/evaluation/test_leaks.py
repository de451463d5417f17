"""What it would be worth to know held-out pictures by heart that are in Training, too."""

from dataclasses import replace

import numpy as np
import pytest

from recognizer.training.datasets.faces import Faces
from recognizer.training.evaluation.leaks import ByHeart, by_heart, find_leaks
from recognizer.training.evaluation.scoring import SplitAnswers, answer
from recognizer.vision.classification import OnnxClassifier
from recognizer.vision.emotions import EMOTIONS
from tests.vision.tiny_model import write_tiny_model

LEAKED = [3, 5, 8]


@pytest.fixture(scope="module")
def public(faces: Faces) -> Faces:
    return faces.split("PublicTest")


@pytest.fixture(scope="module")
def training(faces: Faces, public: Faces) -> Faces:
    """Training rows that three pictures of PublicTest are added to, the first of them twice."""
    own = faces.split("Training")
    rows = [LEAKED[0], *LEAKED]
    return replace(
        own,
        **{
            name: np.concatenate([getattr(own, name), getattr(public, name)[rows]])
            for name in ("images", "labels", "votes", "named", "groups")
        },
        splits=np.repeat("Training", len(own) + len(rows)),
    )


@pytest.fixture(scope="module")
def answers(public: Faces, tmp_path_factory: pytest.TempPathFactory) -> SplitAnswers:
    """Of a model that is wrong about everything."""
    model = OnnxClassifier(write_tiny_model(tmp_path_factory.mktemp("models") / "tiny"))
    said = answer(model, public)
    assert said.own is not None
    wrong = np.eye(len(EMOTIONS))[(said.labels + 1) % len(EMOTIONS)]
    return replace(said, probabilities=wrong, own=np.eye(7)[(said.own_labels + 1) % 7])


def test_no_picture_in_both_is_no_leak(faces: Faces, public: Faces) -> None:
    assert find_leaks(public, faces.split("Training")) is None


def test_leaks_have_the_labels_of_their_training_rows(public: Faces, training: Faces) -> None:
    changed = training.labels.copy()
    changed[-1] = (changed[-1] + 1) % 7
    leaks = find_leaks(public, replace(training, labels=changed))
    assert leaks is not None
    assert leaks.pictures == 3
    assert np.flatnonzero(leaks.own_labels >= 0).tolist() == LEAKED
    assert leaks.own_labels[LEAKED[:2]].tolist() == public.labels[LEAKED[:2]].tolist()
    assert leaks.own_labels[LEAKED[2]] == changed[-1]
    assert leaks.labels[LEAKED].tolist() == public.majority[LEAKED].tolist()


def test_a_leak_that_nothing_is_learned_from_counts_without_a_label(
    public: Faces, training: Faces
) -> None:
    votes = training.votes.copy()
    votes[-1] = 0
    votes[-1, -1] = 10  # No face, they say.
    leaks = find_leaks(public, replace(training, votes=votes))
    assert leaks is not None
    assert leaks.pictures == 3
    assert leaks.labels[LEAKED[2]] == leaks.own_labels[LEAKED[2]] == -1


def test_who_knows_leaks_by_heart_is_right_about_these(
    public: Faces, training: Faces, answers: SplitAnswers
) -> None:
    leaks = find_leaks(public, training)
    assert leaks is not None
    known = by_heart(answers, leaks)
    told = int(public.agreed[LEAKED].sum())
    assert told
    assert known.accuracy == pytest.approx(told / public.agreed.sum())
    labelled = public.labels >= 0
    assert known.own_accuracy == pytest.approx(labelled[LEAKED].sum() / labelled.sum())
    assert by_heart(replace(answers, own=None), leaks).own_accuracy is None
    assert by_heart(answers, leaks, own=False).own_accuracy is None


def test_it_is_told_in_words() -> None:
    assert ByHeart(280, 0.88, 0.7).in_words == (
        "Of the split’s pictures 280 are in Training, too, pixel by pixel. A model that knew them "
        "by heart, and were otherwise like this one, would be right on 88.00%, and on 70.00% by "
        "FER-2013’s own labels."
    )
    alone = ByHeart(1, 0.5, None).in_words
    assert alone.startswith("Of the split’s pictures 1 is in Training")
    assert alone.endswith(
        "A model that knew it by heart, and were otherwise like this one, would be right on 50.00%."
    )
