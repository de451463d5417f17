import os
import shlex
import subprocess
import sys

import pytest

from recognizer.training.silence import held_back

NOISE = b"Could not find cuda drivers\n"


def fail() -> None:
    with held_back():
        os.write(2, b"the reason\n")
        raise ImportError


def test_what_is_written_past_python_is_held_back(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    with held_back():
        os.write(2, NOISE)
    os.write(2, b"heard again\n")
    assert capfd.readouterr().err == "heard again\n"


def test_where_something_fails_it_is_told(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    with pytest.raises(ImportError):
        fail()
    assert capfd.readouterr().err == "the reason\n"


def test_who_asks_for_it_hears_it(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    with held_back():
        os.write(2, NOISE)
    assert capfd.readouterr().err == NOISE.decode()


@pytest.mark.parametrize("started_without", [False, True])
def test_a_closed_stderr_is_no_matter(started_without: bool) -> None:
    code = (
        "import os\n"
        "from recognizer.training.silence import held_back\n"
        f"{'pass' if started_without else 'os.close(2)'}\n"
        "with held_back():\n"
        "    print('done')"
    )
    end = "2>&-" if started_without else ""
    command = f"{shlex.quote(sys.executable)} -c {shlex.quote(code)} {end}"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
    assert done.stdout == "done\n"


def test_a_training_names_its_error_and_nothing_else(tmp_path: os.PathLike[str]) -> None:
    pytest.importorskip("tensorflow", reason="TensorFlow is needed to train")
    command = [sys.executable, "manage.py", "train", "manage.py", "--run", f"{tmp_path}/run"]
    quiet = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    done = subprocess.run(command, env=quiet, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("CommandError: manage.py lacks the columns")
