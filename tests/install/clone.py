"""A fresh clone of this project, and what `make run` does in it."""

import http.client
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.servers import free_port, wait_until
from tests.variables import ROOT, read_variables

READY = re.compile(r"^WebEmotion is ready: (\S+)$", re.MULTILINE)


def files_of_a_clone() -> list[str] | None:
    """The files that git has or would take, or None where this is no git checkout."""
    if not shutil.which("git"):
        return None
    done = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        return None
    return [name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def make_clone(folder: Path, names: list[str]) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)


def environment() -> dict[str, str]:
    """This process's environment without anything that speaks of this checkout or this `make`."""
    foreign = {"VIRTUAL_ENV", "PYTHONPATH", "DJANGO_SETTINGS_MODULE", "HOST", "PORT", "ARGS"}
    foreign |= {"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", *read_variables()}
    return {name: value for name, value in os.environ.items() if name not in foreign}


def processes_of(folder: Path) -> list[str]:
    """Every running process whose command line names the folder."""
    listing = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True)
    return [line for line in listing.stdout.splitlines() if str(folder) in line]


@dataclass
class Run:
    """One `make run`."""

    make: "subprocess.Popen[bytes]"
    clone: Path
    port: int
    log: Path

    @property
    def output(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def wait_until_ready(self, seconds: float) -> str:
        """Waits for the line that says where to look. Gives the address in it."""
        try:
            wait_until(lambda: bool(READY.search(self.output)), "ready", self.make, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.output[-10_000:]}") from None
        found = READY.findall(self.output)
        assert len(found) == 1
        return str(found[0])

    def get(self, path: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        finally:
            connection.close()

    def interrupt(self) -> None:
        """What Ctrl-C does: the terminal sends SIGINT to everyone in the foreground."""
        os.killpg(self.make.pid, signal.SIGINT)

    def wait_until_gone(self, seconds: float = 30) -> None:
        wait_until(lambda: not processes_of(self.clone), "no process left", seconds=seconds)


@contextmanager
def make_run(clone: Path, port: int | None = None, *arguments: str) -> Iterator[Run]:
    port = port or free_port()
    log = clone.parent / f"run-{time.monotonic_ns()}.log"
    with log.open("wb") as file:
        make = subprocess.Popen(
            ["make", "run", f"PORT={port}", *arguments],
            cwd=clone,
            env=environment(),
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    run = Run(make, clone, port, log)
    try:
        yield run
    finally:
        if make.poll() is None:
            run.interrupt()
            make.wait(60)
