"""Starts the whole site: migrations, static files, then the Procfile's parts under honcho.

Run by `make run`. Prints one line that says where to look once the site really answers. Ctrl-C
stops every part and ends with exit code 0.
"""

import errno
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).resolve().parent.parent
PARENT = os.getppid()
READY_WITHIN = 60.0  # seconds; a worker on a slow disk needs ten

# `honcho start`, which by itself gives a worker five seconds: too few to finish a large photo.
HONCHO = """
import honcho.command, honcho.manager
honcho.manager.KILL_WAIT = 20
honcho.command.main()
"""


def main() -> int:
    host, port = os.environ.get("HOST", "127.0.0.1"), os.environ.get("PORT", "8000")
    if problem := why_not_listen(host, port):
        print(problem, file=sys.stderr)
        return 1
    try:
        prepare()
    except subprocess.CalledProcessError as error:
        print(f"`manage.py {error.cmd[2]}` failed; its message is above.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    return serve(host, int(port))


def why_not_listen(host: str, port: str) -> str:
    """A sentence that says why the site cannot listen there, or nothing if it can."""
    if not port.isdecimal() or not 0 < int(port) < 65536:
        return f"PORT={port} is not a port number (1 to 65535)."
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, int(port), type=socket.SOCK_STREAM
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except socket.gaierror:
        return f"HOST={host} is not an address of this machine."
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return (
                f"Port {port} on {host} is taken. Is the site already running? "
                f"Stop what uses the port, or choose another: make run PORT={int(port) + 1}"
            )
        return f"The site cannot listen on {host}, port {port}: {error.strerror}."
    return ""


def prepare() -> None:
    """Brings the database and the static files up to date.

    Raises:
        subprocess.CalledProcessError: One of the two commands failed, and has said why.
    """
    manage("migrate", "--no-input", "--verbosity", "0")
    manage("collectstatic", "--no-input", "--verbosity", "0")


def manage(command: str, *arguments: str) -> None:
    subprocess.run([sys.executable, "manage.py", command, *arguments], cwd=ROOT, check=True)


def serve(host: str, port: int) -> int:
    """Runs the Procfile until it ends or someone asks it to stop. Returns the exit code."""
    command = [sys.executable, "-c", HONCHO, "start", "--procfile", "Procfile"]
    # Only honcho would read a file .env, and manage.py would then use another database.
    command += ["--env", os.devnull, "--port", str(port)]
    honcho = subprocess.Popen(
        command,
        cwd=ROOT,
        # Out of the terminal's reach: Ctrl-C comes here alone and is passed on once.
        start_new_session=True,
        env={
            **os.environ,
            "HOST": host,
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        },
    )
    stop = Stop(honcho)
    announced, started = False, time.monotonic()
    while honcho.poll() is None:
        if not announced and not stop.asked:
            announced = announce(host, port, time.monotonic() - started)
        stop.follow_parent()
        time.sleep(0.2)
    if stop.asked:
        return 0
    print("A part of the site has stopped; its last lines are above.", file=sys.stderr)
    return 1


class Stop:
    """Passes a wish to stop on to honcho, which ends its processes.

    The wish may be Ctrl-C, a closed terminal or `kill`; and someone who kills `make` sends this
    process nothing at all. Each must leave no process behind.
    """

    def __init__(self, honcho: "subprocess.Popen[bytes]") -> None:
        self.honcho = honcho
        self.asked = False
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self.handle)

    def handle(self, number: int, frame: FrameType | None) -> None:
        self.ask()

    def ask(self) -> None:
        if not self.asked:
            self.asked = True
            self.honcho.terminate()

    def follow_parent(self) -> None:
        if os.getppid() != PARENT:
            self.ask()


def announce(host: str, port: int, waited: float) -> bool:
    """Prints where to look once the site is ready, or why it is not after READY_WITHIN seconds."""
    address = "127.0.0.1" if host in {"0.0.0.0", "::", ""} else host  # noqa: S104
    status, body = get(address, port, "/readyz")
    if status == http.client.OK:
        print(f"WebEmotion is ready: http://{address}:{port}", flush=True)
        return True
    if waited > READY_WITHIN:
        print(
            f"WebEmotion listens on http://{address}:{port} but is not ready: "
            f"/readyz said {status or 'nothing'} {body}",
            flush=True,
        )
        return True
    return False


def get(host: str, port: int, path: str) -> tuple[int, str]:
    """The status and the text of the answer, or 0 and nothing while no one answers."""
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read(2000).decode(errors="replace")
    except (OSError, http.client.HTTPException):
        return 0, ""
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
