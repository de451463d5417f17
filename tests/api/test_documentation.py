import json
import re
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.test import Client

pytestmark = pytest.mark.django_db


@pytest.fixture
def description(guest_client: Client) -> Any:
    answer = guest_client.get("/api/v1/openapi.json")
    assert answer.status_code == 200
    return answer.json()


def test_it_describes_every_address(description: Any) -> None:
    methods = {path: set(operations) for path, operations in description["paths"].items()}
    assert methods == {
        "/api/v1/photos": {"get", "post"},
        "/api/v1/photos/{photo_id}": {"get", "delete"},
        "/api/v1/photos/{photo_id}/annotated": {"get"},
    }


def test_it_says_what_each_answer_means(description: Any) -> None:
    answers = {
        (path, method): set(operation["responses"])
        for path, operations in description["paths"].items()
        for method, operation in operations.items()
    }
    upload = answers["/api/v1/photos", "post"]
    assert {"200", "201", "401", "403", "413", "422", "429", "507"} <= upload
    assert "404" in answers["/api/v1/photos/{photo_id}", "get"]
    assert "204" in answers["/api/v1/photos/{photo_id}", "delete"]
    annotated = answers["/api/v1/photos/{photo_id}/annotated", "get"]
    assert {"200", "409"} <= set(annotated)


def test_it_describes_a_photo_as_the_api_gives_it(description: Any) -> None:
    schemas = description["components"]["schemas"]
    photo = set(schemas["PhotoOut"]["properties"])
    face = set(schemas["FaceOut"]["properties"])
    assert {"id", "status", "name", "created", "width", "height", "error", "faces"} <= photo
    assert {"box", "landmarks", "probabilities", "uncertain", "reasons", "valence"} <= face
    assert schemas["FaceOut"]["properties"]["confidence"]["maximum"] == 1
    assert description["components"]["securitySchemes"]


def test_it_names_the_multipart_field(description: Any) -> None:
    body = description["paths"]["/api/v1/photos"]["post"]["requestBody"]["content"]
    assert "image" in json.dumps(body["multipart/form-data"])


def test_the_interactive_pages_assets_are_ours(guest_client: Client) -> None:
    answer = guest_client.get("/api/docs")
    assert answer.status_code == 200
    page = answer.content.decode()
    assert "/api/v1/openapi.json" in page
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(addresses) >= 3
    for address in addresses:
        assert address.startswith("/static/"), address
        assert finders.find(address.removeprefix("/static/")), address


def test_the_interactive_page_runs_no_inline_script(guest_client: Client) -> None:
    answer = guest_client.get("/api/docs")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "script-src" not in policy
    scripts = re.findall(r"<script([^>]*)>", answer.content.decode())
    assert all("src=" in script or "application/json" in script for script in scripts)


def test_try_it_out_sends_the_csrf_token_for_who_is_signed_in(alice_client: Client) -> None:
    page = alice_client.get("/api/docs").content.decode()
    assert 'data-api-csrf="true"' in page
    assert re.search(r'data-csrf-token="\w{32,}"', page)
