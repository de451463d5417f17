"""What the commands around training share."""

import io
import os
from typing import Any

import pytest
from django.core.management import CommandError, call_command, load_command_class

from recognizer.management.base import TrainingCommand, training_imports


class Told(io.StringIO):
    """A pipe: holds back what is written until it is flushed."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = ""

    def flush(self) -> None:
        self.seen = self.getvalue()


class Command(TrainingCommand):
    requires_system_checks: list[str] = []

    def handle(self, **options: Any) -> None:
        self.report("half of it is done")
        raise CommandError("stop")


def test_a_report_is_on_stderr_before_the_work_goes_on() -> None:
    out, err = io.StringIO(), Told()
    with pytest.raises(CommandError, match="stop"):
        call_command(Command(), stdout=out, stderr=err)
    assert (out.getvalue(), err.seen) == ("", "half of it is done\n")


def test_a_report_is_no_error_on_a_terminal() -> None:
    err = io.StringIO()
    err.isatty = lambda: True  # type: ignore[method-assign]
    with pytest.raises(CommandError, match="stop"):
        call_command(Command(stderr=err, force_color=True))
    assert err.getvalue() == "half of it is done\n"


class Stopped(TrainingCommand):
    requires_system_checks: list[str] = []
    kept = "Half of it is in the drawer."

    def handle(self, **options: Any) -> None:
        raise KeyboardInterrupt


def test_ctrl_c_ends_it_with_a_line_that_says_what_is_kept() -> None:
    err = io.StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command(Stopped(), stderr=err)
    assert ended.value.code == 130
    assert err.getvalue() == "Stopped. Half of it is in the drawer.\n"


@pytest.mark.parametrize(
    ("action", "kept"),
    [("clean", "The same command goes on"), ("pack", "Called again in the same way, it goes on")],
)
def test_each_action_on_a_data_set_says_what_ctrl_c_leaves(
    action: str, kept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(options: dict[str, Any], report: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(f"recognizer.management.dataset.{action}.run", stopped)
    err = io.StringIO()
    with pytest.raises(SystemExit):
        call_command("dataset", action, "set", "--output", "out", stderr=err)
    assert err.getvalue().startswith(f"Stopped. {kept}")


def knit() -> None:
    with training_imports("Knitting"):
        # Or TensorFlow's own lines would hide ours.
        assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "2"
        raise ImportError("no wool")


def test_what_is_not_installed_is_told_with_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    with pytest.raises(
        CommandError, match=r"Knitting needs more than serving \(no wool\)"
    ) as error:
        knit()
    assert "pip install -r requirements.txt" in str(error.value)


def test_how_much_tensorflow_says_can_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    with training_imports("Knitting"):
        assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "0"


@pytest.mark.parametrize("name", ["train", "tune", "learn"])
def test_there_is_at_least_one_thread(name: str) -> None:
    parser = load_command_class("recognizer", name).create_parser("manage.py", name)
    source = [] if name == "learn" else ["fer2013.csv"]
    assert parser.parse_args(source).threads >= 1
    assert parser.parse_args([*source, "--threads", "3"]).threads == 3
    for given in ("0", "-2", "all"):
        with pytest.raises(CommandError, match=f'must be a whole number, 1 or more, not "{given}"'):
            parser.parse_args([*source, f"--threads={given}"])


@pytest.mark.parametrize("command", [["dataset", "explore"], ["tune"], ["affect"], ["train"]])
@pytest.mark.parametrize("seed", ["-1", "1.5", str(2**32)])
def test_a_seed_that_is_none_is_refused_at_once(command: list[str], seed: str) -> None:
    with pytest.raises(CommandError, match=f'--seed: must be a whole number.*not "{seed}"'):
        call_command(*command, "nowhere.csv", f"--seed={seed}")
