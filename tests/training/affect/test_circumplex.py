from pathlib import Path

import numpy as np
import pytest

from recognizer.training.affect.circumplex import CIRCUMPLEX, places, with_affect
from recognizer.vision.cards import ModelCard
from recognizer.vision.emotions import EMOTIONS
from tests.vision.tiny_model import tiny_card, write_tiny_model


def test_every_emotion_has_a_place_inside_the_unit_circle() -> None:
    assert set(CIRCUMPLEX) == set(EMOTIONS)
    assert places(EMOTIONS).shape == (8, 2)
    assert np.hypot(*places(EMOTIONS).T).max() <= 1


def test_emotions_lie_in_the_quadrants_where_russell_has_them() -> None:
    assert {name for name, (valence, _) in CIRCUMPLEX.items() if valence > 0} == {
        "happy",
        "surprise",
    }
    assert {name for name, (_, arousal) in CIRCUMPLEX.items() if arousal < 0} == {"sad"}
    assert not places(["neutral"]).any()
    assert CIRCUMPLEX["anger"][1] > CIRCUMPLEX["disgust"][1]
    assert CIRCUMPLEX["happy"][0] > CIRCUMPLEX["surprise"][0]


def test_contempt_lies_halfway_between_anger_and_disgust() -> None:
    anger, contempt, disgust = places(["anger", "contempt", "disgust"])
    np.testing.assert_allclose(contempt, (anger + disgust) / 2)


def test_a_card_learns_how_to_read_affect(tmp_path: Path) -> None:
    folder = write_tiny_model(tmp_path / "tiny")
    card = ModelCard.load(folder / "card.json")
    assert card.affect is None
    with_affect(card).save(folder / "card.json")
    affect = ModelCard.load(folder / "card.json").affect
    assert affect is not None
    assert (affect.valence.head, affect.arousal.head) == ("fer2013", "ferplus")
    assert affect.valence.coordinates["happy"] == 0.81
    assert affect.arousal.coordinates["contempt"] == pytest.approx(0.47)
    assert affect.arousal_experimental
    assert "Russell and Mehrabian" in affect.source


def test_without_fer2013_head_both_axes_come_from_ferplus() -> None:
    raw = tiny_card()
    del raw["heads"]["fer2013"]
    affect = with_affect(ModelCard.from_dict(raw), arousal_experimental=False).affect
    assert affect is not None
    assert affect.valence.head == affect.arousal.head == "ferplus"
    assert set(affect.valence.coordinates) == set(EMOTIONS)
    assert not affect.arousal_experimental
