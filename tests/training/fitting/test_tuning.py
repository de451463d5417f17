"""Searches: how they choose, how they go on, and what a trial is."""

import csv
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="TensorFlow is needed to train")
pytest.importorskip("keras_tuner", reason="KerasTuner is needed to tune")
pytest.importorskip("sklearn", reason="scikit-learn is needed to tune")

from recognizer.training.datasets.faces import Faces
from recognizer.training.datasets.preparation import TrainingSet, prepare
from recognizer.training.fitting import config, fitted, tuning
from recognizer.training.fitting.hyperparameters import Fitting
from recognizer.training.fitting.loop import fit
from recognizer.training.fitting.trials import Scores, WholeNetwork, shortened
from recognizer.training.fitting.tuning import Search, TuningError
from recognizer.training.networks import MiniXception, ResNet9, changed
from recognizer.training.settings import SettingsError

TINY = Fitting(
    epochs=2,
    batch=16,
    learning_rate=0.05,
    ema=0.9,
    network=ResNet9(widths=(4, 8), entry=0, blocks=(1, 1), dropout=0.1, squeeze=2),
)
# The first three are by chance; to guide the next costs a second or more.
SEARCH = Search(TINY, trials=3, epochs=1, data="drawn faces: 64 faces")


CONFIGS = Path(config.__file__).parents[1] / "configs"


@pytest.fixture(scope="module")
def training(faces: Faces) -> TrainingSet:
    return prepare(faces.split("Training"), faces.split("PublicTest").images)


@pytest.fixture(scope="module")
def held_out(faces: Faces) -> Faces:
    return faces.split("PublicTest")


@pytest.fixture(scope="module")
def run_of_training(
    training: TrainingSet, held_out: Faces, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    run = tmp_path_factory.mktemp("run")
    fit(training, held_out, replace(TINY, epochs=4), run, quiet)
    return run


def quiet(_: str) -> None:
    return None


class Valley:
    """Stands for a network that is best with a certain rate, and quick to measure."""

    def __init__(self, failing: int = 0, killed_at: int = 0) -> None:
        self.asked: list[Fitting] = []
        self.failing, self.killed_at = failing, killed_at

    def __call__(self, how: Fitting, folder: Path) -> Scores:
        self.asked.append(how)
        if len(self.asked) == self.killed_at:
            raise KeyboardInterrupt
        if len(self.asked) <= self.failing:
            raise ValueError("The loss is not a number.")
        away = abs(math.log10(how.weight_decay) + 3) / 4 + how.network.dropout / 10
        return Scores(0.8 - away / 2, 0.5, 1.0)


def test_a_search_gives_all_its_trials_the_best_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines: list[str] = []
    valley = Valley()
    # A seed whose fourth trial is quickly chosen.
    search = replace(SEARCH, trials=4, base=replace(TINY, seed=4))
    trials = tuning.tune(search, valley, tmp_path, lines.append)
    assert sorted(trial.number for trial in trials) == [1, 2, 3, 4]
    accuracies = [trial.accuracy for trial in trials]
    assert accuracies == sorted(accuracies, reverse=True)
    assert len({str(trial.settings) for trial in trials}) == 4
    assert len(lines) == 4
    assert lines[-1].startswith("Trial 4 of 4: 0.")
    assert capsys.readouterr().out == ""
    best = tuning.fitting_of(search.base, trials[0].settings)
    assert best in valley.asked
    assert best.epochs == TINY.epochs


def test_a_search_goes_on_after_its_last_trial(tmp_path: Path) -> None:
    short, valley = replace(SEARCH, trials=2), Valley(killed_at=2)
    with pytest.raises(KeyboardInterrupt):
        tuning.tune(short, valley, tmp_path, quiet)
    again = Valley()
    assert len(tuning.tune(short, again, tmp_path, quiet)) == 2
    assert len(again.asked) == 1
    # The trial that was stopped is made again as it was.
    assert again.asked[0] == valley.asked[1]
    more = Valley()
    assert len(tuning.tune(SEARCH, more, tmp_path, quiet)) == 3
    assert len(more.asked) == 1


@pytest.mark.parametrize(
    "text", ["", '{"scores": {"ferplus', "[]", '{"scores": {}}', '{"scores": 5}']
)
def test_a_trial_whose_result_was_cut_off_is_told(tmp_path: Path, text: str) -> None:
    tuning.tune(SEARCH, Valley(), tmp_path, quiet)
    result = tmp_path / "trial-002/result.json"
    result.write_text(text)
    with pytest.raises(TuningError, match=r"trial-002/result\.json is damaged or gone"):
        tuning.tune(SEARCH, Valley(), tmp_path, quiet)


def test_a_result_of_other_settings_is_not_taken_for_a_trials(tmp_path: Path) -> None:
    tuning.tune(SEARCH, Valley(), tmp_path, quiet)
    shutil.rmtree(tmp_path / "oracle")
    first = tmp_path / "trial-001/result.json"
    found = json.loads(first.read_text())
    found["settings"]["dropout"] = 0.123
    first.write_text(json.dumps(found))
    (tmp_path / "trial-001/config.json").write_text("of the other search")
    again = Valley()
    tuning.tune(SEARCH, again, tmp_path, quiet)
    assert again.asked
    assert not (tmp_path / "trial-001/config.json").exists()
    assert json.loads(first.read_text())["settings"]["dropout"] != 0.123


@pytest.mark.parametrize("spoilt", ["cut", "gone", "trial"])
def test_damaged_notes_of_keras_tuner_are_named(tmp_path: Path, spoilt: str) -> None:
    tuning.tune(SEARCH, Valley(), tmp_path, quiet)
    if spoilt == "cut":
        (tmp_path / "oracle/oracle.json").write_text('{"ongoing')
    elif spoilt == "gone":
        (tmp_path / "oracle/oracle.json").unlink()
    else:
        next((tmp_path / "oracle").glob("trial_*/trial.json")).unlink()
    with pytest.raises(TuningError, match=r"oracle is damaged .* begin anew"):
        tuning.tune(SEARCH, Valley(), tmp_path, quiet)


def test_a_run_folder_of_another_search_is_refused(tmp_path: Path) -> None:
    tuning.tune(replace(SEARCH, trials=1), Valley(), tmp_path, quiet)
    other = replace(SEARCH, base=replace(TINY, batch=8), epochs=3)
    with pytest.raises(ValueError, match=r"other settings \(batch, trial_epochs differ"):
        tuning.tune(other, Valley(), tmp_path, quiet)
    relabelled = replace(SEARCH, data_sha256="that of other votes on the same pictures")
    with pytest.raises(ValueError, match=r"other settings \(data_sha256 differ"):
        tuning.tune(relabelled, Valley(), tmp_path, quiet)


def test_a_failed_trial_is_told_and_the_search_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trials = tuning.tune(SEARCH, Valley(failing=1), tmp_path, quiet)
    assert "Traceback" not in capsys.readouterr().err
    assert trials[-1].number == 1
    assert trials[-1].error == "ValueError: The loss is not a number."
    assert "not a number" in tuning.table(trials)


def test_a_search_of_failures_ends_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(
        TuningError, match="given up, too much failed: ValueError: The loss is not a number"
    ):
        tuning.tune(SEARCH, Valley(failing=9), tmp_path / "long", quiet)
    with pytest.raises(TuningError, match="No trial succeeded: ValueError: The loss"):
        tuning.tune(replace(SEARCH, trials=2), Valley(failing=9), tmp_path / "short", quiet)


@pytest.mark.parametrize("wrong", [{"trials": 0}, {"epochs": 0}])
def test_a_search_of_nothing_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(TuningError, match="of 1 or more, not 0"):
        replace(SEARCH, **wrong)  # type: ignore[arg-type]


def test_a_search_leaves_tables_and_settings_to_train_with(tmp_path: Path) -> None:
    trials = tuning.tune(SEARCH, Valley(), tmp_path, quiet)
    best = tuning.save(trials, SEARCH, tmp_path)
    assert config.load(best) == tuning.fitting_of(TINY, trials[0].settings)
    assert "drawn faces: 64 faces" in best.read_text(encoding="utf-8")
    told = json.loads((tmp_path / "trials.json").read_text(encoding="utf-8"))
    assert told["objective"] == "ferplus_accuracy on drawn faces: 64 faces"
    with (tmp_path / "trials.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["trial"]) for row in rows] == [trial.number for trial in trials]
    assert [row["trial"] for row in told["trials"]] == [trial.number for trial in trials]
    for row in rows:
        assert bool(row["momentum"]) == (row["optimizer"] == "sgd")
        assert float(row["learning_rate"]) > 0
    lines = tuning.table(trials).splitlines()
    assert len(lines) == 4
    assert lines[0].split()[:4] == ["trial", "ferplus_accuracy", "fer2013_accuracy", "hidden"]


def test_a_whole_network_is_fitted_and_measured(
    training: TrainingSet, held_out: Faces, tmp_path: Path
) -> None:
    settings = {"hidden": 8, "dropout": 0.1, "optimizer": "adam", "learning_rate": 0.003}
    attempt = WholeNetwork(training, held_out, epochs=2)
    scores = attempt(tuning.fitting_of(TINY, settings), tmp_path)
    assert 0 <= scores.ferplus_accuracy <= 1
    with (tmp_path / "history.csv").open(newline="") as file:
        history = list(csv.DictReader(file))
    assert len(history) == 2
    assert float(history[-1]["ferplus_accuracy"]) == pytest.approx(scores.ferplus_accuracy)
    assert not (tmp_path / "checkpoint").exists()


def test_a_fitted_network_comes_back_with_its_averaged_weights(
    run_of_training: Path, training: TrainingSet, held_out: Faces, tmp_path: Path
) -> None:
    again = fit(training, held_out, replace(TINY, epochs=4), run_of_training, quiet)
    again.save_weights(tmp_path / "again.weights.h5")
    for weights in (run_of_training, tmp_path / "again.weights.h5"):
        model = fitted.load(weights, TINY.network)
        for one, other in zip(model.get_weights(), again.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)


def test_weights_of_another_network_are_refused(run_of_training: Path, tmp_path: Path) -> None:
    wider = changed(TINY.network, widths=[4, 16])
    with pytest.raises(SettingsError, match="cannot be taken for resnet9"):
        fitted.load(run_of_training, wider)
    with pytest.raises(SettingsError, match="cannot be taken for mini_xception"):
        fitted.load(run_of_training, MiniXception())
    with pytest.raises(SettingsError, match=r"nothing\.weights\.h5"):
        fitted.load(tmp_path / "nothing.weights.h5", TINY.network)


def test_a_search_starts_from_a_file_or_an_architecture(tmp_path: Path) -> None:
    config.dump(TINY, tmp_path / "tiny.toml")
    lines: list[str] = []
    assert tuning.base_settings(tmp_path / "tiny.toml", None, 5, lines.append) == replace(
        TINY, seed=5
    )
    assert tuning.base_settings(tmp_path / "tiny.toml", "resnet9", 1, lines.append) == TINY
    other = tuning.base_settings(tmp_path / "tiny.toml", "mini_xception", 1, lines.append)
    assert other == replace(TINY, network=MiniXception())
    assert lines == []
    with pytest.raises(SettingsError, match='no architecture "resnet10"'):
        tuning.base_settings(None, "resnet10", 1, quiet)


def test_a_search_begins_anew_and_without_teachers(tmp_path: Path) -> None:
    file, lines = tmp_path / "student.toml", list[str]()
    student = replace(TINY, start="teacher", soft_labels="soft.npz", distillation=0.3)
    config.dump(student, file)
    assert tuning.base_settings(file, None, 1, lines.append) == TINY
    assert len(lines) == 1
    assert f"it leaves out start and soft_labels of {file}" in lines[0]
    config.dump(replace(student, start="", soft_labels="", teachers=("somebody",)), file)
    assert tuning.base_settings(file, None, 1, lines.append) == TINY
    assert f"it leaves out teachers of {file}" in lines[1]


def test_a_search_does_not_keep_layers_random() -> None:
    with pytest.raises(SettingsError, match="All but the last 4 layers of vgg16 would stay random"):
        tuning.base_settings(None, "vgg16", 1, quiet)


@pytest.mark.parametrize("file", sorted(CONFIGS.glob("*.toml")), ids=lambda file: file.stem)
def test_the_settings_that_come_along_can_be_searched(file: Path, tmp_path: Path) -> None:
    base = tuning.base_settings(file, None, 1, quiet)
    search = replace(SEARCH, trials=1, base=base)
    trials = tuning.tune(search, Valley(), tmp_path, quiet)
    best = config.load(tuning.save(trials, search, tmp_path))
    assert best == tuning.fitting_of(base, trials[0].settings)
    assert (best.start, best.soft_labels, best.distillation) == ("", "", 0)
    assert best.epochs == base.epochs
    for epochs in range(1, 5):
        trial = shortened(best, epochs)
        assert trial.all_epochs == epochs
        assert trial.small_epochs < epochs


@pytest.mark.parametrize(
    ("small", "whole", "epochs", "expected"),
    [(8, 12, 4, 2), (34, 46, 4, 2), (9, 12, 4, 3), (11, 12, 1, 0), (1, 12, 4, 0), (0, 12, 4, 0)],
)
def test_a_trial_sees_small_pictures_for_the_same_share_of_its_epochs(
    small: int, whole: int, epochs: int, expected: int
) -> None:
    how = replace(TINY, epochs=whole - 2, finish_epochs=2, small_epochs=small, patience=0)
    assert shortened(how, epochs).small_epochs == expected


def test_the_rate_of_the_finish_changes_as_the_searched_rate_does() -> None:
    base = replace(TINY, learning_rate=0.2, finish_learning_rate=0.01)
    settings = {"hidden": 0, "dropout": 0.1, "optimizer": "adam", "learning_rate": 0.00123}
    assert tuning.fitting_of(base, settings).finish_learning_rate == 6.15e-5
    still = replace(base, learning_rate=0.0)
    assert tuning.fitting_of(still, settings).finish_learning_rate == 0.01


def test_too_few_images_for_a_step_are_refused(training: TrainingSet, held_out: Faces) -> None:
    search = replace(SEARCH, base=replace(TINY, batch=512))
    with pytest.raises(TuningError, match="takes 512 images, and there are 96"):
        tuning.attempt_of(search, training, held_out)
