"""The three locked requirements agree and install nothing but what they pin."""

import re
from itertools import pairwise

import pytest

from tests.variables import ROOT

LOCKS = ("requirements-serve.txt", "requirements.txt", "requirements-dev.txt")
PIN = re.compile(r"^([a-z0-9][a-z0-9.-]*)(?:\[.*?\])?==(\S+)", re.MULTILINE)


def text(lock: str) -> str:
    return (ROOT / lock).read_text(encoding="utf-8")


def pins(lock: str) -> dict[str, str]:
    return dict(PIN.findall(text(lock)))


@pytest.mark.parametrize(("smaller", "larger"), list(pairwise(LOCKS)))
def test_each_lock_holds_the_smaller_one_in_the_same_versions(smaller: str, larger: str) -> None:
    assert pins(smaller).items() <= pins(larger).items()


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_place_to_download_from(lock: str) -> None:
    assert "://" not in text(lock)
    assert "--index" not in text(lock)
    assert "--find-links" not in text(lock)


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_a_hash(lock: str) -> None:
    entries = re.split(r"\n(?=[a-z0-9])", text(lock))
    without = [entry for entry in entries if PIN.match(entry) and "--hash=sha256:" not in entry]
    assert without == []


def test_serving_installs_no_tensorflow() -> None:
    assert not {"tensorflow", "keras", "tf2onnx"} & pins("requirements-serve.txt").keys()
    assert {"tensorflow", "mtcnn"} <= pins("requirements.txt").keys()
