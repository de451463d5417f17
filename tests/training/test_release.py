"""What the calibration at the end of a training says."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recognizer.training import release
from recognizer.training.datasets.faces import Faces
from recognizer.vision.classification import OnnxClassifier
from tests.training.test_framing import Whole
from tests.vision.tiny_model import linear_network, tiny_card, write_tiny_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_tiny_model(tmp_path / "tiny")


def released(folder: Path, held_out: Faces) -> list[str]:
    said: list[str] = []
    release.release(OnnxClassifier(folder).card, held_out, folder, said.append, Whole())
    return said


def test_it_tells_what_it_found_in_sentences(folder: Path, faces: Faces) -> None:
    said = released(folder, faces.split("PublicTest"))
    assert any(line.startswith("The crop, fitted to 32 faces") for line in said)
    assert any(line.startswith("Uncertain where ") for line in said)
    assert all(line.endswith(".") and "=" not in line and "(" not in line for line in said)


def test_a_head_keeps_the_order_of_its_classes(tmp_path: Path, faces: Faces) -> None:
    heads = tiny_card()["heads"]
    weights = np.random.default_rng(3).normal(0, 0.03, (48 * 48, 15)).astype(np.float32)
    plain = {"ferplus": weights[:, :8], "fer2013": weights[:, 8:]}
    write_tiny_model(tmp_path / "plain", network=linear_network(plain))
    other = plain | {"fer2013": weights[:, :7:-1]}
    heads["fer2013"]["labels"].reverse()
    write_tiny_model(tmp_path / "other", network=linear_network(other), heads=heads)
    for name in ("plain", "other"):
        released(tmp_path / name, faces.split("PublicTest"))
    expected, found = (OnnxClassifier(tmp_path / name).card for name in ("plain", "other"))
    assert found.heads["fer2013"].labels == expected.heads["fer2013"].labels[::-1]
    assert found.heads["fer2013"].temperature == expected.heads["fer2013"].temperature
    assert found.metrics["PublicTest"] == expected.metrics["PublicTest"]


def test_a_rule_that_answers_nothing_is_told_plainly(folder: Path, faces: Faces) -> None:
    held_out = faces.split("PublicTest")
    # Nobody can be right about these.
    votes = np.roll(held_out.votes, 4, axis=1)
    votes[:, 8:] = 0
    said = released(folder, replace(held_out, votes=votes))
    assert any("never commits itself on the even rows" in line for line in said)
