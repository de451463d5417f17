import threading

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from recognizer.vision import detection, pyramid
from recognizer.vision.detection import LANDMARKS, MTCNN, Detection


@pytest.fixture(scope="module")
def mtcnn() -> MTCNN:
    return MTCNN()


def test_it_finds_the_astronaut(mtcnn: MTCNN, astronaut: NDArray[np.uint8]) -> None:
    (face,) = mtcnn.detect(astronaut)
    x, y, width, height = face.box
    assert face.score > 0.99
    assert all(isinstance(side, int) for side in face.box)
    np.testing.assert_allclose(face.box, (182, 64, 83, 107), atol=2)
    assert tuple(face.landmarks) == LANDMARKS
    for point_x, point_y in face.landmarks.values():
        assert x < point_x < x + width
        assert y < point_y < y + height
    eye, other, nose, mouth, corner = (face.landmarks[name] for name in LANDMARKS)
    assert eye[0] < nose[0] < other[0]
    assert mouth[0] < nose[0] < corner[0]
    assert max(eye[1], other[1]) < nose[1] < min(mouth[1], corner[1])


@pytest.mark.parametrize("scale", [0.4, 2.5, 5])
def test_a_face_is_found_at_any_size(
    mtcnn: MTCNN, astronaut: NDArray[np.uint8], scale: float
) -> None:
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    image = cv2.resize(astronaut, None, fx=scale, fy=scale, interpolation=method)
    (face,) = mtcnn.detect(image.astype(np.uint8))
    np.testing.assert_allclose(np.array(face.box) / scale, (182, 64, 83, 107), atol=10)


def test_all_faces_of_a_group_are_found(mtcnn: MTCNN, astronaut: NDArray[np.uint8]) -> None:
    head = astronaut[20:230, 120:330]
    small = cv2.resize(head, (90, 90), interpolation=cv2.INTER_AREA)
    image = np.full((420, 640, 3), 128, np.uint8)
    places = [(10, 30), (300, 60), (560 - 90, 200), (120, 320)]
    for x, y in places:
        image[y : y + 90, x : x + 90] = small
    image[190:400, 230:440] = head
    centres = [(x + w / 2, y + h / 2) for x, y, w, h in (face.box for face in mtcnn.detect(image))]
    assert len(centres) == 5
    for x, y in [(x + 45, y + 42) for x, y in places] + [(335, 290)]:
        assert min(np.hypot(x - a, y - b) for a, b in centres) < 12


def test_a_face_cut_by_the_border_stays_in_the_photo(
    mtcnn: MTCNN, astronaut: NDArray[np.uint8]
) -> None:
    cut = np.ascontiguousarray(astronaut[80:250, 195:400])
    (face,) = mtcnn.detect(cut)
    x, y, width, height = face.box
    assert (x, y) == (0, 0)
    assert 0 < width <= 205
    assert 0 < height <= 170


@pytest.mark.parametrize(
    "shape",
    [
        *[(1, 1), (1, 400), (400, 1), (11, 11), (12, 12), (19, 23), (20, 20), (21, 300)],
        *[(200, 12_000), (12_000, 200)],
    ],
)
def test_any_size_is_accepted(mtcnn: MTCNN, shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (*shape, 3), dtype=np.uint8)
    for face in mtcnn.detect(noise):
        assert face.box[2] <= shape[1]


def test_two_hundred_faces_are_found(mtcnn: MTCNN, astronaut: NDArray[np.uint8]) -> None:
    head = cv2.resize(astronaut[20:230, 120:330], (96, 96), interpolation=cv2.INTER_AREA)
    crowd = np.tile(head, (10, 20, 1)).astype(np.uint8)
    faces = mtcnn.detect(crowd)
    assert len(faces) == 200
    tiles = {
        (x + w // 2) // 96 + 20 * ((y + h // 2) // 96) for x, y, w, h in (f.box for f in faces)
    }
    assert len(tiles) == 200


def test_a_mirrored_photo_has_the_same_face_mirrored(
    mtcnn: MTCNN, astronaut: NDArray[np.uint8]
) -> None:
    (face,) = mtcnn.detect(astronaut)
    (other,) = mtcnn.detect(np.ascontiguousarray(astronaut[:, ::-1]))
    x, y, width, height = face.box
    np.testing.assert_allclose(other.box, (512 - x - width, y, width, height), atol=8)
    assert other.landmarks["left_eye"][0] == pytest.approx(
        511 - face.landmarks["right_eye"][0], abs=6
    )


def test_a_picture_without_faces_has_none(mtcnn: MTCNN) -> None:
    for level in (0, 128, 255):
        assert mtcnn.detect(np.full((240, 320, 3), level, np.uint8)) == []


def test_wrong_arrays_are_refused(mtcnn: MTCNN) -> None:
    with pytest.raises(ValueError, match="uint8"):
        mtcnn.detect(np.zeros((40, 40, 3)))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="uint8"):
        mtcnn.detect(np.zeros((40, 40), np.uint8))


def test_min_face_leaves_smaller_faces_out(astronaut: NDArray[np.uint8]) -> None:
    assert MTCNN(min_face=400).detect(astronaut) == []
    assert len(MTCNN(min_face=60).detect(astronaut)) == 1


def test_min_face_follows_the_size_of_large_photos() -> None:
    mtcnn = MTCNN()
    assert mtcnn.scales(1200, 800)[0] == pytest.approx(12 / 20)
    assert mtcnn.scales(4000, 3000)[0] == pytest.approx(12 / 75)
    assert MTCNN(min_face=30).scales(4000, 3000)[0] == pytest.approx(12 / 30)
    assert mtcnn.scales(19, 4000) == []
    for scales in (mtcnn.scales(640, 480), mtcnn.scales(20, 20)):
        np.testing.assert_allclose(np.diff(np.log(scales)), np.log(0.709))


@pytest.mark.parametrize(
    "wrong",
    [{"min_face": 11}, {"scale_factor": 1.0}, {"thresholds": (0.5, 0.5)}, {"threads": -1}],
)
def test_impossible_parameters_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"\d"):
        MTCNN(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(("height", "width"), [(201, 160), (150, 233), (12, 13), (43, 300)])
def test_tiles_give_the_map_of_the_whole(
    mtcnn: MTCNN, astronaut: NDArray[np.uint8], height: int, width: int
) -> None:
    level = np.ascontiguousarray(astronaut[20 : 20 + height, 120 : 120 + width])
    with detection._side_by_side(2) as run:
        search = detection._Search(level, mtcnn.networks, (0.3, 0.7, 0.8), run)
        whole = search.propose_level(level, window=400)
        tiled = search.propose_level(level, window=43)
    assert len(whole[0]) == len(tiled[0])
    first, second = (rows[np.lexsort(rows[:, :2].T)] for rows in (whole[0], tiled[0]))
    np.testing.assert_allclose(first, second, atol=1e-3)


def test_one_core_gives_the_answers_of_two(astronaut: NDArray[np.uint8]) -> None:
    assert MTCNN(threads=1).detect(astronaut) == MTCNN(threads=2).detect(astronaut)


def test_batches_give_the_answers_of_all_at_once(
    mtcnn: MTCNN, astronaut: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = mtcnn.detect(astronaut)
    monkeypatch.setattr(detection, "_BATCH", 5 * 24 * 24)
    assert mtcnn.detect(astronaut)[0].box == whole[0].box


def test_a_photo_too_large_for_floats_gives_the_same_face(
    mtcnn: MTCNN, astronaut: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    (exact,) = mtcnn.detect(astronaut)
    monkeypatch.setattr(pyramid, "_EXACT_PIXELS", 0)
    (rounded,) = mtcnn.detect(astronaut)
    np.testing.assert_allclose(rounded.box, exact.box, atol=3)


def test_a_face_is_found_in_a_strip_longer_than_opencv_counts(
    astronaut: NDArray[np.uint8],
) -> None:
    strip = np.full((160, 34_000, 3), 90, np.uint8)
    for left in (160, 33_000):
        strip[:, left : left + 160] = astronaut[:320:2, 100:420:2]
    (alone,) = MTCNN(min_face=50).detect(strip[:, :480])
    x, y, width, height = alone.box
    faces = sorted(face.box for face in MTCNN(min_face=50).detect(strip))
    np.testing.assert_allclose(
        faces, [(x, y, width, height), (x + 32_840, y, width, height)], atol=2
    )


def test_patches_keep_what_lies_between_grey_levels() -> None:
    ramp = np.broadcast_to(np.arange(100, dtype=np.uint8)[None, :, None], (100, 100, 3))
    box = np.array([[10.3, 20.0, 14.9, 24.6]])
    (patch,) = pyramid.patches(pyramid.exact(np.ascontiguousarray(ramp)), box, 24)
    expected = np.linspace(10.3, 14.9, 24) * 99 / 100
    # OpenCV knows 32 places between two pixels.
    np.testing.assert_allclose(patch, np.broadcast_to(expected, patch.shape), atol=1 / 50)


def test_patches_cut_one_by_one_are_those_of_one_call(
    astronaut: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    boxes = np.array([[-5.0, -5, 40, 40], [20.3, 7.1, 31.4, 18.2], [480, 470, 540, 530]])
    photo = pyramid.exact(astronaut)
    together = pyramid.patches(photo, boxes, 24)
    monkeypatch.setattr(pyramid, "_REMAP_LIMIT", 0)
    alone = pyramid.patches(photo, boxes, 24)
    np.testing.assert_allclose(alone, together, rtol=0, atol=1 / 256)  # the photo's own steps


def test_small_faces_make_it_look_for_smaller_ones(astronaut: NDArray[np.uint8]) -> None:
    """In a photo of 3,000 lines, 75 pixels is where it begins."""
    head = astronaut[20:230, 120:330]
    photo = np.full((3000, 3200, 3), 90, np.uint8)
    alone = _with_heads(photo, head, [150])
    crowd = _with_heads(photo, head, [150, 100, 66])
    portrait = _with_heads(photo, head, [900, 66])
    assert len(MTCNN().detect(alone)) == 1
    assert len(MTCNN().detect(crowd)) == 3
    assert len(MTCNN().detect(portrait)) == 1
    assert len(MTCNN(min_face=30).detect(portrait)) == 2


def _with_heads(
    photo: NDArray[np.uint8], head: NDArray[np.uint8], sides: list[int]
) -> NDArray[np.uint8]:
    photo = photo.copy()
    for number, side in enumerate(sides):
        left = 100 + 1000 * number
        photo[200 : 200 + side, left : left + side] = cv2.resize(head, (side, side))
    return photo


def test_threads_share_one_detector(astronaut: NDArray[np.uint8]) -> None:
    mtcnn = MTCNN()
    answers: list[list[Detection]] = []
    threads = [
        threading.Thread(target=lambda: answers.append(mtcnn.detect(astronaut))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(answer) for answer in answers] == [1, 1, 1, 1]
    assert len({answer[0].box for answer in answers}) == 1
