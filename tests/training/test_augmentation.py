from dataclasses import replace

import numpy as np
import pytest

from recognizer.training.augmentation import Augmentation, augment
from tests.training.drawing import draw_face

NOTHING = Augmentation(
    flip=0,
    rotation=0,
    scale=(1, 1),
    shift=0,
    lighting=0,
    low_resolution=0,
    blur=0,
    jpeg=0,
    noise=0,
    occlusion=0,
)


@pytest.fixture
def face() -> np.ndarray:
    return draw_face("happy", np.random.default_rng(0))


def test_it_leaves_a_face_alone_when_told_so(face: np.ndarray) -> None:
    assert np.array_equal(augment(face, NOTHING, np.random.default_rng(0)), face)


def test_mirroring_turns_the_face_round_exactly(face: np.ndarray) -> None:
    mirror = replace(NOTHING, flip=1.0)
    assert np.array_equal(augment(face, mirror, np.random.default_rng(0)), face[:, ::-1])


@pytest.mark.parametrize(
    "name", ["lighting", "low_resolution", "blur", "jpeg", "noise", "occlusion"]
)
def test_each_disturbance_changes_the_face(name: str, face: np.ndarray) -> None:
    only = replace(NOTHING, **{name: 1.0})  # type: ignore[arg-type]  # all named are floats
    disturbed = augment(face, only, np.random.default_rng(1))
    assert disturbed.shape == face.shape
    assert disturbed.dtype == np.uint8
    assert not np.array_equal(disturbed, face)


def test_a_block_covers_as_much_of_the_face_as_is_asked() -> None:
    grey = np.full((48, 48), 255, np.uint8)

    def most(covered: float) -> int:
        how = replace(NOTHING, occlusion=1.0, covered=covered)
        seen = [augment(grey, how, np.random.default_rng(seed)) != 255 for seed in range(300)]
        return int(max(max(one.any(axis=0).sum(), one.any(axis=1).sum()) for one in seen))

    assert [most(0.1), most(0.35), most(0.9)] == [4, 16, 43]


def test_blocks_cover_every_part_of_the_face() -> None:
    grey, how = np.full((48, 48), 255, np.uint8), replace(NOTHING, occlusion=1.0, covered=0.5)
    seen = [augment(grey, how, np.random.default_rng(seed)) != 255 for seed in range(1000)]
    covered = np.sum(seen, axis=0)
    edges = (covered[0], covered[-1], covered[:, 0], covered[:, -1])
    assert all(edge.any() for edge in edges)


@pytest.mark.parametrize("side", [8, 16])
def test_a_picture_too_small_to_shrink_stays_as_it_is(side: int) -> None:
    face = np.arange(side * side, dtype=np.uint8).reshape(side, side)
    coarse = replace(NOTHING, low_resolution=1.0, smallest=16)
    assert np.array_equal(augment(face, coarse, np.random.default_rng(0)), face)


def test_the_same_seed_gives_the_same_variation(face: np.ndarray) -> None:
    how = Augmentation()
    first = augment(face, how, np.random.default_rng(7))
    assert np.array_equal(first, augment(face, how, np.random.default_rng(7)))
    assert not np.array_equal(first, augment(face, how, np.random.default_rng(8)))


def test_half_the_augmentation_keeps_the_mirroring() -> None:
    half = Augmentation(rotation=10, scale=(0.8, 1.4), flip=0.5, jpeg=0.2).scaled(0.5)
    assert (half.rotation, half.flip, half.jpeg) == (5, 0.5, 0.1)
    assert half.scale == pytest.approx((0.9, 1.2))


def test_the_whole_strength_changes_nothing() -> None:
    whole = Augmentation().scaled(1)
    assert whole == replace(Augmentation(), scale=whole.scale)
    assert whole.scale == pytest.approx(Augmentation().scale)


def test_without_strength_there_are_only_exact_and_mirrored_copies(face: np.ndarray) -> None:
    exact = Augmentation().scaled(0)
    copies = [augment(face, exact, np.random.default_rng(seed)) for seed in range(12)]
    same = [np.array_equal(copy, face) for copy in copies]
    mirrored = [np.array_equal(copy, face[:, ::-1]) for copy in copies]
    assert any(same)
    assert any(mirrored)
    assert all(one or other for one, other in zip(same, mirrored, strict=True))


@pytest.mark.parametrize("strength", [-0.1, 1.5])
def test_an_impossible_strength_is_refused(strength: float) -> None:
    with pytest.raises(ValueError, match="0-1"):
        Augmentation().scaled(strength)
