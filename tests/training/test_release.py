"""What the calibration at the end of a training says."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recognizer.training import release
from recognizer.training.datasets.faces import Faces
from recognizer.vision.classification import OnnxClassifier
from tests.training.test_framing import Whole
from tests.vision.tiny_model import write_tiny_model


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


def test_a_rule_that_answers_nothing_is_told_plainly(folder: Path, faces: Faces) -> None:
    held_out = faces.split("PublicTest")
    # Nobody can be right about these.
    votes = np.roll(held_out.votes, 4, axis=1)
    votes[:, 8:] = 0
    said = released(folder, replace(held_out, votes=votes))
    assert any("never commits itself on the even rows" in line for line in said)
