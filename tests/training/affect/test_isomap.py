import numpy as np
import pytest
from numpy.typing import NDArray

from recognizer.training.affect.circumplex import places
from recognizer.vision.emotions import EMOTIONS

isomap = pytest.importorskip(
    "recognizer.training.affect.isomap",
    reason="scikit-learn is needed for ISOMAP",
    exc_type=ImportError,
)


def sheet(rng: np.random.Generator, count: int) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """A swiss roll in 4x4 pictures, and where each lies on the sheet that was rolled up."""
    along, across = rng.uniform(0.5, 1.5, count), rng.uniform(0, 1, count)
    angle = 3 * np.pi * along
    roll = np.stack([along * np.cos(angle), along * np.sin(angle), 1.2 * across], axis=1)
    # An isometry into sixteen pixels.
    axes = np.linalg.qr(rng.normal(size=(16, 3)))[0]
    pixels = 127.5 + 60 * (roll - roll.mean(axis=0)) @ axes.T
    # Length along the spiral grows with the square of how far one has gone.
    flat = np.stack([along**2, across], axis=1)
    return pixels.round().astype(np.uint8).reshape(-1, 4, 4), flat


def test_it_unrolls_a_swiss_roll(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isomap, "SEEDS", 400)
    pictures, flat = sheet(np.random.default_rng(0), 500)
    plane = isomap.embed(pictures, seed=0)
    assert plane.shape == (500, 2)
    place = np.abs(np.corrcoef(plane[:, 0], flat[:, 0])[0, 1])
    grey = pictures.reshape(500, -1).astype(float)
    straight = np.linalg.svd(grey - grey.mean(axis=0), full_matrices=False)[0]
    assert place > 0.99
    assert np.abs(np.corrcoef(straight[:, 0], flat[:, 0])[0, 1]) < 0.5


def test_the_same_seed_gives_the_same_plane(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isomap, "SEEDS", 80)
    pictures = sheet(np.random.default_rng(1), 100)[0]
    np.testing.assert_array_equal(isomap.embed(pictures, seed=3), isomap.embed(pictures, seed=3))


def test_too_few_pictures_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 12 Training faces; there are 3"):
        isomap.embed(np.zeros((3, 4, 4), np.uint8), seed=0)


@pytest.fixture
def turned_circle() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Faces around the emotions' places, seen in a mirror, turned, shifted and magnified."""
    rng = np.random.default_rng(0)
    classes = np.repeat(np.arange(8), 50)
    points = places(EMOTIONS)[classes] + rng.normal(0, 0.05, (400, 2))
    mirror, turn = np.diag([1, -1]), np.array([[0.6, -0.8], [0.8, 0.6]])
    return 7 * points @ mirror @ turn + [3, -2], np.eye(8)[classes]


def test_the_plane_is_turned_back_onto_the_circumplex(
    turned_circle: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> None:
    plane, shares = turned_circle
    laid = isomap.lay_over(plane, shares, places(EMOTIONS))
    error = laid.turned - shares @ places(EMOTIONS)
    assert np.abs(error).max() < 0.3
    assert np.sqrt((error**2).mean()) == pytest.approx(0.05, rel=0.2)


def test_centres_are_moved_to_their_places_and_keep_their_surroundings(
    turned_circle: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> None:
    plane, shares = turned_circle
    plane = plane + 20 * shares[:, [0, 1]]  # Two classes far from where they should be.
    moved = isomap.lay_over(plane, shares, places(EMOTIONS)).moved
    centres = shares.T @ moved / shares.sum(axis=0)[:, None]
    np.testing.assert_allclose(centres, places(EMOTIONS), atol=1e-9)
    around = moved - shares @ centres
    np.testing.assert_allclose(around.std(axis=0), isomap.SPREAD, rtol=1e-6)


def test_a_class_without_faces_does_no_harm(
    turned_circle: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> None:
    plane, shares = turned_circle
    some = shares[:, 1] == 0
    laid = isomap.lay_over(plane[some], shares[some], places(EMOTIONS))
    assert np.isfinite(laid.moved).all()
    assert np.abs(laid.turned - shares[some] @ places(EMOTIONS)).max() < 0.3
