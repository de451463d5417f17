"""What the calibration at the end of a training says."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recognizer.training.datasets.faces import Faces
from recognizer.training.datasets.halves import require_halves
from recognizer.training.evaluation import metrics
from recognizer.training.release import framing, version
from recognizer.vision.classification import OnnxClassifier
from recognizer.vision.emotions import EMOTIONS
from recognizer.vision.preprocessing import normalize
from tests.training.release.test_framing import Whole
from tests.vision.tiny_model import linear_network, tiny_card, write_tiny_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_tiny_model(tmp_path / "tiny")


def released(folder: Path, held_out: Faces) -> list[str]:
    said: list[str] = []
    version.release(OnnxClassifier(folder).card, held_out, folder, said.append, Whole())
    return said


def test_it_tells_what_it_found_in_sentences(folder: Path, faces: Faces) -> None:
    said = released(folder, faces.split("PublicTest"))
    assert any(line.startswith("The crop, fitted to 32 faces") for line in said)
    assert any(line.startswith("Uncertain where ") for line in said)
    assert all(line.endswith(".") and "=" not in line and "(" not in line for line in said)


def test_the_crop_is_fitted_to_every_class_of_folders_in_order(
    folder: Path, faces: Faces, monkeypatch: pytest.MonkeyPatch
) -> None:
    held_out = faces.split("PublicTest")
    order = np.argsort(held_out.majority, kind="stable")
    by_class = replace(
        held_out,
        images=held_out.images[order],
        votes=held_out.votes[order],
        labels=held_out.labels[order],
    )
    shown: list[int] = []
    monkeypatch.setattr(version, "SCENES", 16)
    scenes = framing.scenes

    def watched(images: np.ndarray, labels: np.ndarray, detector: Whole) -> list[framing.Scene]:
        shown.extend(labels.tolist())
        return scenes(images, labels, detector)

    monkeypatch.setattr(framing, "scenes", watched)
    released(folder, by_class)
    assert len(shown) == 16
    assert set(shown) == set(held_out.majority.tolist())


def test_the_card_says_what_the_lift_costs(folder: Path, faces: Faces) -> None:
    seen = dict.fromkeys(EMOTIONS, 1000.0) | {"disgust": 10.0, "fear": 10.0}
    card = replace(OnnxClassifier(folder).card, data={"votes_per_emotion": seen})
    version.release(card, faces.split("PublicTest"), folder, lambda _: None, Whole())
    card = OnnxClassifier(folder).card
    assert any(card.uncertainty.lift)
    lifted = card.metrics["PublicTest odd rows"]["ferplus"]
    plain = lifted["without_lift"]
    # The same network without it, its temperature the same.
    head = card.heads["ferplus"]
    replace(card, heads={**card.heads, "ferplus": replace(head, bias=())}).save(
        folder / "card.json"
    )
    _, odd = require_halves(faces.split("PublicTest"))
    answers = OnnxClassifier(folder).answers(normalize(odd.images)).probabilities
    found = metrics.summary(answers, odd.majority, EMOTIONS)
    assert plain == {name: pytest.approx(found[name], abs=1e-4) for name in plain}
    assert plain["nll"] != lifted["nll"]


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
