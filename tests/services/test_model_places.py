"""Which place a model that a command makes may take, and that it takes it whole or not at all."""

import shutil
from pathlib import Path

import pytest
from pytest_django import Settings

from recognizer.services import model_places, model_store, model_versions, promotions
from recognizer.services.promotions import Promoted
from recognizer.vision import classification
from recognizer.vision.classification import DEFAULT_MODEL, ModelError, OnnxClassifier
from tests.services.models import damage, own_model
from tests.vision.tiny_model import write_tiny_model

NEEDED = r"or would go back to it by a rollback, .* Choose another name \(--name\)"


@pytest.fixture(autouse=True)
def nothing_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_versions, "_loaded", model_versions.Loaded())


def promote(*names: str) -> None:
    for name in names:
        assert isinstance(promotions.promote(name, force=True), Promoted)


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """The training curves of a run."""
    path = tmp_path / "run" / "history.csv"
    path.parent.mkdir()
    path.write_text("epoch,loss,seconds\n1,1.91,12.25\n")
    return path


# --- Which names are free ----------------------------------------------------------------------


def test_a_new_name_is_a_place_among_the_sites_own() -> None:
    assert model_places.place_for("new", None) == model_store.own_root() / "new"


def test_a_shipped_models_name_is_never_free_there(tmp_path: Path) -> None:
    for parent in (None, model_store.own_root()):
        with pytest.raises(ModelError, match="already, and it is a shipped one"):
            model_places.place_for(DEFAULT_MODEL, parent, replace=True)
    assert model_places.place_for(DEFAULT_MODEL, tmp_path) == tmp_path / DEFAULT_MODEL


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden"])
def test_a_models_name_cannot_lead_elsewhere(name: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="can't be a model's name"):
        model_places.place_for(name, tmp_path)


# --- Another model of the name -----------------------------------------------------------------


def test_another_model_is_written_over_only_if_a_person_says_so(tmp_path: Path) -> None:
    there = {None: own_model("mine"), tmp_path: write_tiny_model(tmp_path / "mine")}
    for parent, folder in there.items():
        with pytest.raises(ModelError, match=r'a model "mine" already in .*--name.*--replace'):
            model_places.place_for("mine", parent)
        assert model_places.place_for("mine", parent, replace=True) == folder


def test_a_damaged_model_is_replaced_like_any_other() -> None:
    folder = own_model("mine")
    damage(folder)
    (folder / "card.json").write_text("{}")
    with pytest.raises(ModelError, match="--replace"):
        model_places.place_for("mine", None)
    assert model_places.place_for("mine", None, replace=True) == folder


def test_the_run_that_made_a_model_may_make_it_again(history: Path) -> None:
    folder = own_model("mine")
    with pytest.raises(ModelError, match="already"):
        model_places.place_for("mine", None, history=history)
    shutil.copy(history, folder)
    assert model_places.place_for("mine", None, history=history) == folder


def test_another_run_may_not(history: Path) -> None:
    shutil.copy(history, own_model("mine"))
    history.write_text(history.read_text().replace("1.91", "1.92"))
    with pytest.raises(ModelError, match="already"):
        model_places.place_for("mine", None, history=history)
    history.unlink()
    with pytest.raises(ModelError, match="already"):
        model_places.place_for("mine", None, history=history)


def test_what_is_no_model_is_never_written_over(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "notes").write_text("mine")
    for name in ("photos", "notes"):
        with pytest.raises(ModelError, match="no model's folder"):
            model_places.place_for(name, tmp_path, replace=True)


# --- What the site needs -----------------------------------------------------------------------


def test_what_the_site_uses_or_may_go_back_to_is_never_written_over(
    db: None, history: Path
) -> None:
    for name in ("a", "b", "c"):
        shutil.copy(history, own_model(name))
    promote("a", "b")
    for name in ("a", "b"):
        for parent in (None, model_store.own_root()):
            with pytest.raises(ModelError, match=NEEDED):
                model_places.place_for(name, parent, replace=True, history=history)
    assert model_places.place_for("c", None, replace=True)
    promotions.rollback()
    assert model_places.place_for("b", None, replace=True)
    with pytest.raises(ModelError, match=NEEDED):
        model_places.place_for("a", None, replace=True)
    promotions.rollback()
    assert model_places.place_for("a", None, replace=True)


def test_a_needed_model_is_known_by_its_card(db: None) -> None:
    folder = own_model("a")
    promote("a")
    folder.rename(folder.with_name("renamed"))
    own_model("a", version="another")
    assert model_places.place_for("a", None, replace=True)
    with pytest.raises(ModelError, match=NEEDED):
        model_places.place_for("renamed", None, replace=True)


def test_a_copy_elsewhere_is_not_needed(db: None, tmp_path: Path) -> None:
    shutil.copytree(own_model("a"), tmp_path / "elsewhere" / "a")
    promote("a")
    assert model_places.place_for("a", tmp_path / "elsewhere", replace=True)


def test_a_promoted_shipped_model_is_not_written_over(
    db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = tmp_path / "shipped"
    write_tiny_model(shipped / DEFAULT_MODEL)
    write_tiny_model(shipped / "second", seed=8)
    monkeypatch.setattr(classification, "MODELS_FOLDER", shipped)
    promote("second")
    with pytest.raises(ModelError, match=NEEDED):
        model_places.place_for("second", shipped, replace=True)


def test_the_sites_default_is_not_written_over(settings: Settings) -> None:
    own_model("mine")
    settings.EMOTION_MODEL = "mine"
    with pytest.raises(ModelError, match=NEEDED):
        model_places.place_for("mine", None, replace=True)


# --- A model in the making ---------------------------------------------------------------------


def test_a_model_in_the_making_takes_its_place_when_it_has_proved_good(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    write_tiny_model(folder, version="old")
    with model_places.being_made(folder, replace=True) as partial:
        write_tiny_model(partial, name="mine", version="new")
        assert OnnxClassifier(folder).card.version == "old"
    assert OnnxClassifier(folder).card.version == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_model_that_went_wrong_leaves_the_one_before(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    write_tiny_model(folder, version="old")

    def spoil() -> None:
        with model_places.being_made(folder) as partial:
            write_tiny_model(partial)
            (partial / "model.onnx").write_bytes(b"cut off")

    with pytest.raises(ModelError, match="not the file that its card"):
        spoil()
    assert OnnxClassifier(folder).card.version == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_model_that_was_promoted_meanwhile_stays(db: None) -> None:
    folder = own_model("mine")

    def make() -> None:
        with model_places.being_made(folder) as partial:
            write_tiny_model(partial, name="mine", version="new")
            promote("mine")

    with pytest.raises(ModelError, match=NEEDED):
        make()
    assert OnnxClassifier(folder).card.version == "2026.11"
    assert [path.name for path in folder.parent.iterdir()] == ["mine"]


def test_a_model_that_came_meanwhile_is_written_over_only_if_that_was_said(tmp_path: Path) -> None:
    folder = model_places.place_for("mine", tmp_path)

    def make(replace: bool = False) -> None:
        with model_places.being_made(folder, replace) as partial:
            write_tiny_model(partial, name="mine", version="new")
            write_tiny_model(folder, name="mine", version="others")

    with pytest.raises(ModelError, match=r'There is a model "mine" already'):
        make()
    assert OnnxClassifier(folder).card.version == "others"
    make(replace=True)
    assert OnnxClassifier(folder).card.version == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_the_model_that_was_known_may_be_written_over(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    write_tiny_model(folder, name="mine", version="old")
    known = model_places.card_at(folder)

    def make(version: str) -> None:
        with model_places.being_made(folder, known=known) as partial:
            write_tiny_model(partial, name="mine", version=version)

    make("new")
    assert OnnxClassifier(folder).card.version == "new"
    with pytest.raises(ModelError, match=r'There is a model "mine" already'):
        make("newer")  # It is another one now.


def test_a_model_is_made_by_one_process_at_a_time(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    with model_places.being_made(folder) as partial:
        with (
            pytest.raises(ModelError, match='Another process is making the model "mine"'),
            model_places.being_made(folder),
        ):
            pytest.fail("Two make one model.")
        write_tiny_model(partial, name="mine", version="first")
    assert OnnxClassifier(folder).card.version == "first"
