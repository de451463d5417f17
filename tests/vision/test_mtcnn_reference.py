"""The same answers as the published `mtcnn` 1.0, which runs on TensorFlow."""

from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from recognizer.vision.boxes import overlap
from recognizer.vision.detection import MTCNN

REASON = "compares with the mtcnn package, which needs TensorFlow (requirements.txt)"
pytest.importorskip("tensorflow", reason=REASON)
pytest.importorskip("mtcnn", reason=REASON)

Reference = Callable[[NDArray[np.uint8]], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def reference() -> Reference:
    import mtcnn

    detector = mtcnn.MTCNN()

    def detect(image: NDArray[np.uint8]) -> list[dict[str, Any]]:
        faces: list[dict[str, Any]] = detector.detect_faces(image)
        return sorted(faces, key=lambda face: face["box"])

    return detect


def pictures(astronaut: NDArray[np.uint8]) -> dict[str, NDArray[np.uint8]]:
    head = astronaut[20:230, 120:330]
    group = np.full((330, 500, 3), 90, np.uint8)
    group[100:310, 20:230] = head
    for x, y, side in [(250, 30, 60), (400, 40, 95), (280, 170, 140)]:
        group[y : y + side, x : x + side] = cv2.resize(head, (side, side))
    return {
        "portrait": astronaut,
        "odd size": astronaut[:301, 57:400],
        "cut off at the top": astronaut[90:400],
        "cut off at the left": astronaut[:, 215:],
        "upside down": astronaut[::-1],
        "noisy": noisy(astronaut),
        "group": group,
    }


def noisy(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    noise = np.random.default_rng(0).normal(0, 20, image.shape)
    result: NDArray[np.uint8] = (image + noise).clip(0, 255).astype(np.uint8)
    return result


def corners(box: Sequence[int]) -> NDArray[np.float64]:
    x, y, width, height = box
    return np.array([[x, y, x + width, y + height]], float)


def test_faces_boxes_scores_and_landmarks_agree(
    reference: Reference, astronaut: NDArray[np.uint8]
) -> None:
    ours = MTCNN(min_face=20)
    found = 0
    for name, image in pictures(astronaut).items():
        image = np.ascontiguousarray(image)
        expected = reference(image)
        faces = sorted(ours.detect(image), key=lambda face: face.box)
        assert len(faces) == len(expected), name
        for face, theirs in zip(faces, expected, strict=True):
            # Theirs end one pixel before the right and the lower border; ours at the border. And
            # ours are found on levels made from halved photos, which differ slightly.
            assert overlap(corners(face.box), corners(theirs["box"])) > 0.9, name
            assert face.score == pytest.approx(theirs["confidence"], abs=5e-3), name
            # The package rounds to whole pixels: by half of one.
            for landmark, point in theirs["keypoints"].items():
                away = np.abs(np.subtract(face.landmarks[landmark], point)).max()
                assert away <= 0.5 + 0.01 * face.box[2], (name, landmark)
        found += len(expected)
    assert found >= 8  # Else nothing has been compared.


@pytest.mark.parametrize("seed", range(6))
def test_the_same_faces_are_found_in_crowds(
    reference: Reference, astronaut: NDArray[np.uint8], seed: int
) -> None:
    """Faces of many sizes, turned, at the borders and over each other."""
    scene = crowd(astronaut, seed)
    expected = [face for face in reference(scene) if face["confidence"] >= 0.95]
    faces = MTCNN(min_face=20).detect(scene)
    assert len(expected) >= 4
    shares = overlap(
        np.concatenate([corners(face["box"]) for face in expected]),
        np.concatenate([corners(face.box) for face in faces]),
    )
    assert (shares.max(axis=1) > 0.7).all()
    sure = np.array([face.score for face in faces]) >= 0.95
    everything = np.concatenate([corners(face["box"]) for face in reference(scene)])
    boxes = np.concatenate([corners(face.box) for face in faces])
    assert (overlap(boxes[sure], everything).max(axis=1) > 0.7).all()


def crowd(astronaut: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    scene = rng.integers(60, 140, (440, 640, 3)).astype(np.uint8)
    scene = cv2.GaussianBlur(scene, (0, 0), 3).astype(np.uint8)
    head = astronaut[20:230, 120:330]
    for _ in range(9):
        side = int(np.exp(rng.uniform(np.log(50), np.log(220))))
        turned = cv2.getRotationMatrix2D((105, 105), rng.uniform(-25, 25), 1)
        face = cv2.warpAffine(head, turned, (210, 210), borderMode=cv2.BORDER_REFLECT)
        face = cv2.resize(face, (side, side), interpolation=cv2.INTER_AREA)[
            :, :: rng.choice((-1, 1))
        ]
        left, top = rng.integers(-side // 4, (640 - 3 * side // 4, 440 - 3 * side // 4))
        inside = face[max(0, -top) : 440 - top, max(0, -left) : 640 - left]
        top, left = max(0, top), max(0, left)
        scene[top : top + inside.shape[0], left : left + inside.shape[1]] = inside
    return scene


def test_a_large_min_face_does_not_lose_the_face(
    reference: Reference, astronaut: NDArray[np.uint8]
) -> None:
    """The package's pyramid then ends below 12 pixels, and it calls the error "no faces"."""
    head = np.ascontiguousarray(astronaut[20:230, 120:330])
    (expected,) = reference(head)
    (face,) = MTCNN(min_face=60).detect(head)
    np.testing.assert_allclose(face.box, expected["box"], atol=8)
