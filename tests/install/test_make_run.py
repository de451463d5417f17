"""`make run` in a fresh clone, and the commands in the environment that it makes."""

import http.client
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.install.clone import environment, files_of_a_clone, make_clone, make_run, processes_of
from tests.servers import free_port, wait_until

pytestmark = pytest.mark.slow

INSTALL_WITHIN = 600.0  # seconds; most of it waits for the network
START_WITHIN = 60.0


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh clone; the first test that runs it installs it."""
    names = files_of_a_clone()
    if names is None:
        pytest.skip("This is no git checkout, so a fresh clone of it cannot be made.")
    folder = tmp_path_factory.mktemp("fresh") / "webemotion"
    make_clone(folder, names)
    return folder


@pytest.fixture(scope="module")
def installed(clone: Path) -> Path:
    """The clone after its first `make run`, which must have worked."""
    with make_run(clone) as run:
        try:
            run.wait_until_ready(INSTALL_WITHIN)
        except AssertionError:
            if "Could not find a version" in run.output:
                pytest.skip("The package index cannot be reached, so nothing can be installed.")
            raise
    run.wait_until_gone()
    return clone


def test_the_site_answers_and_recognizes_a_photo(
    installed: Path, astronaut: NDArray[np.uint8], jpeg: Callable[..., bytes]
) -> None:
    with make_run(installed) as run:
        address = run.wait_until_ready(START_WITHIN)
        assert address == f"http://127.0.0.1:{run.port}"
        assert [run.get(path) for path in ("/healthz", "/readyz", "/")] == [200, 200, 200]
        photo = send_and_wait(run.port, jpeg(astronaut))
        assert photo["status"] == "done"
        assert len(photo["faces"]) == 1


def test_a_second_run_installs_nothing_and_starts_in_seconds(installed: Path) -> None:
    started = time.monotonic()
    with make_run(installed) as run:
        run.wait_until_ready(START_WITHIN)
        assert time.monotonic() - started < 60  # Other tests run beside it.
        assert "Installing" not in run.output


def test_ctrl_c_stops_everything_without_an_error(installed: Path) -> None:
    with make_run(installed) as run:
        run.wait_until_ready(START_WITHIN)
        assert processes_of(installed)
        run.interrupt()
        # make reports its own SIGINT; a shell calls this 130.
        assert run.make.wait(30) in {0, -signal.SIGINT, 130}
        run.wait_until_gone(5)
        assert "Traceback" not in run.output
        assert "Error" not in run.output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["TERM", "KILL"])
def test_no_process_outlives_make(installed: Path, number: signal.Signals) -> None:
    with make_run(installed) as run:
        run.wait_until_ready(START_WITHIN)
        os.kill(run.make.pid, number)
        run.make.wait(30)
        run.wait_until_gone()


def test_a_taken_port_gets_a_sentence(installed: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with make_run(installed, port) as run:
            assert run.make.wait(START_WITHIN) != 0
    assert f"Port {port} on 127.0.0.1 is taken." in run.output
    assert "Traceback" not in run.output


def test_a_missing_python_gets_a_sentence(tmp_path: Path) -> None:
    names = files_of_a_clone()
    if names is None:
        pytest.skip("This is no git checkout, so a fresh clone of it cannot be made.")
    make_clone(tmp_path / "webemotion", names)
    with make_run(tmp_path / "webemotion", free_port(), "PYTHON=no-such-python") as run:
        assert run.make.wait(START_WITHIN) != 0
    assert "WebEmotion needs Python 3.11 or newer" in run.output
    assert "Traceback" not in run.output


def test_no_python_at_all_gets_a_sentence(clone: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        ["/bin/sh", "scripts/make-venv", str(tmp_path / "venv")],
        cwd=clone,
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "WebEmotion needs Python 3.11 or newer, and none was found." in done.stderr


def test_a_python_without_venv_gets_a_sentence(clone: Path, tmp_path: Path) -> None:
    # Debian's python3 without python3-venv: it runs, but ensurepip cannot be imported.
    python = tmp_path / "python-without-venv"
    python.write_text(
        '#!/bin/sh\ncase "$2" in *ensurepip*) exit 1;; *version_info\\[:2\\]*) echo 3.11;; esac\n'
    )
    python.chmod(0o755)
    done = subprocess.run(
        ["/bin/sh", "scripts/make-venv", str(tmp_path / "venv"), str(python)],
        cwd=clone,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "its venv module is missing" in done.stderr
    assert "apt install python3.11-venv" in done.stderr


def python(clone: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [".venv/bin/python", *arguments],
        cwd=clone,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )


def test_serving_needs_no_tensorflow(installed: Path) -> None:
    assert "No module named 'tensorflow'" in python(installed, "-c", "import tensorflow").stderr
    check = python(installed, "manage.py", "check")
    assert check.returncode == 0, check.stderr


def test_recognize_runs_on_what_make_run_installs(
    installed: Path, astronaut: NDArray[np.uint8], jpeg: Callable[..., bytes], tmp_path: Path
) -> None:
    photo = tmp_path / "portrait.jpg"
    photo.write_bytes(jpeg(astronaut))
    done = python(installed, "manage.py", "recognize", str(photo), "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["error"] is None
    assert len(answer["faces"]) == 1


def test_evaluate_runs_on_what_make_run_installs(
    installed: Path, astronaut: NDArray[np.uint8], tmp_path: Path
) -> None:
    pictures, votes = tmp_path / "fer2013.csv", tmp_path / "fer2013new.csv"
    write_data_set(pictures, votes, astronaut, rows=4)
    command = ["manage.py", "evaluate", "fer2013", str(pictures), "--ferplus", str(votes), "--json"]
    done = python(installed, *command, "--split", "PublicTest")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["split"] == "PublicTest"
    assert answer["ferplus"]["n"] == 4


def write_data_set(pictures: Path, votes: Path, astronaut: NDArray[np.uint8], rows: int) -> None:
    """A data set in the layout of FER-2013 and FER+: the same happy face a few times."""
    face = astronaut[60:204:3, 150:294:3].mean(axis=2).astype(int)
    pixels = " ".join(str(value) for value in face.ravel())
    lines = [f"3,{pixels},PublicTest" for _ in range(rows)]
    pictures.write_text("\n".join(["emotion,pixels,Usage", *lines]) + "\n")
    header = (
        "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
    )
    lines = [f"PublicTest,fer{number:07}.png,0,10,0,0,0,0,0,0,0,0" for number in range(rows)]
    votes.write_text("\n".join([header, *lines]) + "\n")


def send_and_wait(port: int, image: bytes) -> dict[str, Any]:
    """Sends a photo as a guest and waits until it is no longer moving."""
    boundary = "a-boundary-that-is-in-no-photo"
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n'
    body = head.encode() + image + f"\r\n--{boundary}--\r\n".encode()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    connection.request("POST", "/api/v1/photos", body, headers)
    response = connection.getresponse()
    cookie = (response.getheader("Set-Cookie") or "").partition(";")[0]
    photo: dict[str, Any] = json.loads(response.read())
    assert response.status == 201, photo

    def finished() -> bool:
        connection.request("GET", f"/api/v1/photos/{photo['id']}", headers={"Cookie": cookie})
        photo.update(json.loads(connection.getresponse().read()))
        return photo["status"] in {"done", "failed"}

    wait_until(finished, "the photo is done")
    connection.close()
    return photo
