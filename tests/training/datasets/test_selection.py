from dataclasses import replace

import numpy as np
import pytest

from recognizer.training.datasets.faces import DatasetError, Faces
from recognizer.training.datasets.preparation import image_digests
from recognizer.training.datasets.selection import select, split_off


def test_a_part_is_split_off_without_losing_or_repeating_rows(faces: Faces) -> None:
    rest, held = split_off(faces, 0.25, seed=1)
    assert len(held) == 40
    assert len(rest) + len(held) == len(faces)
    assert not np.isin(image_digests(held.images), image_digests(rest.images)).any()


def test_the_same_seed_splits_the_same_part_off(faces: Faces) -> None:
    first, again, other = (split_off(faces, 0.2, seed)[1].images for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_rows_of_one_image_go_the_same_way(faces: Faces) -> None:
    images = np.repeat(faces.images[:80], 2, axis=0)
    twice = replace(faces, images=images)
    rest, held = split_off(twice, 0.3, seed=1)
    assert len(held) % 2 == len(rest) % 2 == 0


def test_nobody_is_both_learned_from_and_chosen_by(faces: Faces) -> None:
    owners = np.array([f"owner {row % 10}" for row in range(len(faces))])
    rest, held = split_off(replace(faces, groups=owners), 0.25, seed=1)
    assert 0.1 < len(held) / len(faces) <= 0.25
    assert not np.isin(rest.groups, held.groups).any()


def test_one_person_cannot_be_split(faces: Faces) -> None:
    with pytest.raises(DatasetError, match="not all of one group"):
        split_off(replace(faces, groups=np.full(len(faces), "ann")), 0.25, seed=1)


def test_nothing_of_public_test_is_learned_from_or_chosen_by(faces: Faces) -> None:
    images = faces.images.copy()
    training, public = faces.splits == "Training", faces.splits == "PublicTest"
    images[np.flatnonzero(training)[:5]] = images[np.flatnonzero(public)[:5]]
    mixed = replace(faces, images=images)
    prepared, held, words = select(mixed, "part", 0.25, seed=1)
    assert not np.isin(image_digests(prepared.images), image_digests(images[public])).any()
    assert set(held.splits.tolist()) == {"Training"}
    assert words == f"0.25 of Training, split off with seed 1: {len(held)} faces"


def test_what_is_chosen_by_is_there_once_and_in_no_other_split(faces: Faces) -> None:
    images = faces.images.copy()
    training, public = (np.flatnonzero(faces.splits == one) for one in ("Training", "PublicTest"))
    images[training[:30]] = images[public[:30]]
    images[training[30:60]] = images[training[60:90]]
    _, held, words = select(replace(faces, images=images), "part", 0.5, seed=1)
    digests = image_digests(held.images)
    assert len(np.unique(digests)) == len(digests) > 0
    assert not np.isin(digests, image_digests(images[public])).any()
    assert words.endswith(f": {len(held)} faces")


def test_one_may_choose_by_public_test(faces: Faces) -> None:
    prepared, held, words = select(faces, "PublicTest", 0.25, seed=1)
    assert (len(prepared), len(held), words) == (96, 64, "PublicTest: 64 faces")


def test_choosing_needs_no_public_test_rows(faces: Faces) -> None:
    prepared, held, _ = select(faces.split("Training"), "part", 0.25, seed=1)
    assert (len(prepared), len(held)) == (72, 24)


@pytest.mark.parametrize("share", [0.0, 1.0, -1.0, 2.0])
def test_an_impossible_share_is_refused(faces: Faces, share: float) -> None:
    with pytest.raises(DatasetError, match="must lie above 0 and below 1"):
        select(faces, "part", share, seed=1)


def test_nothing_left_to_learn_from_is_said(faces: Faces) -> None:
    with pytest.raises(DatasetError, match="no face left to learn from"):
        select(faces, "part", 0.999, seed=1)


def test_nothing_to_choose_by_is_said(faces: Faces) -> None:
    undecided = replace(faces, votes=np.ones_like(faces.votes))
    with pytest.raises(DatasetError, match="no face to choose by"):
        select(undecided, "part", 0.25, seed=1)
