import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from recognizer.training.averaging import average
from recognizer.training.datasets.faces import Faces
from recognizer.vision.classification import OnnxClassifier
from recognizer.vision.preprocessing import normalize
from tests.vision.tiny_model import write_tiny_model

HEADS = ("ferplus", "fer2013")


def averaged(folder: Path, members: list[Path], *, mirror: bool) -> OnnxClassifier:
    write_tiny_model(folder)
    average([member / "model.onnx" for member in members], folder / "model.onnx", mirror=mirror)
    card = json.loads((folder / "card.json").read_text())
    weights = (folder / "model.onnx").read_bytes()
    card["weights"]["sha256"] = hashlib.sha256(weights).hexdigest()
    (folder / "card.json").write_text(json.dumps(card))
    return OnnxClassifier(folder)


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("rows", [1, 3])
def test_the_average_answers_as_its_members_do_on_average(
    mirror: bool, rows: int, faces: Faces, tmp_path: Path
) -> None:
    members = [
        write_tiny_model(tmp_path / "one", seed=1),
        write_tiny_model(tmp_path / "two", seed=2),
    ]
    seen = normalize(faces.images[:rows])
    sides = [seen, seen[:, :, ::-1]] if mirror else [seen]
    both = averaged(tmp_path / "both", members, mirror=mirror).logits(seen, HEADS)
    for head in HEADS:
        answers = [
            OnnxClassifier(one).logits(side, [head])[head] for one in members for side in sides
        ]
        np.testing.assert_allclose(both[head], np.mean(answers, axis=0), atol=0.02)
    assert np.abs(answers[0] - answers[1]).max() > 0.1


def test_models_that_take_other_sizes_are_not_averaged(tmp_path: Path) -> None:
    members = [write_tiny_model(tmp_path / "a"), write_tiny_model(tmp_path / "b", size=32)]
    with pytest.raises(ValueError, match="another input size"):
        averaged(tmp_path / "c", members, mirror=True)


def test_nothing_cannot_be_averaged(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no model"):
        average([], tmp_path / "model.onnx")
