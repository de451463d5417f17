import numpy as np
import pytest

from recognizer.training.corruptions import CORRUPTIONS, Corruption, corrupted
from recognizer.training.datasets.faces import Faces


@pytest.fixture(scope="module")
def some(faces: Faces) -> Faces:
    return faces.split("PublicTest")


def test_the_first_leaves_the_pictures_as_they_are(some: Faces) -> None:
    assert np.array_equal(corrupted(some, CORRUPTIONS[0]).images, some.images)


@pytest.mark.parametrize("how", CORRUPTIONS[1:], ids=lambda how: how.name)
def test_every_other_spoils_every_picture_and_nothing_else(some: Faces, how: Corruption) -> None:
    before = some.images.copy()
    spoilt = corrupted(some, how)
    assert spoilt.images.shape == before.shape
    assert spoilt.images.dtype == np.uint8
    assert (spoilt.images != before).any(axis=(1, 2)).all()
    assert np.array_equal(some.images, before)
    assert np.array_equal(spoilt.votes, some.votes)
    # A picture is still closer to its own spoilt copy than to a picture of nothing.
    changed = np.abs(spoilt.images.astype(int) - before).mean()
    assert changed < np.abs(before.astype(int) - 128).mean()


@pytest.mark.parametrize("how", CORRUPTIONS, ids=lambda how: how.name)
def test_the_same_seed_spoils_alike(some: Faces, how: Corruption) -> None:
    first, second = corrupted(some, how, seed=3), corrupted(some, how, seed=3)
    assert np.array_equal(first.images, second.images)


def test_their_names_are_told_apart() -> None:
    assert len({how.name for how in CORRUPTIONS}) == len(CORRUPTIONS)
