import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from recognizer.training.affect.circumplex import with_affect
from recognizer.vision import classification
from recognizer.vision.cards import ModelCard
from recognizer.vision.classification import DEFAULT_MODEL
from tests.training.conftest import Asked
from tests.vision.tiny_model import write_tiny_model

pytest.importorskip("sklearn", reason="scikit-learn is needed for ISOMAP")

SHOWN = ("happy", "neutral", "sad", "surprise")
VALENCE = {"happy": 2, "neutral": 0, "sad": -2, "surprise": 1}
FIRST = 96  # PublicTest begins here in the data set of the tests.


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small model in place of the shipped one."""
    write_tiny_model(tmp_path / "models" / DEFAULT_MODEL)
    monkeypatch.setattr(classification, "MODELS_FOLDER", tmp_path / "models")
    return tmp_path / "models"


def ratings(path: Path, lines: list[tuple[int, float, float]] | None = None) -> Path:
    """Ratings of every PublicTest face: valence by its emotion, arousal by chance."""
    if lines is None:
        rng = np.random.default_rng(0)
        rows = range(FIRST, FIRST + 64)
        lines = [(row, VALENCE[SHOWN[row % 4]], int(rng.integers(-2, 3))) for row in rows]
    text = "".join(f"{row},{valence},{arousal},0\n" for row, valence, arousal in lines)
    path.write_text("row,valence,arousal,dominance\n" + text)
    return path


def run(dataset: tuple[Path, Path], human: Path, *more: str) -> None:
    call_command(
        "affect", str(dataset[0]), "--ferplus", str(dataset[1]), "--human", str(human), *more
    )


def as_json(
    dataset: tuple[Path, Path], human: Path, capsys: pytest.CaptureFixture[str], *more: str
) -> dict[str, Any]:
    run(dataset, human, "--json", *more)
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    result: dict[str, Any] = json.loads(out)
    return result


def test_it_judges_every_way_to_valence_and_arousal_and_again_alike(
    dataset: tuple[Path, Path], tmp_path: Path, models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    human = ratings(tmp_path / "human.csv")
    result = as_json(dataset, human, capsys)
    assert as_json(dataset, human, capsys) == result
    assert (result["n"], result["training_faces"]) == (64, 96)
    scores = {score["name"]: score for score in result["candidates"]}
    assert len(scores) == len(result["candidates"]) > 12
    assert sum("ISOMAP" in name for name in scores) == 5
    # People's labels make the valence of this data set; a constant knows nothing.
    assert scores["place of the FER-2013 label"]["valence"]["ccc"] > 0.8
    assert scores["place of the FER-2013 label"]["kind"] == "reference"
    constant = scores["constant: mean of the Training faces"]
    assert constant["valence"]["ccc"] == pytest.approx(0, abs=1e-9)
    for score in scores.values():
        for axis in ("valence", "arousal"):
            assert -1 <= score[axis]["ccc"] <= 1
            low, high = score[axis]["ccc_interval"]
            assert low <= high
    for axis in ("valence", "arousal"):
        assert scores[result["shipped"][axis]][axis]["ccc_difference"] == 0
    assert result["arousal_experimental"] is True
    # Nothing was asked to be written.
    assert ModelCard.load(models / DEFAULT_MODEL / "card.json").affect is None


def test_the_model_is_not_asked_again_where_its_answers_are_kept(
    dataset: tuple[Path, Path], tmp_path: Path, asked: Asked, capsys: pytest.CaptureFixture[str]
) -> None:
    human = ratings(tmp_path / "human.csv")
    results = []
    for _ in range(2):
        results.append(as_json(dataset, human, capsys, "--run", str(tmp_path / "run")))
        assert asked.faces == 96 + 64
    assert results[0] == results[1]


def test_it_prints_a_table_and_writes_into_the_card_when_asked(
    dataset: tuple[Path, Path], tmp_path: Path, models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(dataset, ratings(tmp_path / "human.csv"), "--write")
    out = capsys.readouterr().out
    assert out.count("\n* expectation of the FER") == 2
    assert "Arousal is experimental" in out
    card = ModelCard.load(models / DEFAULT_MODEL / "card.json")
    assert card.affect is not None
    assert card.affect.arousal_experimental


def test_it_does_not_write_into_the_card_of_a_promoted_model(
    dataset: tuple[Path, Path], tmp_path: Path, settings: Settings, db: None
) -> None:
    settings.MODELS_ROOT = tmp_path / "own"
    write_tiny_model(tmp_path / "own/mine", name="mine")
    call_command("models", "promote", "mine", "--force")
    card = (tmp_path / "own/mine/card.json").read_bytes()
    with pytest.raises(CommandError, match='The site uses the model "mine"') as error:
        run(dataset, ratings(tmp_path / "human.csv"), "--model", "mine", "--write")
    assert error.value.returncode == 2
    assert (tmp_path / "own/mine/card.json").read_bytes() == card


def test_a_model_that_is_promoted_meanwhile_keeps_its_card(
    dataset: tuple[Path, Path],
    tmp_path: Path,
    settings: Settings,
    db: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.MODELS_ROOT = tmp_path / "own"
    write_tiny_model(tmp_path / "own/mine", name="mine")
    card = (tmp_path / "own/mine/card.json").read_bytes()

    def promote() -> bool:
        call_command("models", "promote", "mine", "--force")
        return True

    monkeypatch.setattr(
        "recognizer.management.commands.affect.with_affect",
        lambda *given: promote() and with_affect(*given),
    )
    with pytest.raises(CommandError, match='The site uses the model "mine"'):
        run(dataset, ratings(tmp_path / "human.csv"), "--model", "mine", "--write")
    assert (tmp_path / "own/mine/card.json").read_bytes() == card


RIGHT = [(row, VALENCE[SHOWN[row % 4]], 0.0) for row in range(FIRST, FIRST + 40)]


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        (RIGHT[:5], "has 5 ratings; at least 20"),
        ([*RIGHT, RIGHT[0]], "rates a row twice"),
        ([*RIGHT, (160, 1, 1)], "rates row 160, but the data set has rows 0 to 159"),
        ([*RIGHT, (95, 1, 1)], "rates row 95, which is a Training row; only PublicTest"),
        ([*RIGHT, (140, 3, 0)], "line 42: valence and arousal must be in -2 to 2, got 3 and 0"),
        ([*RIGHT, (140, float("nan"), 0)], "must be in -2 to 2, got nan"),
        ([(row + 2, valence, 0) for row, valence, _ in RIGHT], "made for another data set"),
        ([(row, 1, 0) for row, _, _ in RIGHT], "made for another data set"),
    ],
)
def test_a_wrong_or_shifted_file_of_ratings_is_refused(
    dataset: tuple[Path, Path],
    tmp_path: Path,
    lines: list[tuple[int, float, float]],
    complaint: str,
) -> None:
    with pytest.raises(CommandError, match=complaint):
        run(dataset, ratings(tmp_path / "human.csv", lines))


def test_a_file_of_something_else_is_refused(dataset: tuple[Path, Path], tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text("hello\n")
    with pytest.raises(CommandError, match=r"other\.csv lacks the columns arousal, row, valence"):
        run(dataset, other)
    other.write_text("row,valence,arousal\nfirst,1,1\n")
    with pytest.raises(CommandError, match=r"other\.csv, line 2: row must be a whole number"):
        run(dataset, other)
    other.write_text(f"row,valence,arousal\n{10**20},1,1\n")
    with pytest.raises(CommandError, match=r"other\.csv, line 2: no data set has a row 1000"):
        run(dataset, other)
    with pytest.raises(CommandError, match=r"missing\.csv cannot be read"):
        run(dataset, tmp_path / "missing.csv")


def test_a_model_without_the_second_head_is_refused(
    dataset: tuple[Path, Path], tmp_path: Path, models: Path
) -> None:
    file = models / DEFAULT_MODEL / "card.json"
    card = json.loads(file.read_text())
    del card["heads"]["fer2013"]
    file.write_text(json.dumps(card))
    with pytest.raises(CommandError, match="has the heads ferplus; the comparison needs"):
        run(dataset, ratings(tmp_path / "human.csv"))


def test_an_unknown_model_is_a_usage_error(dataset: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="nonesuch") as error:
        run(dataset, ratings(tmp_path / "human.csv"), "--model", "nonesuch")
    assert error.value.returncode == 2


def test_without_scikit_learn_it_says_what_to_install(
    dataset: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "recognizer.training.affect.comparison", None)
    with pytest.raises(CommandError, match=r"comparison needs more .* -r requirements\.txt"):
        run(dataset, ratings(tmp_path / "human.csv"))
