import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from recognizer.training.datasets.faces import Faces
from recognizer.training.release.averaging import average, count_views, draft, no_face_threshold
from recognizer.vision.cards import Head, ModelCard
from recognizer.vision.classification import OnnxClassifier
from recognizer.vision.emotions import EMOTIONS
from recognizer.vision.preprocessing import normalize
from tests.vision.tiny_model import write_tiny_model

HEADS = ("ferplus", "fer2013")


def averaged(folder: Path, members: list[Path], *, mirror: bool, shift: int = 0) -> OnnxClassifier:
    write_tiny_model(folder)
    weights = [member / "model.onnx" for member in members]
    average(weights, folder / "model.onnx", mirror=mirror, shift=shift)
    card = json.loads((folder / "card.json").read_text())
    card["weights"]["sha256"] = hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest()
    (folder / "card.json").write_text(json.dumps(card))
    return OnnxClassifier(folder)


def moved(faces: NDArray[np.float32], right: int, down: int) -> NDArray[np.float32]:
    """The faces moved, what comes in from outside repeating the edge."""
    roomy = np.pad(faces, [(0, 0), (8, 8), (8, 8), (0, 0)], "edge")
    return np.ascontiguousarray(np.roll(roomy, (down, right), (1, 2))[:, 8:-8, 8:-8])


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("shift", [0, 3])
@pytest.mark.parametrize("rows", [1, 3])
def test_the_average_answers_as_its_members_do_on_average(
    mirror: bool, shift: int, rows: int, faces: Faces, tmp_path: Path
) -> None:
    members = [
        write_tiny_model(tmp_path / "one", seed=1),
        write_tiny_model(tmp_path / "two", seed=2),
    ]
    seen = normalize(faces.images[:rows])
    if shift:
        corners = [(-shift, -shift), (shift, shift), (shift, -shift), (-shift, shift)]
        views = [moved(seen, right, down) for right, down in corners]
        if mirror:
            views[2:] = [view[:, :, ::-1] for view in views[2:]]
    else:
        views = [seen, seen[:, :, ::-1]] if mirror else [seen]
    assert len(views) == count_views(mirror, shift)
    both = averaged(tmp_path / "both", members, mirror=mirror, shift=shift).logits(seen, HEADS)
    for head in HEADS:
        answers = [
            OnnxClassifier(one).logits(np.ascontiguousarray(view), [head])[head]
            for one in members
            for view in views
        ]
        np.testing.assert_allclose(both[head], np.mean(answers, axis=0), atol=0.02)
    assert np.abs(answers[0] - answers[1]).max() > 0.1


def test_a_face_and_its_mirror_image_get_the_same_answer(faces: Faces, tmp_path: Path) -> None:
    member = write_tiny_model(tmp_path / "one", seed=1)
    average = averaged(tmp_path / "average", [member], mirror=True, shift=2)
    seen = normalize(faces.images[:3])
    turned = np.ascontiguousarray(seen[:, :, ::-1])
    one, other = (average.logits(side, HEADS)["ferplus"] for side in (seen, turned))
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_the_card_says_what_every_member_learned_from(tmp_path: Path) -> None:
    """Two of one name from other data, and one of another name from the first's."""
    votes = dict.fromkeys(EMOTIONS, 10.0)
    one = {"source": "a.csv", "votes": "v.csv", "votes_per_emotion": votes}
    other = {**one, "source": "b.csv", "votes_per_emotion": {**votes, "fear": 3.0}}
    folders = [
        write_tiny_model(tmp_path / "1", name="net", data=one, training={"epochs_done": 1}, seed=1),
        write_tiny_model(tmp_path / "2", name="net", data=other, training={"epochs_done": 2}),
        write_tiny_model(tmp_path / "3", name="own", data=one, training={"epochs_done": 3}),
    ]
    card = draft([OnnxClassifier(folder) for folder in folders], tmp_path / "made", "made")
    assert [part["epochs_done"] for part in card.training.values()] == [1, 2, 3]
    assert list(card.training)[2] == "own"
    assert card.data["votes"] == "v.csv"
    assert [part["source"] for part in card.data["members"].values()] == ["a.csv", "b.csv", "a.csv"]
    assert card.data["votes_per_emotion"] == {**dict.fromkeys(EMOTIONS, 30.0), "fear": 23.0}
    alike = draft([OnnxClassifier(folders[0]), OnnxClassifier(folders[2])], tmp_path / "all", "all")
    assert alike.data == one
    assert list(alike.training) == ["net", "own"]


@pytest.mark.parametrize("shift", [-1, 9])
def test_a_face_is_not_moved_out_of_sight(shift: int, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"shift must lie in 0-8 pixels, not {shift}"):
        average([write_tiny_model(tmp_path) / "model.onnx"], tmp_path / "a.onnx", shift=shift)


def test_no_face_is_where_the_members_say_so_on_average(tmp_path: Path) -> None:
    card = OnnxClassifier(write_tiny_model(tmp_path)).card
    heads = {**card.heads, "not_a_face": Head(("no face",), 2.0)}

    def member(threshold: float) -> ModelCard:
        rule = replace(card.uncertainty, not_a_face=threshold)
        return replace(card, uncertainty=rule, heads=heads)

    # Logits of 2.197 and 3.892, where the head's own are twice that: its temperature is 2.
    expected = 1 / (1 + np.exp(-(2.197 + 3.892)))
    assert no_face_threshold([member(0.9), member(0.98), card]) == pytest.approx(expected, abs=1e-4)
    assert no_face_threshold([card]) == 1.0
    # One that never says so counts as far away, not as infinitely far.
    assert no_face_threshold([member(0.001), member(1.0)]) == pytest.approx(0.9990, abs=1e-4)


def test_models_that_take_other_sizes_are_not_averaged(tmp_path: Path) -> None:
    members = [write_tiny_model(tmp_path / "a"), write_tiny_model(tmp_path / "b", size=32)]
    with pytest.raises(ValueError, match="another input size"):
        averaged(tmp_path / "c", members, mirror=True)


def test_nothing_cannot_be_averaged(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no model"):
        average([], tmp_path / "model.onnx")
