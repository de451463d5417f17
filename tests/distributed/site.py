"""A whole site for one test: its own data, settings by environment, and the processes it runs."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg

from tests.servers import wait_until
from tests.variables import ROOT, read_variables

STOP_WITHIN = 20.0  # seconds
WORKER = ["--pool", "prefork", "--without-gossip", "--without-mingle", "--without-heartbeat"]

Process = subprocess.Popen[bytes]


class Site:
    """Starts workers and beat as real processes and looks into the database from outside."""

    def __init__(self, data: Path, **variables: str) -> None:
        self.data = data
        self.log = data / "log.txt"
        self.processes: list[Process] = []
        self.database_url = variables.get("DATABASE_URL", "")
        product = {*read_variables(), "DJANGO_SETTINGS_MODULE"}
        self.environment = {
            **{name: value for name, value in os.environ.items() if name not in product},
            "WEBEMOTION_DATA": str(data),
            **variables,
        }

    def __enter__(self) -> Self:
        self.run("manage.py", "migrate", "--verbosity", "0")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        for process in self.processes:
            kill(process)
        if error is not None and self.log.exists():
            print(self.log.read_text(errors="replace")[-20_000:])

    def run(self, *arguments: str) -> str:
        """Runs Python in the site's settings. Gives what it printed."""
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=self.environment,
            text=True,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def do(self, action: str, *arguments: str) -> Any:
        """Calls a function of tests/distributed/actions.py in the site's settings."""
        return json.loads(self.run("-m", "tests.distributed.actions", action, *arguments))

    def celery(self, *arguments: str) -> Process:
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "celery", "--app", "webemotion", *arguments],
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def worker(self, name: str) -> Process:
        """A worker with one process that recognises."""
        return self.celery("worker", *WORKER, "--concurrency", "1", "--hostname", f"{name}@test")

    def beat(self) -> Process:
        return self.celery("beat", "--pidfile=")

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        if self.database_url:
            with psycopg.connect(self.database_url) as postgres:
                return postgres.execute(sql.encode()).fetchall()
        sqlite = sqlite3.connect(self.data / "db.sqlite3", timeout=20)
        try:
            return sqlite.execute(sql).fetchall()
        finally:
            sqlite.close()

    def photos(self, status: str) -> dict[str, int]:
        """The photos in this state, each with its number of attempts."""
        rows = self.query(f"SELECT id, attempts FROM recognizer_photo WHERE status = '{status}'")
        return {str(photo): attempts for photo, attempts in rows}

    def wait_for_all(self, count: int, seconds: float = 120) -> None:
        wait_until(
            lambda: len(self.photos("done")) == count, f"{count} photos done", seconds=seconds
        )


def kill(process: Process) -> None:
    """Ends a worker and its children at once, as a crash of its machine would."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(STOP_WITHIN)
