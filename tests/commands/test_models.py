import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from recognizer.models import Promotion, User
from recognizer.services import model_versions
from recognizer.vision import classification
from recognizer.vision.classification import DEFAULT_MODEL, MODELS_FOLDER, available_models
from tests.services.models import damage, own_model

ROOT = Path(__file__).resolve().parents[2]


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


def listed(capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, Any]]:
    """What `models list --json` says, by name."""
    capsys.readouterr()
    call_command("models", "list", "--json")
    rows = map(json.loads, capsys.readouterr().out.splitlines())
    return {row["name"]: row for row in rows}


def test_a_broken_model_does_not_stop_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    damage(own_model("broken"))
    own_model("mine")
    call_command("models", "list")
    lines = {line[2:].split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert lines["broken"].startswith("! broken (own)  ")
    assert "SHA-256" in lines["broken"]
    assert lines["mine"].startswith("  mine 2026.11 ")
    assert lines[DEFAULT_MODEL].startswith(f"* {DEFAULT_MODEL} ")
    rows = listed(capsys)
    assert (rows["broken"]["version"], rows["mine"]["error"]) == (None, None)
    assert "SHA-256" in rows["broken"]["error"]
    assert (rows["mine"]["from"], rows[DEFAULT_MODEL]["from"]) == ("own", "shipped")
    assert (rows["mine"]["accuracy"], rows["mine"]["in_use"]) == (0.9, False)


def test_a_broken_model_is_not_shown() -> None:
    damage(own_model("broken"))
    with pytest.raises(CommandError, match="SHA-256") as error:
        call_command("models", "show", "broken", "--json")
    assert error.value.returncode == 2


def test_it_shows_the_default_models_card(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("models", "show", "--json")
    shown = json.loads(capsys.readouterr().out)
    assert shown == json.loads((MODELS_FOLDER / DEFAULT_MODEL / "card.json").read_text())


def test_it_shows_a_card_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("models", "show", DEFAULT_MODEL)
    assert "MACs a face" in capsys.readouterr().out


def test_a_card_is_headed_by_the_name_that_the_model_has_here(
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = own_model("elsewhere")
    folder.rename(folder.with_name("here"))
    call_command("models", "show", "here")
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert first.startswith("here 2026.11 (")
    assert second == "  in its card  elsewhere"
    call_command("models", "show", DEFAULT_MODEL)
    assert "in its card" not in capsys.readouterr().out


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


# --- Promoting ---------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def nothing_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_versions, "_loaded", model_versions.Loaded())


def test_promote_and_rollback_say_what_the_site_uses(
    capsys: pytest.CaptureFixture[str], alice: User
) -> None:
    own_model("mine")
    call_command("models", "promote", "mine", "--reason", "better", "--by", "alice")
    assert capsys.readouterr().out.startswith("The site uses the model mine ")
    row = Promotion.objects.get()
    assert (row.who, row.reason) == (alice, "better")
    rows = listed(capsys)
    assert [name for name, one in rows.items() if one["promoted"]] == ["mine"]
    assert [name for name, one in rows.items() if one["in_use"]] == ["mine"]
    call_command("models", "promote", "mine")
    assert capsys.readouterr().out.endswith(" already.\n")
    call_command("models", "show", "--json")
    assert json.loads(capsys.readouterr().out)["name"] == "mine"
    call_command("models", "rollback")
    assert capsys.readouterr().out == "The site uses its default model.\n"
    assert listed(capsys)[DEFAULT_MODEL]["in_use"]
    with pytest.raises(CommandError, match="no promotion to take back"):
        call_command("models", "rollback")


def test_a_rollback_says_what_it_passed_over(db: None, capsys: pytest.CaptureFixture[str]) -> None:
    gone = own_model("gone")
    own_model("mine")
    for name in ("gone", "mine"):
        call_command("models", "promote", name)
    shutil.rmtree(gone)
    capsys.readouterr()
    call_command("models", "rollback")
    said = capsys.readouterr()
    assert said.out == "The site uses its default model.\n"
    assert re.search(r"Passed over gone \w+: .* Put its folder back", said.err)


def test_a_worse_model_needs_force(db: None, capsys: pytest.CaptureFixture[str]) -> None:
    own_model("worse", accuracy=0.5)
    with pytest.raises(CommandError, match=r"50\.00%.*--force") as error:
        call_command("models", "promote", "worse")
    assert error.value.returncode == 1
    call_command("models", "promote", "worse", "--force")
    assert listed(capsys)["worse"]["promoted"]


@pytest.mark.parametrize("arguments", [["nonesuch"], ["mine", "--by", "nobody"]])
def test_an_unknown_model_or_user_is_a_usage_error(db: None, arguments: list[str]) -> None:
    own_model("mine")
    with pytest.raises(CommandError, match=arguments[-1]) as error:
        call_command("models", "promote", *arguments)
    assert error.value.returncode == 2
    assert not Promotion.objects.exists()


def test_the_list_says_that_the_promoted_model_is_missing(
    db: None, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = own_model("mine")
    call_command("models", "promote", "mine")
    shutil.rmtree(folder)
    capsys.readouterr()
    call_command("models", "list")
    said = capsys.readouterr()
    assert "is missing here or damaged" in said.err
    assert f"  {DEFAULT_MODEL} " in said.out
    assert "*" not in said.out
    with pytest.raises(CommandError, match="Put its folder back"):
        call_command("models", "show")


def test_without_a_database_nothing_is_promoted() -> None:
    own_model("mine")
    for action in (["promote", "mine"], ["rollback"]):
        with pytest.raises(CommandError, match="no database yet"):
            call_command("models", *action)


# --- In and out --------------------------------------------------------------------------------


def test_a_model_goes_out_and_comes_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own_model("mine")
    target = tmp_path / "mine.zip"
    call_command("models", "export", "mine", "--output", str(target))
    assert capsys.readouterr().out == f"mine is in {target}.\n"
    call_command("models", "add", str(target), "--name", "visitor")
    assert "visitor" in listed(capsys)


@pytest.mark.parametrize(
    "arguments",
    [["add", "missing.zip"], ["export", "nonesuch", "--output", "a.zip"]],
)
def test_what_can_not_go_out_or_come_in_is_a_usage_error(arguments: list[str]) -> None:
    with pytest.raises(CommandError, match=r"no such|no model") as error:
        call_command("models", *arguments)
    assert error.value.returncode == 2


def test_an_archive_that_can_not_be_written_is_said(tmp_path: Path) -> None:
    for target, problem in ((tmp_path / "no" / "a.zip", "no does not exist"), (tmp_path, "folder")):
        with pytest.raises(CommandError, match=problem) as error:
            call_command("models", "export", DEFAULT_MODEL, "--output", str(target))
        assert error.value.returncode == 2


# --- The real command --------------------------------------------------------------------------


def manage(data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env={
            **os.environ,
            "WEBEMOTION_DATA": str(data),
            "DJANGO_SETTINGS_MODULE": "webemotion.settings",
        },
        text=True,
        capture_output=True,
        timeout=300,
        check=False,
    )


def test_the_shell_makes_no_database_and_follows_the_one_there_is(tmp_path: Path) -> None:
    data = tmp_path / "data"
    photo = str(ROOT / "recognizer" / "examples" / "astronaut.jpg")
    assert f"* {DEFAULT_MODEL} " in manage(data, "models", "list").stdout
    before = manage(data, "recognize", "--json", photo)
    assert manage(data, "models", "promote", DEFAULT_MODEL).returncode == 1
    assert not list(data.glob("db.sqlite3*"))

    assert manage(data, "migrate", "--verbosity", "0").returncode == 0
    own = own_model("mine")
    shutil.copytree(own, data / "models" / "mine")
    done = manage(data, "models", "promote", "mine")
    assert done.returncode == 0, done.stderr
    after = manage(data, "recognize", "--json", photo)
    assert after.stderr == ""
    named = manage(data, "recognize", "--json", "--model", "mine", photo)
    assert before.stdout != after.stdout == named.stdout
