"""Files go through Django's storage API only, so that an object store can hold them."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from recognizer.models import Photo
from recognizer.services import deletion

moto_server = pytest.importorskip("moto.server", reason="moto plays the object store")

BUCKET = "faces"


@pytest.fixture
def bucket(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An empty bucket in a local object store that speaks S3."""
    import boto3

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        store = boto3.resource("s3", endpoint_url=endpoint).create_bucket(Bucket=BUCKET)
        options = {"bucket_name": BUCKET, "endpoint_url": endpoint, "file_overwrite": False}
        settings.STORAGES = {
            **settings.STORAGES,
            "default": {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": options},
        }
        yield store
    finally:
        server.stop()


def test_a_photo_lives_and_dies_in_an_object_store(
    bucket: Any,
    alice_client: Client,
    recognize_queued: Callable[[], int],
    astronaut: Any,
    jpeg: Callable[..., bytes],
    django_capture_on_commit_callbacks: Any,
) -> None:
    from django.core.files.uploadedfile import SimpleUploadedFile

    file = SimpleUploadedFile("a.jpg", jpeg(astronaut))
    created = alice_client.post("/api/v1/photos", {"image": file})
    assert created.status_code == 201, created.content
    recognize_queued()
    photo = Photo.objects.get()
    assert photo.status == Photo.Status.DONE
    # original, display, thumbnail, annotated and one crop
    assert len(list(bucket.objects.all())) == 5
    annotated = alice_client.get(f"/api/v1/photos/{photo.pk}/annotated")
    assert b"".join(annotated).startswith(b"\xff\xd8")
    with django_capture_on_commit_callbacks(execute=True):
        deletion.purge(Photo.objects.all())
    assert list(bucket.objects.all()) == []
