import copy
import json
from pathlib import Path
from typing import Any

import pytest

from recognizer.vision.cards import CardError, ModelCard
from recognizer.vision.emotions import EMOTIONS
from tests.vision.tiny_model import FER2013, TINY_AFFECT, tiny_card


def changed(path: str, value: Any) -> dict[str, Any]:
    """A card with one entry changed, or removed when the value is None."""
    card = tiny_card()
    if path.startswith("affect."):
        card["affect"] = copy.deepcopy(TINY_AFFECT)
    *parents, last = path.split(".")
    place = card
    for parent in parents:
        place = place[parent]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return card


def test_it_reads_a_card(tiny_model: Path) -> None:
    card = ModelCard.load(tiny_model / "card.json")
    assert card.name == "tiny"
    assert card.preprocessing.size == 48
    assert card.preprocessing.align == "eyes"
    assert card.heads["ferplus"].temperature == 1.5
    assert card.uncertainty.score == "entropy"
    assert card.metrics == {"accuracy": 0.125}


def test_what_it_saves_it_reads_back(tiny_model: Path, tmp_path: Path) -> None:
    card = ModelCard.load(tiny_model / "card.json")
    card.save(tmp_path / "card.json")
    assert ModelCard.load(tmp_path / "card.json") == card
    assert ModelCard.from_dict(card.as_dict()) == card


def test_affect_may_be_missing_and_is_kept_when_it_is_there() -> None:
    without = ModelCard.from_dict(tiny_card())
    assert without.affect is None
    assert "affect" not in without.as_dict()
    card = ModelCard.from_dict(tiny_card() | {"affect": TINY_AFFECT})
    assert card.affect is not None
    assert card.affect.valence.coordinates["happy"] == 1.0
    assert ModelCard.from_dict(card.as_dict()) == card


def test_a_card_of_floating_point_stays_what_it_was() -> None:
    # A model version is known by its card; see `model_versions.row_of`.
    without = ModelCard.from_dict(tiny_card())
    assert without.as_dict()["weights"] == tiny_card()["weights"]
    assert "lift" not in without.as_dict()["uncertainty"]
    lifted = ModelCard.from_dict(changed("uncertainty.lift", [0.5] * 8))
    assert ModelCard.from_dict(lifted.as_dict()) == lifted != without
    small = ModelCard.from_dict(changed("weights.precision", "int8"))
    assert ModelCard.from_dict(small.as_dict()) == small != without


def test_whole_numbers_are_numbers() -> None:
    card = ModelCard.from_dict(changed("preprocessing.margin", 1))
    assert card.preprocessing.margin == 1.0
    assert isinstance(card.preprocessing.margin, float)


def test_the_free_parts_may_be_missing() -> None:
    assert ModelCard.from_dict(changed("metrics", None)).metrics == {}
    assert ModelCard.from_dict(changed("notes", None)).notes == ""


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        ("schema", 2, '"schema" is 2'),
        ("name", None, '"name" is missing; expected a text'),
        ("parameters", "many", "\"parameters\" is 'many'; expected a whole number"),
        ("parameters", True, '"parameters" is True'),
        ("labels", ["happy"], '"labels"'),
        ("weights", [], '"weights" is []; expected an object'),
        ("weights.file", "../secret", '"weights.file"'),
        ("weights.file", "/etc/passwd", '"weights.file"'),
        ("weights.file", "..", '"weights.file"'),
        ("weights.file", "a\0b", '"weights.file"'),
        ("weights.sha256", "abc", '"weights.sha256"'),
        ("weights.precision", "int4", "\"weights.precision\" is 'int4'; expected one of"),
        ("weights.precision", 8, '"weights.precision" is 8; expected a text'),
        ("preprocessing.size", 4, "at least 8"),
        ("preprocessing.margin", 9.0, "margin"),
        ("preprocessing.align", "nose", '"preprocessing.align"'),
        ("heads.ferplus", None, '"heads.ferplus" is missing'),
        ("heads.ferplus.labels", ["happy", "sad"], '"heads.ferplus.labels"'),
        ("heads.fer2013.labels", ["sad", "sad"], "twice"),
        ("heads.ferplus.labels", [*EMOTIONS[::-1]], '"heads.ferplus.labels"'),
        ("heads.fer2013.labels", [*EMOTIONS[:7]], '"heads.fer2013.labels" is'),
        ("heads.fer2013.labels", ["sad", "happy"], '"heads.fer2013.labels" is'),
        ("heads.fer2013.temperature", 0.0, '"heads.fer2013.temperature"'),
        ("heads.ferplus.temperature", -1, '"heads.ferplus.temperature"'),
        ("heads.ferplus.temperature", 1e9, '"heads.ferplus.temperature"'),
        ("heads.ferplus.temperature", 10**400, "too large a number"),
        ("heads.ferplus.temperature", float("nan"), '"heads.ferplus.temperature"'),
        ("heads.ferplus.temperature", float("inf"), '"heads.ferplus.temperature"'),
        ("uncertainty.score", "mood", '"uncertainty.score"'),
        ("uncertainty.threshold", 1.5, '"uncertainty.threshold"'),
        ("uncertainty.threshold", float("nan"), '"uncertainty.threshold"'),
        ("uncertainty.lift", [0.5], '"uncertainty.lift" is [0.5]; expected 8 numbers'),
        ("affect", [], '"affect" is []; expected an object'),
        ("affect.valence", None, '"affect.valence" is missing'),
        ("affect.valence.head", "mood", "\"affect.valence.head\" is 'mood'; expected one of"),
        ("affect.valence.coordinates.sad", -1.5, '"affect.valence.coordinates.sad" is -1.5'),
        ("affect.valence.coordinates.sad", "low", '"affect.valence.coordinates.sad" is'),
        ("affect.arousal.coordinates.sad", None, '"affect.arousal.coordinates" names'),
        ("affect.arousal.coordinates.joy", 0.5, '"affect.arousal.coordinates" names'),
        ("affect.arousal_experimental", None, '"affect.arousal_experimental" is None'),
        ("affect.arousal_experimental", 1, '"affect.arousal_experimental" is 1; expected true'),
    ],
)
def test_a_wrong_card_is_refused_by_name_and_place(
    tmp_path: Path, path: str, value: Any, complaint: str
) -> None:
    file = tmp_path / "card.json"
    file.write_text(json.dumps(changed(path, value)))
    with pytest.raises(CardError) as refused:
        ModelCard.load(file)
    assert str(refused.value).startswith(f"{file}: ")
    assert complaint in str(refused.value)


def test_the_seven_of_fer2013_come_in_any_order() -> None:
    card = ModelCard.from_dict(changed("heads.fer2013.labels", FER2013[::-1]))
    assert card.heads["fer2013"].labels == tuple(FER2013[::-1])


@pytest.mark.parametrize("content", ["", "{", "[]", "12", "\xff", "[" * 100_000])
def test_what_is_no_card_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "card.json"
    file.write_bytes(content.encode("latin-1"))
    with pytest.raises(CardError, match=r"card\.json"):
        ModelCard.load(file)


def test_a_missing_card_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CardError, match="cannot be read"):
        ModelCard.load(tmp_path / "card.json")
