"""The queue of files that serves where there is no Redis: kombu's, made safe between processes.

kombu (`kombu.transport.filesystem`) opens a message under its final name before it writes it, and
takes messages whatever locks they are under. A worker that looks in between takes an empty
message, ends with "Unrecoverable error", and the message is gone.
"""

import contextlib
import fcntl
import logging
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from queue import Empty
from typing import Any

from kombu.exceptions import ChannelError
from kombu.transport import filesystem
from kombu.utils.json import dumps, loads

logger = logging.getLogger(__name__)


class Channel(filesystem.Channel):
    """Messages appear whole, in the order they were sent; damaged ones are told and dropped.

    Photos whose message was dropped are queued again by the sweep.
    """

    # kombu's types name the argument in two ways.
    def _put(  # type: ignore[override]
        self, queue: str, payload: Any, **kwargs: Any
    ) -> None:
        # kombu names messages by the time since the machine started: younger ones would go first
        # after it was started again.
        name = f"{time.time_ns():020}_{uuid.uuid4()}.{queue}.msg"
        path = Path(self.data_folder_out, name)
        draft = path.with_name(f"{name}.draft")  # No queue's name ends so.
        try:
            draft.write_text(dumps(payload), encoding="utf-8")
            draft.rename(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                draft.unlink()
            raise ChannelError(f"No message could be written to {path.parent}.") from error

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        folder = Path(self.data_folder_in)
        names = (path.name for path in folder.iterdir())
        for name in sorted(name for name in names if name.partition(".")[2] == f"{queue}.msg"):
            path = folder / name
            # kombu's goes through the folder for temporary files: where that is another disk, two
            # workers can take one message, and each spoil the other's copy.
            taken = path.with_suffix(".taken")
            try:
                path.rename(taken)
            except FileNotFoundError:  # Another worker was first.
                continue
            try:
                return loads(taken.read_text(encoding="utf-8"))
            except ValueError as error:
                logger.warning("A damaged message in the queue %s was dropped: %s", queue, error)
            finally:
                taken.unlink(missing_ok=True)
        raise Empty

    # Tables of queues are kept in files, too, that are there, and empty, before they are written.

    def get_table(self, exchange: str) -> Any:
        with self._table(exchange):
            return super().get_table(exchange)

    def _queue_bind(self, exchange: str, *args: Any) -> None:
        with self._table(exchange):
            super()._queue_bind(exchange, *args)

    def _delete(self, queue: str, exchange: str, *args: Any, **kwargs: Any) -> None:
        with self._table(exchange):
            super()._delete(queue, exchange, *args, **kwargs)

    @contextlib.contextmanager
    def _table(self, exchange: str) -> Iterator[None]:
        """The exchange's table for this process alone; one that was never written is no table."""
        self.control_folder.mkdir(parents=True, exist_ok=True)
        with (self.control_folder / ".lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                table = self._exchange_file(exchange)  # type: ignore[attr-defined]
                if table.exists() and table.stat().st_size == 0:
                    table.unlink()
                yield
            finally:
                fcntl.flock(lock, fcntl.LOCK_UN)


class Transport(filesystem.Transport):
    """Named in `CELERY_BROKER_TRANSPORT`."""

    Channel = Channel
