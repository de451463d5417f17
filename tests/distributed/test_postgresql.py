"""What the other rooms' tests show on SQLite holds on PostgreSQL too."""

import os
import subprocess
import sys

import pytest

from tests.variables import ROOT

# The rooms that read and write the database.
ROOMS = ("services", "api", "pages", "admin")


@pytest.mark.slow
def test_services_and_doors_work_on_postgresql(postgres_url: str) -> None:
    folders = [f"tests/{room}" for room in ROOMS if (ROOT / "tests" / room).is_dir()]
    assert folders, "pytest without a folder would run everything, this test included."
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *folders],
        cwd=ROOT,
        # What is about SQLite alone is left out here; it runs where the whole suite runs.
        env={**os.environ, "TEST_DATABASE_URL": postgres_url, "REQUIRE_ALL": "0"},
        timeout=900,
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-10_000:]
