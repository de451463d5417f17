"""Search for a good head and optimizer: Bayesian optimisation, resumable after every trial.

KerasTuner's Gaussian process (O'Malley et al., 2019) chooses what to try next from what the
trials so far have reached. Importing this module imports TensorFlow.
"""

import csv
import io
import json
import math
import shutil
import warnings
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import keras_tuner  # type: ignore[import-untyped]
import tensorflow as tf
from keras_tuner.engine import base_tuner  # type: ignore[import-untyped]
from tqdm import tqdm

from recognizer.training.datasets.faces import Faces
from recognizer.training.datasets.outputs import whole_file
from recognizer.training.datasets.preparation import TrainingSet
from recognizer.training.fitting import config, run_folders
from recognizer.training.fitting.hyperparameters import Fitting
from recognizer.training.fitting.loop import require_sizes
from recognizer.training.fitting.trials import Scores, WholeNetwork
from recognizer.training.networks import changed, name_of, network_from
from recognizer.training.networks.pretrained import require_taught

# KerasTuner does without it until its Bayesian search begins.
if find_spec("sklearn") is None:
    raise ImportError("No module named 'sklearn'")

Attempt = Callable[[Fitting, Path], Scores]

OBJECTIVE: Final = "ferplus_accuracy"
# What a trial is about, in the order of the table; one that does not apply to it is left out.
SEARCHED: Final = (
    "hidden",
    "dropout",
    "optimizer",
    "learning_rate",
    "momentum",
    "weight_decay",
)
_STATE: Final = "oracle"


class TuningError(ValueError):
    """A search cannot be begun or gone on with; the message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Search:
    """Every number that decides a search; saved with the run.

    Attributes:
        base: the settings that a trial starts from; its epochs are those of the training that
            may follow, not of the trials.
        trials: how many to try; more may be asked for when a search is gone on with.
        epochs: of each trial.
        data: what is learned from and what is measured on, in words.
        data_sha256: of the same, see `run_folders.fingerprint`; another search's run folder is
            refused by it.
    """

    base: Fitting
    trials: int
    epochs: int
    data: str
    data_sha256: str = ""

    def __post_init__(self) -> None:
        for name, value in (("trials", self.trials), ("epochs", self.epochs)):
            if value < 1:
                raise TuningError(f"A search needs {name} of 1 or more, not {value}.")


@dataclass(frozen=True, slots=True)
class Trial:
    """What was tried and what it reached.

    Attributes:
        number: from 1, in the order of the search.
        settings: by name, of SEARCHED those that apply.
        scores: None when the trial failed.
        error: why it failed, or nothing.
    """

    number: int
    settings: Mapping[str, Any]
    scores: Scores | None
    error: str = ""

    @property
    def accuracy(self) -> float:
        return self.scores.ferplus_accuracy if self.scores else -math.inf

    def row(self) -> dict[str, Any]:
        """One line of a table: a value or nothing for every column."""
        scores = self.scores
        return {
            "trial": self.number,
            "ferplus_accuracy": scores and round(scores.ferplus_accuracy, 4),
            "fer2013_accuracy": scores and round(scores.fer2013_accuracy, 4),
            **{name: self.settings.get(name) for name in SEARCHED},
            "seconds": scores and round(scores.seconds, 1),
            "error": self.error or None,
        }


def base_settings(
    file: Path | None, architecture: str | None, seed: int, report: Callable[[str], None]
) -> Fitting:
    """What a search starts from.

    Every trial begins anew, as a fitted network has no weights for another dense layer, and
    learns from the votes alone, as teachers may have learned from what trials are measured on.

    Args:
        file: TOML of a `Fitting`; the defaults, if not given.
        architecture: whose network to take with its default settings, unless the file has it.
        seed: of the trials.
        report: called with a line, if something in the file is left out.

    Raises:
        SettingsError: the file or the architecture is wrong, or most of the network would stay
            random.
    """
    base = replace(config.load(file) if file else Fitting(), seed=seed)
    if architecture and architecture != name_of(base.network):
        base = replace(base, network=network_from(architecture, {}))
    require_taught(base.network)
    if left_out := [name for name in ("start", "soft_labels", "teachers") if getattr(base, name)]:
        report(
            "Trials begin anew and learn from the votes alone, and so will a training with "
            f"best.toml: it leaves out {' and '.join(left_out)} of {file}."
        )
    return replace(base, start="", soft_labels="", teachers=(), distillation=0.0)


def attempt_of(search: Search, training: TrainingSet, validation: Faces) -> Attempt:
    """How to make a trial.

    Raises:
        TuningError: there are not enough images for a single step, or they are too small.
    """
    try:
        require_sizes(training, search.base)
    except ValueError as error:
        raise TuningError(f"{error} The settings are those of --config.") from error
    return WholeNetwork(training, validation, search.epochs)


def tune(
    search: Search,
    attempt: Attempt,
    run: Path,
    report: Callable[[str], None],
) -> list[Trial]:
    """Search in the run folder, going on after its last finished trial.

    Args:
        search: the settings; a run folder made with others is refused, more trials aside.
        attempt: fits what it is given for the epochs of a trial, in a folder, and measures it;
            see `trials`.
        run: folder for tuning.json, KerasTuner's state and a folder for each trial.
        report: called with one line per trial.

    Returns:
        All the trials, the best first.

    Raises:
        ValueError: the run folder belongs to other settings.
        TuningError: no trial succeeds, or what is in the run folder is damaged.
    """
    wanted = {
        **config.to_plain(search.base),
        "trial_epochs": search.epochs,
        "data": search.data,
        "data_sha256": search.data_sha256,
    }
    run_folders.claim(run / "tuning.json", wanted)
    # What KerasTuner prints on its own belongs to nobody's results.
    with redirect_stdout(io.StringIO()), warnings.catch_warnings():
        # A failed trial's NaN, and a process that is fitted to too few trials yet.
        warnings.filterwarnings("ignore", module="keras_tuner|sklearn")
        try:
            tuner = _Tuner(search, attempt, run, report)
            tuner.trials()
        except TuningError:
            raise
        except (ValueError, KeyError, TypeError, tf.errors.OpError) as error:
            raise TuningError(
                f"What KerasTuner has written down in {run / _STATE} is damaged ({error}). Restore "
                f"it, or remove {run} or give another folder (--run) to begin anew."
            ) from error
        tuner.save()
        try:
            tuner.search()
        except RuntimeError as error:
            raise TuningError(f"The search was given up, too much failed: {tuner.error}") from error
        finally:
            tuner.bar.close()
    trials = sorted(tuner.trials(), key=lambda trial: (-trial.accuracy, trial.number))
    if not trials or not trials[0].scores:
        why = trials[0].error if trials else "there was none"
        raise TuningError(f"No trial succeeded: {why}")
    return trials


def fitting_of(base: Fitting, settings: Mapping[str, Any]) -> Fitting:
    """`base` with the settings of a trial; the rate of its finish changes as its rate does."""
    head = {name: settings[name] for name in ("hidden", "dropout")}
    others = {name: value for name, value in settings.items() if name not in head}
    finish = base.finish_learning_rate
    if base.learning_rate:
        finish = _rounded(finish * settings["learning_rate"] / base.learning_rate)
    network = changed(base.network, **head)
    return replace(base, network=network, finish_learning_rate=finish, **others)


def save(trials: list[Trial], search: Search, run: Path) -> Path:
    """Write trials.csv, trials.json and best.toml, for `manage.py train`; the last one's path."""
    rows = [trial.row() for trial in trials]
    with (run / "trials.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    report = {
        "objective": f"{OBJECTIVE} on {search.data}",
        "architecture": name_of(search.base.network),
        "epochs": search.epochs,
        "trials": rows,
    }
    text = json.dumps(report, indent=2, ensure_ascii=False)
    (run / "trials.json").write_text(text + "\n", encoding="utf-8")
    best = trials[0]
    heading = (
        f"Trial {best.number}, the best of {len(trials)}: {best.accuracy:.4f} {OBJECTIVE}\n"
        f"on {search.data},\nafter {search.epochs} epochs."
    )
    config.dump(fitting_of(search.base, best.settings), run / "best.toml", heading)
    return run / "best.toml"


def table(trials: list[Trial]) -> str:
    """The trials as lines of text, a column for each setting, in the order given."""
    rows = [trial.row() for trial in trials]
    columns = [name for name in rows[0] if any(row[name] is not None for row in rows)]
    cells = [columns] + [[_cell(row[name]) for name in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = (
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        for line in cells
    )
    return "\n".join(line.rstrip() for line in lines)


def _cell(value: object) -> str:
    return "" if value is None else str(value)


class _Tuner(base_tuner.BaseTuner):  # type: ignore[misc]  # untyped
    def __init__(
        self,
        search: Search,
        attempt: Attempt,
        run: Path,
        report: Callable[[str], None],
    ) -> None:
        oracle = keras_tuner.oracles.BayesianOptimizationOracle(
            objective=keras_tuner.Objective(OBJECTIVE, "max"),
            max_trials=search.trials,
            # KerasTuner's own three per dimension would leave a short search to chance.
            num_initial_points=max(3, search.trials // 3),
            # It takes 0 for none.
            seed=search.base.seed + 1,
            hyperparameters=_space(),
        )
        super().__init__(oracle=oracle, directory=str(run), project_name=_STATE)
        oracle.verbose = 0
        self.error = ""
        self.wanted, self.attempt, self.run, self.report = search, attempt, run, report
        done = len(oracle.end_order)
        self.bar = tqdm(
            desc="trials", total=search.trials, initial=done, disable=None, unit="trial"
        )

    def run_trial(self, trial: Any) -> dict[str, float]:
        settings = _settings_of(trial)
        found = self._found(trial)
        # There already, when a search was killed between a trial's end and KerasTuner's note.
        if found.get("settings") != settings:
            if found:  # Of another search: its run is in the way.
                shutil.rmtree(self._result(trial).parent)
            outcome = self._outcome(fitting_of(self.wanted.base, settings), trial)
            self._result(trial).parent.mkdir(parents=True, exist_ok=True)
            text = json.dumps({"settings": settings, **outcome}, indent=2)
            with whole_file(self._result(trial)) as draft:
                draft.write_text(text + "\n", encoding="utf-8")
        ended = self._trial(trial)
        self.error = ended.error
        # KerasTuner takes NaN for a failure, and an exception for an occasion to print it.
        return {OBJECTIVE: ended.accuracy if ended.scores else math.nan}

    def _outcome(self, how: Fitting, trial: Any) -> dict[str, Any]:
        try:
            return {"scores": self.attempt(how, self._result(trial).parent).plain()}
        except (ValueError, ArithmeticError, OSError, tf.errors.OpError) as error:
            text = " ".join(str(error).split())[:300]
            return {"error": f"{type(error).__name__}: {text}"}

    def on_trial_end(self, trial: Any) -> None:
        super().on_trial_end(trial)
        self.bar.update()
        ended = self._trial(trial)
        best = max(self.trials(), key=lambda one: one.accuracy)
        settings = "  ".join(f"{name} {value}" for name, value in ended.settings.items())
        reached = f"{ended.accuracy:.4f}" if ended.scores else f"failed: {ended.error}"
        so_far = f" (best {best.accuracy:.4f}, trial {best.number})" if best.scores else ""
        count = self.wanted.trials
        self.report(f"Trial {ended.number} of {count}: {reached}{so_far}  {settings}")

    def trials(self) -> list[Trial]:
        ended = (self.oracle.trials[name] for name in self.oracle.end_order)
        return [self._trial(trial) for trial in ended]

    def _trial(self, trial: Any) -> Trial:
        number, settings = int(trial.trial_id) + 1, _settings_of(trial)
        found = self._found(trial)
        try:
            if not found:
                raise ValueError
            scores = Scores(**found["scores"]) if "scores" in found else None
        except (ValueError, TypeError):
            raise TuningError(
                f"{self._result(trial)} is damaged or gone. Restore it, or remove {self.run} or "
                "give another folder (--run) to begin anew."
            ) from None
        return Trial(number, settings, scores, found.get("error", ""))

    def _found(self, trial: Any) -> dict[str, Any]:
        """What was written down of a trial; nothing, where that cannot be read."""
        try:
            found = json.loads(self._result(trial).read_text(encoding="utf-8"))
        except (ValueError, FileNotFoundError):
            return {}
        return found if isinstance(found, dict) else {}

    def _result(self, trial: Any) -> Path:
        return self.run / f"trial-{int(trial.trial_id) + 1:03}" / "result.json"


def _space() -> Any:
    """What may be tried. The optimizers' rates differ tenfold and more, so each has its own."""
    space = keras_tuner.HyperParameters()
    space.Choice("hidden", [0, 64, 128, 256, 512], ordered=True)
    space.Float("dropout", 0.0, 0.6)
    space.Choice("optimizer", ["sgd", "adam"])
    with space.conditional_scope("optimizer", ["sgd"]):
        space.Float("sgd_learning_rate", 0.01, 0.5, sampling="log")
        space.Float("momentum", 0.8, 0.97)
    with space.conditional_scope("optimizer", ["adam"]):
        space.Float("adam_learning_rate", 1e-4, 1e-2, sampling="log")
    space.Float("weight_decay", 1e-5, 1e-1, sampling="log")
    return space


def _settings_of(trial: Any) -> dict[str, Any]:
    """A trial's settings by the names of SEARCHED."""
    values = trial.hyperparameters.values
    found = {name: values[name] for name in SEARCHED if name in values}
    found["learning_rate"] = values[f"{values['optimizer']}_learning_rate"]
    if found["optimizer"] != "sgd":
        found.pop("momentum", None)
    rounded = {
        name: _rounded(value) if isinstance(value, float) else value
        for name, value in found.items()
    }
    return {name: rounded[name] for name in SEARCHED if name in rounded}


def _rounded(value: float) -> float:
    """To three digits: more mean nothing."""
    return float(f"{value:.3g}")
