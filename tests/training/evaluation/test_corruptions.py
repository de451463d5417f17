from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from recognizer.training.datasets.faces import Faces
from recognizer.training.evaluation.corruptions import CORRUPTIONS, Corruption, corrupt


@pytest.fixture(scope="module")
def some(faces: Faces) -> Faces:
    return faces.split("PublicTest")


def test_the_first_leaves_the_pictures_as_they_are(some: Faces) -> None:
    assert np.array_equal(corrupt(some, CORRUPTIONS[0]).images, some.images)


@pytest.mark.parametrize("how", CORRUPTIONS[1:], ids=lambda how: how.name)
def test_every_other_spoils_every_picture_and_nothing_else(some: Faces, how: Corruption) -> None:
    before = some.images.copy()
    spoilt = corrupt(some, how)
    assert spoilt.images.shape == before.shape
    assert spoilt.images.dtype == np.uint8
    assert (spoilt.images != before).any(axis=(1, 2)).all()
    assert np.array_equal(some.images, before)
    assert np.array_equal(spoilt.votes, some.votes)
    # A picture is still closer to its own spoilt copy than to a picture of nothing.
    changed = np.abs(spoilt.images.astype(int) - before).mean()
    assert changed < np.abs(before.astype(int) - 128).mean()


def spoilt(key: str, image: NDArray[np.uint8], seed: int = 0) -> NDArray[np.uint8]:
    (how,) = [one for one in CORRUPTIONS if one.key == key]
    return how.spoil(image, np.random.default_rng(seed))


@pytest.fixture
def square() -> NDArray[np.uint8]:
    """A white square of 16 pixels in the middle of 48 black ones."""
    image = np.zeros((48, 48), np.uint8)
    image[16:32, 16:32] = 255
    return image


def test_a_loose_cut_makes_the_face_small_and_a_tight_one_large(square: NDArray[np.uint8]) -> None:
    areas = [(spoilt(key, square) > 127).sum() for key in ("loose_cut", "none", "tight_cut")]
    assert areas == pytest.approx([(0.8 * 16) ** 2, 16**2, (1.25 * 16) ** 2], rel=0.15)


def test_shifting_goes_down_and_right(square: NDArray[np.uint8]) -> None:
    rows, columns = np.nonzero(spoilt("shifted", square) > 127)
    assert (rows.mean(), columns.mean()) == pytest.approx((23.5 + 4.8, 23.5 + 4.8), abs=0.5)


def test_turning_keeps_the_middle_and_the_size(square: NDArray[np.uint8]) -> None:
    for key in ("turned_15", "turned_30"):
        rows, columns = np.nonzero(spoilt(key, square) > 127)
        assert (rows.mean(), columns.mean()) == pytest.approx((23.5, 23.5), abs=0.3)
        assert len(rows) == pytest.approx(256, rel=0.05)


def test_the_covered_bands_are_where_eyes_and_mouth_are() -> None:
    white = np.full((48, 48), 255, np.uint8)
    bands = {
        key: np.flatnonzero((spoilt(key, white) == 128).all(axis=1))
        for key in ("eyes_covered", "mouth_covered")
    }
    assert (bands["eyes_covered"][[0, -1]] == (12, 23)).all()
    assert (bands["mouth_covered"][[0, -1]] == (30, 47)).all()
    assert {key: len(rows) for key, rows in bands.items()} == {
        "eyes_covered": 12,
        "mouth_covered": 18,
    }


def test_shrinking_leaves_as_few_pixels_as_it_says() -> None:
    board = np.indices((48, 48)).sum(axis=0).astype(np.uint8) % 2 * 255
    for how in CORRUPTIONS[1:3]:
        # What is finer than the pixels that are left is gone.
        assert how.spoil(board, np.random.default_rng(0)).std() < 20
    coarse = np.kron(np.indices((6, 6)).sum(axis=0) % 2 * 255, np.ones((8, 8))).astype(np.uint8)
    left = [spoilt(key, coarse).std() for key in ("none", "half_size", "third_size")]
    assert left == sorted(left, reverse=True)
    assert left[-1] > 60


def test_noise_differs_by_picture_and_by_seed(some: Faces) -> None:
    (noise,) = [one for one in CORRUPTIONS if one.key == "noise"]
    twins = replace(some, images=np.full_like(some.images, 128))
    first, again, other = (corrupt(twins, noise, seed).images for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first[0], first[1])
    assert first.std() == pytest.approx(12, abs=0.5)


def test_keys_and_names_are_told_apart() -> None:
    for words in ([how.key for how in CORRUPTIONS], [how.name for how in CORRUPTIONS]):
        assert len(set(words)) == len(CORRUPTIONS)
