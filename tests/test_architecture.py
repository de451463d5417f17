"""What import-linter cannot see: that serving runs without TensorFlow, and on what it installs."""

import ast
import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OURS = {"recognizer", "webemotion"}

# What the web server and the workers load, tasks and all.
SERVING = """
import sys
import django
django.setup()
import webemotion.wsgi, webemotion.urls, webemotion.celery
webemotion.celery.app.loader.import_default_modules()
from django.urls import get_resolver
get_resolver().url_patterns
from recognizer.vision import Recognizer
print(*sorted({"tensorflow", "keras", "tf2onnx", "mtcnn"} & sys.modules.keys()))
"""


def test_web_and_workers_never_import_tensorflow() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SERVING], cwd=ROOT, text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


def test_serving_imports_only_what_its_requirements_name() -> None:
    serving = [
        file
        for package in OURS
        for file in (ROOT / package).rglob("*.py")
        if "training" not in file.parts and file.name != "train.py"
    ]
    assert distributions_of(serving) <= named_in("requirements-serve.in")


def test_training_imports_only_what_the_requirements_name() -> None:
    training = list((ROOT / "recognizer" / "training").rglob("*.py"))
    named = named_in("requirements-serve.in") | named_in("requirements.in")
    # TensorFlow brings Keras in the version that fits.
    assert distributions_of(training) - {"keras"} <= named


def distributions_of(files: list[Path]) -> set[str]:
    """The names, as on the package index, of all packages that the files import."""
    known = packages_distributions()
    modules = set().union(*(imported(file) for file in files)) - sys.stdlib_module_names - OURS
    return {normal(known[module][0]) if module in known else module for module in modules}


def imported(file: Path) -> set[str]:
    """The top-level names of all absolute imports of a file."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
    return {name.partition(".")[0] for name in names}


def named_in(requirements: str) -> set[str]:
    lines = (ROOT / requirements).read_text(encoding="utf-8").splitlines()
    return {normal(found.group()) for line in lines if (found := re.match(r"[a-z][\w.-]*", line))}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
