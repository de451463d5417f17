import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from recognizer.vision import classification
from recognizer.vision.classification import DEFAULT_MODEL, MODELS_FOLDER, available_models


def test_it_lists_every_model_and_marks_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("models", "list")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(available_models())
    assert any(line.startswith(f"* {DEFAULT_MODEL} ") for line in lines)


def test_it_lists_one_json_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("models", "list", "--json")
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["name"] for row in rows] == available_models()
    assert [row["name"] for row in rows if row["default"]] == [DEFAULT_MODEL]


def test_it_shows_the_default_models_card(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("models", "show", "--json")
    shown = json.loads(capsys.readouterr().out)
    assert shown == json.loads((MODELS_FOLDER / DEFAULT_MODEL / "card.json").read_text())


def test_it_shows_a_card_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("models", "show", DEFAULT_MODEL)
    assert "MACs a face" in capsys.readouterr().out


def test_an_unknown_model_is_a_usage_error() -> None:
    with pytest.raises(CommandError, match="nonesuch") as error:
        call_command("models", "show", "nonesuch")
    assert error.value.returncode == 2


def test_weights_that_the_card_does_not_describe_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / DEFAULT_MODEL
    folder.mkdir()
    folder.joinpath("model.onnx").write_bytes(b"something else")
    card = (MODELS_FOLDER / DEFAULT_MODEL / "card.json").read_text()
    folder.joinpath("card.json").write_text(card)
    monkeypatch.setattr(classification, "MODELS_FOLDER", tmp_path)
    with pytest.raises(CommandError, match="is not the file that its card"):
        call_command("models", "show")
