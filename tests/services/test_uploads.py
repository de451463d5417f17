import hashlib
import io
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.db import connection
from PIL import Image
from pytest_django import Settings

from recognizer.models import Photo
from recognizer.services import quotas, uploads
from recognizer.services.owners import Owner
from recognizer.services.uploads import Accepted, Duplicate, Outcome, Refused, TooMany, clean_name
from tests.factories import GUEST, make_photo, noise
from tests.services.conftest import Disk

CaptureOnCommit = Any


def receive(owner: Owner, data: bytes, name: str = "face.jpg") -> Outcome:
    return uploads.receive(owner, "an address", ContentFile(data, name))


def test_it_stores_a_queued_photo(alice_owner: Owner, disk: Disk) -> None:
    data = noise(1)
    outcome = receive(alice_owner, data)
    assert isinstance(outcome, Accepted)
    photo = Photo.objects.get()
    assert photo == outcome.photo
    assert (photo.user_id, photo.guest) == (alice_owner.user_id, "")
    assert (photo.status, photo.attempts, photo.error) == (Photo.Status.QUEUED, 0, "")
    assert (photo.name, photo.format) == ("face.jpg", "JPEG")
    assert (photo.width, photo.height) == (64, 48)
    assert photo.sha256 == hashlib.sha256(data).hexdigest()
    with photo.original.open("rb") as original:
        assert original.read() == data
    assert disk.names == {photo.original.name, photo.display.name, photo.thumbnail.name}
    assert sorted(Path(name).suffix for name in disk.names) == ["", ".jpg", ".jpg"]
    assert photo.stored_bytes == disk.bytes


def test_it_asks_a_worker_only_when_the_row_is_committed(
    alice_owner: Owner,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: CaptureOnCommit,
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(
        "recognizer.services.queue.send", lambda photo_id, again=False: asked.append(photo_id)
    )
    with django_capture_on_commit_callbacks(execute=True):
        receive(alice_owner, noise(1))
        assert asked == []
    assert asked == [Photo.objects.get().pk]


def test_file_names_on_disk_say_nothing_of_the_photo(alice_owner: Owner, disk: Disk) -> None:
    receive(alice_owner, noise(1), "passport.jpg")
    photo = Photo.objects.get()
    for name in disk.names:
        assert "passport" not in name
        assert photo.pk.hex not in name.replace("-", "")
    stems = {name.rpartition("/")[2].partition(".")[0] for name in disk.names}
    assert len(stems) == 3
    assert {len(stem) for stem in stems} == {32}


def test_a_wide_photo_is_shown_smaller(alice_owner: Owner, jpeg: Callable[..., bytes]) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (3000, 1500), "teal").save(buffer, "JPEG")
    receive(alice_owner, buffer.getvalue())
    photo = Photo.objects.get()
    assert (photo.width, photo.height) == (3000, 1500)
    with Image.open(photo.display) as display, Image.open(photo.thumbnail) as thumbnail:
        assert display.size == (2048, 1024)
        assert thumbnail.size == (480, 240)


# --- The same bytes again ----------------------------------------------------------------------


def test_the_same_bytes_give_the_photo_back(alice_owner: Owner, disk: Disk) -> None:
    first = receive(alice_owner, noise(1))
    before = disk.names
    again = receive(alice_owner, noise(1), "another name.jpg")
    assert isinstance(first, Accepted)
    assert again == Duplicate(first.photo)
    assert Photo.objects.get().name == "face.jpg"
    assert disk.names == before


def test_the_same_bytes_of_others_are_other_photos(
    alice_owner: Owner, bob_owner: Owner, guest_owner: Owner
) -> None:
    owners = [alice_owner, bob_owner, guest_owner, Owner(guest="another guest")]
    assert all(isinstance(receive(owner, noise(1)), Accepted) for owner in owners)
    assert Photo.objects.count() == 4
    assert all(owner.photos().count() == 1 for owner in owners)


def test_the_same_bytes_queue_a_failed_photo_again(alice_owner: Owner) -> None:
    receive(alice_owner, noise(1))
    Photo.objects.update(status=Photo.Status.FAILED, attempts=3, error="It gave up.")
    outcome = receive(alice_owner, noise(1))
    assert isinstance(outcome, Duplicate)
    assert outcome.photo.status == Photo.Status.QUEUED
    photo = Photo.objects.get()
    assert (photo.status, photo.attempts, photo.error) == (Photo.Status.QUEUED, 0, "")


@pytest.mark.parametrize("status", ["queued", "processing", "done"])
def test_the_same_bytes_leave_other_states_alone(alice_owner: Owner, status: str) -> None:
    receive(alice_owner, noise(1))
    Photo.objects.update(status=status, attempts=1)
    receive(alice_owner, noise(1))
    photo = Photo.objects.get()
    assert (photo.status, photo.attempts) == (status, 1)


def test_the_same_bytes_after_deleting_are_a_new_photo(alice_owner: Owner) -> None:
    old = make_photo(alice_owner, sha256=hashlib.sha256(noise(1)).hexdigest())
    alice_owner.photos().filter(pk=old.pk).update(deleted_at=old.created)
    outcome = receive(alice_owner, noise(1))
    assert isinstance(outcome, Accepted)
    assert outcome.photo.pk != old.pk


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("owner", ["user", "guest"])
def test_the_same_bytes_twice_at_once_are_one_photo(
    owner: str, request: pytest.FixtureRequest, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = request.getfixturevalue("alice_owner") if owner == "user" else GUEST
    both_are_decoded = threading.Barrier(2, timeout=20)

    def wait(_new_bytes: int) -> bool:
        both_are_decoded.wait()
        return False

    monkeypatch.setattr(quotas, "disk_is_full", wait)
    outcomes: list[Any] = []

    def upload() -> None:
        try:
            outcomes.append(receive(mine, noise(1)))
        finally:
            connection.close()

    threads = [threading.Thread(target=upload) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    photo = Photo.objects.get()
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Accepted", "Duplicate"]
    assert {outcome.photo.pk for outcome in outcomes} == {photo.pk}
    assert disk.names == {photo.original.name, photo.display.name, photo.thumbnail.name}


# --- What is not stored ------------------------------------------------------------------------


def test_a_large_file_is_refused_unread(
    alice_owner: Owner, settings: Settings, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MAX_UPLOAD_BYTES = 2**20
    monkeypatch.setattr("recognizer.vision.images.decode", lambda _: pytest.fail("It was read."))
    outcome = receive(alice_owner, b"\xff" * (2**20 + 1), "big.jpg")
    assert outcome == Refused(
        "too_large", "“big.jpg” is larger than 1 MB. Send a smaller copy of it."
    )
    assert not Photo.objects.exists()
    assert not disk.names


def test_a_full_disk_refuses_and_stores_nothing(
    alice_owner: Owner, settings: Settings, disk: Disk
) -> None:
    make_photo(alice_owner, stored_bytes=10_000_000)
    before = disk.names
    settings.DISK_LIMIT_MB = 10
    outcome = receive(alice_owner, noise(1))
    assert isinstance(outcome, Refused)
    assert outcome.reason == "disk_full"
    assert "“face.jpg”" in outcome.detail
    assert Photo.objects.count() == 1
    assert disk.names == before


def test_a_known_photo_is_given_back_even_on_a_full_disk(
    alice_owner: Owner, settings: Settings
) -> None:
    receive(alice_owner, noise(1))
    settings.DISK_LIMIT_MB = 0
    assert isinstance(receive(alice_owner, noise(1)), Duplicate)


def test_nothing_stays_on_disk_when_storing_breaks_off(
    alice_owner: Owner, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: Any, **__: Any) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(Photo, "save", breaks)
    with pytest.raises(OSError, match="No space"):
        receive(alice_owner, noise(1))
    assert not disk.names


def test_too_many_wait_for_the_next_hour(alice_owner: Owner, settings: Settings) -> None:
    settings.UPLOADS_PER_HOUR = 1
    receive(alice_owner, noise(1))
    outcome = receive(alice_owner, noise(2), "second.jpg")
    assert isinstance(outcome, TooMany)
    assert "“second.jpg”" in outcome.detail
    assert 0 < outcome.retry_after <= 3601
    assert Photo.objects.count() == 1


def test_the_same_bytes_cost_nothing_of_the_hour(alice_owner: Owner, settings: Settings) -> None:
    settings.UPLOADS_PER_HOUR = 1
    receive(alice_owner, noise(1))
    for _ in range(2):
        assert isinstance(receive(alice_owner, noise(1)), Duplicate)


@pytest.mark.django_db(transaction=True)
def test_a_broker_that_is_down_costs_no_upload(
    alice_owner: Owner, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: Any, **__: Any) -> None:
        raise RuntimeError("OOM command not allowed when used memory > 'maxmemory'")

    monkeypatch.setattr("celery.current_app.send_task", down)
    outcome = receive(alice_owner, noise(1))
    assert isinstance(outcome, Accepted)
    assert Photo.objects.get().status == Photo.Status.QUEUED
    assert len(disk.names) == 3


# --- Names -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("holiday.jpg", "holiday.jpg"),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("C:\\Users\\me\\a b.png", "a b.png"),
        ("two\nlines\r\n.jpg", "two lines .jpg"),
        # As browsers and clients write a line break or a quote in a multipart header.
        ("two%0Alines%22.jpg", 'two lines".jpg'),
        ("null\0byte.jpg", "null byte.jpg"),
        ("😀 grin.jpg", "😀 grin.jpg"),
        ("👩\u200d🚀.jpg", "👩\u200d🚀.jpg"),
        ("❤\ufe0f.jpg", "❤\ufe0f.jpg"),
        ("exe\u202egpj.jpg", "exe gpj.jpg"),
        ("lone\udc80surrogate.jpg", "lone surrogate.jpg"),
        ("cafe\u0301.jpg", "café.jpg"),
        ("фото.jpg", "фото.jpg"),
        ("   ", "photo"),
        ("", "photo"),
        ("..", "photo"),
        (".", "photo"),
        ("folder/", "photo"),
        (" . hidden . ", "hidden"),
        ("no.suchlongending", "no.suchlongending"),
    ],
)
def test_names_are_one_harmless_line(given: str, shown: str) -> None:
    assert clean_name(given) == shown


def test_long_names_are_cut_and_keep_their_ending() -> None:
    name = clean_name("x" * 300 + ".jpeg")
    assert len(name) == 200
    assert name.endswith("x.jpeg")


def test_the_limit_of_a_name_is_what_the_row_holds(alice_owner: Owner) -> None:
    receive(alice_owner, noise(1), "😀" * 300)
    photo = Photo.objects.get()
    photo.full_clean()
    assert photo.name == "😀" * 200
