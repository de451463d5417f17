"""Which rows calibrate and which report."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recognizer.training import evaluation
from recognizer.training.datasets.faces import Faces
from recognizer.training.evaluation import even_and_odd, torn
from recognizer.training.preparation import image_digests
from recognizer.vision.classification import OnnxClassifier
from tests.vision.tiny_model import write_tiny_model


@pytest.fixture
def held_out(faces: Faces) -> Faces:
    return faces.split("PublicTest")


def with_groups(faces: Faces, *names: str) -> Faces:
    """The faces, the names being theirs in turn."""
    return replace(faces, groups=np.array([names[row % len(names)] for row in range(len(faces))]))


def test_intervals_draw_the_faces_of_a_person_at_once(held_out: Faces, tmp_path: Path) -> None:
    model = OnnxClassifier(write_tiny_model(tmp_path / "tiny"))
    alone = evaluation.intervals(evaluation.answer(model, held_out))
    people = with_groups(held_out, "ann", "ben", "cem", "dan")
    grouped = evaluation.intervals(evaluation.answer(model, people))
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


def test_rows_on_their_own_take_turns(held_out: Faces) -> None:
    even, odd = even_and_odd(held_out)
    np.testing.assert_array_equal(even.images, held_out.images[::2])
    np.testing.assert_array_equal(odd.images, held_out.images[1::2])


def test_a_picture_that_calibrates_does_not_report(held_out: Faces) -> None:
    images = held_out.images.copy()
    images[[1, 3]] = images[[0, 2]]
    even, odd = even_and_odd(replace(held_out, images=images))
    assert (len(even), len(odd)) == (32, 30)
    assert not np.isin(image_digests(odd.images), image_digests(even.images)).any()


def test_nobody_both_calibrates_and_reports(held_out: Faces) -> None:
    even, odd = even_and_odd(with_groups(held_out, "ann", "ann", "bea", "cleo"))
    assert (set(even.groups), set(odd.groups)) == ({"ann"}, {"bea", "cleo"})
    assert len(even) == len(odd) == 32


def test_people_join_the_rows_on_their_own_where_there_are_fewer(held_out: Faces) -> None:
    even, odd = even_and_odd(with_groups(held_out, "", "ann", "", "bea"))
    # All of the rows on their own are even.
    assert set(even.groups) == {""}
    assert set(odd.groups) == {"ann", "bea"}


def test_the_largest_group_is_given_a_side_first(held_out: Faces) -> None:
    names = np.array([f"friend {row // 4}" for row in range(28)] + ["ann"] * 36)
    even, odd = even_and_odd(replace(held_out, groups=names))
    assert set(even.groups) == {"ann"}
    assert len(odd) == 28
    # A few rows of others are not enough to calibrate or to report on.
    names[8:] = "ann"
    assert torn(replace(held_out, groups=names))
    even, odd = even_and_odd(replace(held_out, groups=names))
    assert len(even) == len(odd) == 32


def test_one_person_is_split_all_the_same(held_out: Faces) -> None:
    alone = with_groups(held_out, "ann")
    assert torn(alone)
    assert not torn(held_out)
    assert not torn(with_groups(held_out, "ann", ""))
    even, odd = even_and_odd(alone)
    assert len(even) == len(odd) == 32
