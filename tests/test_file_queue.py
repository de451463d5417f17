"""The queue of files between processes that write, read and crash at any moment."""

import fcntl
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Empty

import pytest
from kombu import Connection, Exchange, Producer, Queue
from kombu.exceptions import ChannelError
from kombu.transport.virtual import BrokerState

from webemotion.file_queue import Channel, Transport

QUEUE = Queue("photos", Exchange("photos"), routing_key="photos")

SEND = """
import sys
from tests.test_file_queue import connection, declared, send
with connection(sys.argv[1]) as opened:
    channel = declared(opened)
    for number in range(int(sys.argv[2])):
        send(channel, number)
"""


def connection(folder: str | Path) -> Connection:
    class OfThisFolder(Transport):
        # Else a queue that was declared in one folder would count as declared in all.
        global_state = BrokerState()

    options = {
        "data_folder_in": str(folder),
        "data_folder_out": str(folder),
        "control_folder": str(Path(folder) / "control"),
    }
    return Connection(transport=OfThisFolder, transport_options=options)


@pytest.fixture
def channel(tmp_path: Path) -> Iterator[Channel]:
    with connection(tmp_path) as opened:
        yield declared(opened)


def declared(opened: Connection) -> Channel:
    """A channel on which the queue is declared."""
    channel = opened.channel()
    assert isinstance(channel, Channel)
    QUEUE(channel).declare()
    return channel


def received(channel: Channel) -> int:
    """The number in the next message."""
    message = channel.basic_get("photos", no_ack=True)
    if message is None:
        raise Empty
    number: int = message.decode()["number"]
    return number


def send(channel: Channel, number: int) -> None:
    Producer(channel).publish({"number": number}, exchange="photos", routing_key="photos")


def test_a_reader_that_is_faster_than_the_writers_gets_every_message(
    channel: Channel, tmp_path: Path
) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", SEND, str(tmp_path), "500"]) for _ in range(2)
    ]
    numbers: list[int] = []
    while any(writer.poll() is None for writer in writers):
        numbers += _waiting(channel)
    numbers += _waiting(channel)
    assert [writer.returncode for writer in writers] == [0, 0]
    assert sorted(numbers) == sorted(2 * list(range(500)))


def _waiting(channel: Channel) -> list[int]:
    numbers = []
    try:
        while True:
            numbers.append(received(channel))
    except Empty:
        return numbers


def test_each_message_is_taken_by_one_of_two_readers(channel: Channel, tmp_path: Path) -> None:
    for number in range(300):
        send(channel, number)

    def read() -> list[int]:
        with connection(tmp_path) as opened:
            return _waiting(declared(opened))

    with ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(read) for _ in range(2)]
    first, second = (reader.result() for reader in readers)
    assert sorted(first + second) == list(range(300))
    assert first == sorted(first)
    assert [path.name for path in tmp_path.iterdir()] == ["control"]


def test_messages_come_in_the_order_they_were_sent(channel: Channel) -> None:
    for number in range(20):
        send(channel, number)
    assert [received(channel) for _ in range(20)] == list(range(20))


def test_what_a_killed_writer_left_is_no_message(
    channel: Channel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            send(channel, 1)
    assert any(tmp_path.glob("*.draft"))
    with pytest.raises(Empty):
        received(channel)


@pytest.mark.parametrize("content", [b"", b'{"body": "eyJ', b"\xff\xfe"])
def test_a_damaged_message_is_told_and_costs_no_other(
    channel: Channel, tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "00_damaged.photos.msg").write_bytes(content)
    send(channel, 1)
    assert received(channel) == 1
    assert "A damaged message in the queue photos was dropped" in caplog.text


def test_a_folder_that_cannot_be_written_to_is_an_error_and_leaves_nothing(
    channel: Channel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(ChannelError, match="No message could be"):
        send(channel, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["control"]


def test_a_table_of_queues_is_read_by_nobody_while_it_is_written(
    channel: Channel, tmp_path: Path
) -> None:
    table = tmp_path / "control" / "photos.exchange"
    rows = table.read_bytes()
    with ThreadPoolExecutor(1) as pool:
        with (tmp_path / "control" / ".lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            table.write_bytes(b"")
            reading = pool.submit(channel.get_table, "photos")
            with pytest.raises(TimeoutError):
                reading.result(timeout=0.2)
            table.write_bytes(rows)
        assert [row.queue for row in reading.result(timeout=10)] == ["photos"]


def test_a_table_that_a_killed_process_left_empty_is_written_anew(tmp_path: Path) -> None:
    (tmp_path / "control").mkdir()
    (tmp_path / "control" / "photos.exchange").write_bytes(b"")
    with connection(tmp_path) as opened:
        channel = declared(opened)
        send(channel, 1)
        assert received(channel) == 1
