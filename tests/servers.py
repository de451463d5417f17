"""Real servers for tests: Redis, PostgreSQL and the browser, found on this machine."""

import os
import pwd
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import redis

START_WITHIN = 30.0  # seconds


def find_redis() -> str | None:
    return shutil.which("redis-server") or shutil.which("valkey-server")


def find_postgres() -> Path | None:
    """The folder of initdb and postgres: on the PATH, or the newest one where Debian keeps it."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    folders = [file.parent for file in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return max(folders, key=_version, default=None)


def _version(folder: Path) -> int:
    number = re.match(r"\d+", folder.parent.name)
    return int(number.group()) if number else 0


def find_chromium() -> str | None:
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next((found for name in names if (found := shutil.which(name))), None)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def redis_server(program: str) -> Iterator[str]:
    """Runs Redis on a free port and keeps nothing on disk. Gives its URL."""
    port = free_port()
    server = subprocess.Popen(
        [program, "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no"],
        stdout=subprocess.DEVNULL,
        cwd=tempfile.gettempdir(),
    )
    try:
        client = redis.Redis(port=port)
        wait_until(lambda: _succeeds(client.ping, redis.RedisError), "Redis answers", server)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.terminate()
        server.wait(START_WITHIN)


@contextmanager
def postgres_server(binaries: Path) -> Iterator[str]:
    """Runs PostgreSQL on a socket in a folder of its own. Gives the URL of its database."""
    # Short, because the path of a Unix socket has a limit of about a hundred characters.
    folder = Path(tempfile.mkdtemp(prefix="we-pg-", dir="/tmp"))
    account = _unprivileged(folder)
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": str(folder)}

    def command(name: str, *arguments: str) -> list[str]:
        return [str(binaries / name), "-D", str(folder / "data"), *arguments]

    try:
        subprocess.run(
            command("initdb", "-U", "webemotion", "-A", "trust", "-E", "UTF8", "--no-sync"),
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=folder,
            env=environment,
            **account,
        )
        log = (folder / "log").open("wb")
        server = subprocess.Popen(
            command("postgres", "-k", str(folder), "-c", "listen_addresses=", "-c", "fsync=off"),
            stdout=log,
            stderr=log,
            cwd=folder,
            env=environment,
            **account,
        )
        try:
            admin = f"postgresql://webemotion@/postgres?host={folder}"
            wait_until(lambda: _connects(admin), "PostgreSQL answers", server)
            with psycopg.connect(admin, autocommit=True) as connection:
                connection.execute("CREATE DATABASE webemotion")
            yield f"postgresql://webemotion@{str(folder).replace('/', '%2F')}/webemotion"
        finally:
            server.send_signal(2)  # SIGINT: a fast shutdown, which does not wait for clients
            server.wait(START_WITHIN)
            log.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unprivileged(folder: Path) -> dict[str, Any]:
    """Arguments for subprocess: PostgreSQL refuses to run as root, so root gives way to another."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            account = pwd.getpwnam(name)
            os.chown(folder, account.pw_uid, account.pw_gid)
            return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    raise RuntimeError("Tests run as root, and there is no other account to run PostgreSQL as.")


def _succeeds(call: Callable[[], object], error: type[Exception]) -> bool:
    try:
        call()
    except error:
        return False
    return True


def _connects(url: str) -> bool:
    return _succeeds(lambda: psycopg.connect(url).close(), psycopg.OperationalError)


def wait_until(
    condition: Callable[[], bool],
    what: str,
    process: "subprocess.Popen[bytes] | None" = None,
    seconds: float = START_WITHIN,
) -> None:
    """Waits until `condition` holds.

    Raises:
        AssertionError: It never did within `seconds`, or `process` has ended.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if process is not None and process.poll() is not None:
            raise AssertionError(f"The process ended with {process.returncode} before: {what}")
        if time.monotonic() > deadline:
            raise AssertionError(f"Not within {seconds:.0f} seconds: {what}")
        time.sleep(0.05)
