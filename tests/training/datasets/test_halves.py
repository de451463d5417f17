"""Which rows calibrate and which report."""

from dataclasses import replace

import numpy as np
import pytest

from recognizer.training.datasets.faces import Faces
from recognizer.training.datasets.halves import even_and_odd, torn
from recognizer.training.datasets.preparation import image_digests


@pytest.fixture
def held_out(faces: Faces) -> Faces:
    return faces.split("PublicTest")


def with_groups(faces: Faces, *names: str) -> Faces:
    """The faces, the names being theirs in turn."""
    return replace(faces, groups=np.array([names[row % len(names)] for row in range(len(faces))]))


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
