import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from recognizer.vision.preprocessing import Preprocessing, crop_face, normalize

EYES = {"left_eye": (40.0, 50.0), "right_eye": (60.0, 50.0)}


def plane(width: int = 200, height: int = 160, a: float = 0.5, b: float = 0.3) -> NDArray[np.uint8]:
    """RGB whose grey level at point (x, y), pixels being areas, is 20 + a * x + b * y."""
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    grey = np.rint(20 + a * x + b * y).clip(0, 255).astype(np.uint8)
    return np.dstack([grey] * 3)


@pytest.mark.parametrize("size", [16, 48])
@pytest.mark.parametrize("box", [(30, 40, 20, 26), (60, 30, 80, 80), (50, 60, 9, 7)])
def test_the_crop_is_the_square_about_the_box(box: tuple[int, int, int, int], size: int) -> None:
    preprocessing = Preprocessing(size=size, margin=1.25, shift_y=0.1)
    crop = crop_face(plane(), box, None, preprocessing)
    x, y, width, height = box
    side = 1.25 * max(width, height)
    left = x + width / 2 - side / 2
    top = y + height / 2 + 0.1 * max(width, height) - side / 2
    centres = (np.arange(size) + 0.5) * side / size
    expected = 20 + 0.5 * (left + centres)[None, :] + 0.3 * (top + centres)[:, None]
    assert crop.shape == (size, size)
    assert crop.dtype == np.uint8
    np.testing.assert_allclose(crop, expected, atol=1.2)


def test_the_crop_is_grey_by_luma(quadrants: NDArray[np.uint8]) -> None:
    green = crop_face(quadrants, (40, 4, 16, 16), None, Preprocessing(size=8))
    np.testing.assert_allclose(green, 0.587 * 200, atol=1)


def test_shrinking_averages_every_pixel() -> None:
    # Stripes of one pixel: whatever picks single pixels gives stripes or moiré, not grey.
    image = np.zeros((300, 300, 3), np.uint8)
    image[:, ::2] = 255
    crop = crop_face(image, (20, 20, 250, 250), None, Preprocessing(size=48))
    # One pixel of the crop averages 5.2 of the photo: at most half a stripe too many.
    np.testing.assert_allclose(crop, 127.5, atol=255 / 2 / 5.2)
    assert abs(float(crop.mean()) - 127.5) < 1


def test_a_crop_at_one_to_one_is_the_photo_itself(astronaut: NDArray[np.uint8]) -> None:
    crop = crop_face(astronaut, (200, 80, 48, 48), None, Preprocessing(size=48))
    np.testing.assert_array_equal(
        crop, cv2.cvtColor(astronaut, cv2.COLOR_RGB2GRAY)[80:128, 200:248]
    )


def test_the_border_is_repeated_where_the_square_leaves_the_photo() -> None:
    image = plane()
    crop = crop_face(image, (0, 0, 20, 20), None, Preprocessing(size=40, margin=2.0))
    np.testing.assert_allclose(crop[:10, :10], float(image[0, 0, 0]), atol=1)
    np.testing.assert_allclose(crop[0, 20:], crop[9, 20:], atol=1)
    beyond = crop_face(image, (190, 150, 10, 10), None, Preprocessing(size=40, margin=3.0))
    np.testing.assert_allclose(beyond[-10:, -10:], float(image[-1, -1, 0]), atol=1)


@pytest.mark.parametrize("degrees", [-150, -40, -10, 0, 25, 90, 180])
def test_the_face_is_turned_level_by_the_eyes(degrees: float) -> None:
    """A pattern turned about the box's centre comes out as if it had not been."""
    image = cv2.GaussianBlur(plane(200, 200), (0, 0), 1)
    cv2.rectangle(image, (60, 70), (90, 80), (250, 250, 250), -1)
    cv2.circle(image, (120, 130), 15, (0, 0, 0), -1)
    smooth = cv2.GaussianBlur(image, (0, 0), 2).astype(np.uint8)
    # OpenCV turns counterclockwise for positive angles, about a pixel's centre.
    matrix = cv2.getRotationMatrix2D((99.5, 99.5), -degrees, 1)
    turned = cv2.warpAffine(smooth, matrix, (200, 200), borderMode=cv2.BORDER_REPLICATE)
    eyes = np.array([[80.0, 90.0], [120.0, 90.0]])
    left, right = (eyes - 0.5) @ matrix[:, :2].T + matrix[:, 2] + 0.5
    landmarks = {"left_eye": (left[0], left[1]), "right_eye": (right[0], right[1])}
    preprocessing = Preprocessing(size=48, margin=1.2, shift_y=0.1, align="eyes")
    box = (60, 60, 80, 80)
    level = crop_face(turned.astype(np.uint8), box, landmarks, preprocessing)
    upright = crop_face(smooth, box, EYES, preprocessing)
    assert np.abs(level.astype(int) - upright).mean() < 1.5


def test_eyes_in_one_point_turn_nothing() -> None:
    same = {"left_eye": (50.0, 50.0), "right_eye": (50.2, 50.3)}
    level = Preprocessing(align="eyes")
    plain = crop_face(plane(), (40, 40, 30, 30), None, Preprocessing())
    np.testing.assert_array_equal(crop_face(plane(), (40, 40, 30, 30), same, level), plain)


@pytest.mark.parametrize("shape", [(1, 1), (1, 60), (60, 1), (3, 2)])
def test_any_photo_gives_a_crop(shape: tuple[int, int]) -> None:
    image = np.full((*shape, 3), 77, np.uint8)
    box = (0, 0, shape[1], shape[0])
    for align in ("none", "eyes"):
        preprocessing = Preprocessing(margin=1.5, align="eyes" if align == "eyes" else "none")
        assert (crop_face(image, box, EYES, preprocessing) == 77).all()


def test_an_empty_box_is_refused() -> None:
    with pytest.raises(ValueError, match="box"):
        crop_face(plane(), (10, 10, 0, 5), None, Preprocessing())


def test_aligning_needs_eyes() -> None:
    with pytest.raises(ValueError, match="landmarks"):
        crop_face(plane(), (10, 10, 5, 5), None, Preprocessing(align="eyes"))


def test_normalized_crops_have_mean_0_and_deviation_1() -> None:
    crops = np.random.default_rng(0).integers(0, 255, (3, 16, 16), dtype=np.uint8)
    normalized = normalize(crops)
    assert normalized.shape == (3, 16, 16, 1)
    assert normalized.dtype == np.float32
    np.testing.assert_allclose(normalized.mean(axis=(1, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(normalized.std(axis=(1, 2, 3)), 1, atol=1e-5)


def test_a_flat_crop_is_not_blown_up() -> None:
    flat = np.full((1, 16, 16), 100, np.uint8)
    flat[0, 0, 0] = 101
    assert np.abs(normalize(flat)).max() < 0.3


@pytest.mark.parametrize("wrong", [{"size": 4}, {"margin": 0.1}, {"align": "nose"}])
def test_impossible_preprocessing_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"must"):
        Preprocessing(**wrong)  # type: ignore[arg-type]
