"""Intervals of what a model is scored by."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from recognizer.training.datasets.faces import Faces
from recognizer.training.evaluation import scoring
from recognizer.vision.classification import OnnxClassifier
from tests.vision.tiny_model import write_tiny_model


def test_intervals_draw_the_faces_of_a_person_at_once(faces: Faces, tmp_path: Path) -> None:
    held_out = faces.split("PublicTest")
    model = OnnxClassifier(write_tiny_model(tmp_path / "tiny"))
    alone = scoring.intervals(scoring.answer(model, held_out))
    people = replace(held_out, groups=np.resize(["ann", "ben", "cem", "dan"], len(held_out)))
    grouped = scoring.intervals(scoring.answer(model, people))
    for head in ("ferplus", "fer2013"):
        narrow, wide = alone[head], grouped[head]
        assert narrow
        assert wide
        for name, one in narrow.items():
            other = wide[name]
            assert (one is None) == (other is None)
            if one and other:
                assert other[0] <= one[0] <= one[1] <= other[1]
    assert grouped != alone
