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


def test_the_same_seed_gives_the_same_variation(face: np.ndarray) -> None:
    how = Augmentation()
    first = augment(face, how, np.random.default_rng(7))
    assert np.array_equal(first, augment(face, how, np.random.default_rng(7)))
    assert not np.array_equal(first, augment(face, how, np.random.default_rng(8)))


def test_half_the_augmentation_keeps_the_mirroring() -> None:
    half = Augmentation(rotation=10, scale=(0.8, 1.4), flip=0.5, jpeg=0.2).halved()
    assert (half.rotation, half.flip, half.jpeg) == (5, 0.5, 0.1)
    assert half.scale == pytest.approx((0.9, 1.2))
