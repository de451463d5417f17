"""Two models on the same faces, with networks whose answers are known beforehand."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from recognizer.training.datasets.faces import Faces
from recognizer.training.evaluation.comparison import compare
from recognizer.vision.classification import OnnxClassifier
from recognizer.vision.emotions import EMOTIONS
from tests.vision.tiny_model import linear_network, tiny_card, tiny_network, write_tiny_model

BAND = 6  # rows of 48: eight bright bands, one for each emotion


def striped(place: int, row: int) -> NDArray[np.uint8]:
    """A stripe for an emotion; no two rows have the same picture."""
    image = np.zeros((48, 48), np.uint8)
    image[BAND * place : BAND * (place + 1)] = 255
    image[0, :2] = divmod(row, 256)
    return image


def reader(folder: Path, answers: dict[str, str]) -> OnnxClassifier:
    """A model that gives a stripe's own emotion, or another one where `answers` says so."""
    weights = np.zeros((48, 48, 8), np.float32)
    for place, emotion in enumerate(EMOTIONS):
        said = EMOTIONS.index(answers.get(emotion, emotion))
        weights[BAND * place : BAND * (place + 1), :, said] = 0.01
    card = tiny_card()
    return OnnxClassifier(
        write_tiny_model(
            folder,
            network=linear_network({"ferplus": weights.reshape(-1, 8)}),
            heads={"ferplus": card["heads"]["ferplus"]},
        )
    )


def faces_of(*shown: tuple[str, dict[str, int]]) -> Faces:
    """Stripes with their votes."""
    columns = (*EMOTIONS, "unknown", "NF")
    votes = [[counts.get(column, 0) for column in columns] for _, counts in shown]
    return Faces(
        images=np.stack(
            [striped(EMOTIONS.index(emotion), row) for row, (emotion, _) in enumerate(shown)]
        ),
        labels=np.full(len(shown), -1, np.int64),
        votes=np.array(votes, np.int64),
        named=np.ones(len(shown), bool),
        splits=np.array(["PublicTest"] * len(shown)),
        groups=np.full(len(shown), ""),
    )


@pytest.fixture
def old(tmp_path: Path) -> OnnxClassifier:
    """Right about happy, neutral and sad; takes fear and anger for surprise."""
    return reader(tmp_path / "old", {"fear": "surprise", "anger": "surprise"})


@pytest.fixture
def new(tmp_path: Path) -> OnnxClassifier:
    """Right about all of these but happy."""
    return reader(tmp_path / "new", {"happy": "contempt"})


def agreed(*emotions: str) -> Faces:
    return faces_of(*((emotion, {emotion: 8, "unknown": 2}) for emotion in emotions))


def test_gain_mended_and_spoilt_are_those_of_counting(
    old: OnnxClassifier, new: OnnxClassifier
) -> None:
    found = compare(old, new, agreed(*["happy", "neutral", "sad", "fear", "anger"] * 2))
    assert found
    assert found["faces"] == 10
    assert (found["old"]["accuracy"], found["new"]["accuracy"]) == (0.6, 0.8)
    assert found["gain"] == pytest.approx(0.2)
    assert (found["mended"], found["spoilt"]) == (4, 2)
    assert found["low"] < found["gain"] < found["high"]
    assert found["recalls"] == {
        "anger": {"faces": 2, "old": 0.0, "new": 1.0},
        "fear": {"faces": 2, "old": 0.0, "new": 1.0},
        "happy": {"faces": 2, "old": 1.0, "new": 0.0},
        "neutral": {"faces": 2, "old": 1.0, "new": 1.0},
        "sad": {"faces": 2, "old": 1.0, "new": 1.0},
    }


def test_faces_that_people_do_not_agree_on_do_not_count(
    old: OnnxClassifier, new: OnnxClassifier
) -> None:
    disputed = ("fear", {"fear": 5, "surprise": 5})
    unclear = ("fear", {"unknown": 10})
    no_face = ("fear", {"NF": 10})
    clear = (("sad", {"sad": 10}), ("fear", {"fear": 10}))
    found = compare(old, new, faces_of(disputed, unclear, no_face, *clear))
    assert found
    assert (found["faces"], found["gain"], found["mended"]) == (2, 0.5, 1)
    assert compare(old, new, faces_of(disputed, unclear, no_face)) is None


def test_a_model_gains_nothing_over_itself(old: OnnxClassifier) -> None:
    found = compare(old, old, agreed("happy", "fear", "sad"))
    assert found
    assert (found["gain"], found["low"], found["high"]) == (0.0, 0.0, 0.0)
    assert found["old"] == found["new"]


def test_the_interval_closes_in_on_the_gain_as_faces_are_added(
    old: OnnxClassifier, new: OnnxClassifier
) -> None:
    few, many = (
        compare(old, new, agreed(*["happy", "neutral", "sad", "fear", "anger"] * times))
        for times in (4, 100)
    )
    assert few
    assert many
    assert few["gain"] == pytest.approx(many["gain"])
    assert few["low"] < many["low"] < many["gain"] < many["high"] < few["high"]
    # Of 500 faces, 40% one way and 20% the other: +-1.96 standard errors.
    spread = 1.96 * np.sqrt((0.6 - 0.2**2) / 500)
    assert (many["low"], many["high"]) == pytest.approx((0.2 - spread, 0.2 + spread), abs=0.006)


def test_faces_of_one_person_count_as_one_draw(old: OnnxClassifier, new: OnnxClassifier) -> None:
    # Everybody shows one expression only: forty draws instead of two hundred.
    people = np.repeat([f"person {place}" for place in range(40)], 5)
    shown = [emotion for emotion in ("happy", "neutral", "sad", "fear", "anger") for _ in range(40)]
    alone = agreed(*shown)
    wide, narrow = compare(old, new, replace(alone, groups=people)), compare(old, new, alone)
    assert wide
    assert narrow
    ratio = (wide["high"] - wide["low"]) / (narrow["high"] - narrow["low"])
    assert ratio == pytest.approx(np.sqrt(5), rel=0.15)
    # One person alone is always like herself, which makes nothing surer.
    same = compare(old, new, replace(alone, groups=np.full(200, "ann")))
    assert same
    assert (same["low"], same["high"]) == (narrow["low"], narrow["high"])


def test_turned_round_the_gain_is_a_loss(old: OnnxClassifier, new: OnnxClassifier) -> None:
    faces = agreed(*["happy", "sad", "fear", "anger"] * 3)
    there, back = compare(old, new, faces), compare(new, old, faces)
    assert there
    assert back
    assert there["gain"] == -back["gain"] > 0
    assert (there["mended"], there["spoilt"]) == (back["spoilt"], back["mended"])


def test_a_database_can_hold_it(old: OnnxClassifier, new: OnnxClassifier) -> None:
    for faces in (agreed("happy"), agreed("happy", "sad", "fear")):
        found = compare(old, new, faces)
        assert found
        assert json.loads(json.dumps(found, allow_nan=False))["gain"] == found["gain"]


def test_a_model_of_another_size_is_refused(old: OnnxClassifier, tmp_path: Path) -> None:
    large = OnnxClassifier(write_tiny_model(tmp_path / "large", 64, tiny_network(64)))
    with pytest.raises(ValueError, match="takes faces of 64x64 pixels"):
        compare(old, large, agreed("happy"))
