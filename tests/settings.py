"""The product's settings, made deaf to this machine's environment and kept out of its data."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from tests.variables import read_variables

# What a developer has set for a running site must not decide how tests end.
for name in read_variables():
    os.environ.pop(name, None)

DATA = Path(tempfile.mkdtemp(prefix="webemotion-tests-"))
atexit.register(shutil.rmtree, DATA, ignore_errors=True)
os.environ["WEBEMOTION_DATA"] = str(DATA)
(DATA / "static").mkdir()  # or whitenoise warns that it has nothing to serve
if url := os.environ.get("TEST_DATABASE_URL"):
    os.environ["DATABASE_URL"] = url

from webemotion.settings import *  # noqa: E402, F403
from webemotion.settings import DATABASES, STORAGES  # noqa: E402

if "sqlite3" in DATABASES["default"]["ENGINE"]:
    # A file, as in the product: SQLite in memory locks in other ways when threads share it.
    DATABASES["default"]["TEST"] = {"NAME": str(DATA / "test.sqlite3")}
# No manifest: tests run without collectstatic.
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
# Safe passwords are slow on purpose, and most tests make users.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# A broker inside this process: no worker takes what a test queues.
CELERY_BROKER_URL = "memory://"
CELERY_BROKER_TRANSPORT_OPTIONS = {}
