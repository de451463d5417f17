import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recognizer.vision import boxes as b
from recognizer.vision.placement import place

LABEL = np.array([[120.0, 20.0]])


@pytest.mark.parametrize("corner", [(0, 0), (700, 0), (0, 500), (700, 500), (350, 0), (0, 250)])
def test_a_label_stays_in_the_picture_and_off_its_face(corner: tuple[int, int]) -> None:
    box = np.array([[*corner, corner[0] + 100, corner[1] + 100]], float)
    found = place(box, LABEL, (800, 600), gap=3)
    left, top, right, bottom = found.places[0]
    assert 0 <= left < right <= 800
    assert 0 <= top < bottom <= 600
    assert found.conflicts[0] == 0
    assert b.shared(found.places, box)[0, 0] == 0


def test_a_label_goes_above_its_face_where_there_is_room() -> None:
    found = place(np.array([[300.0, 200, 400, 320]]), LABEL, (800, 600), gap=3)
    np.testing.assert_allclose(found.places[0], [300, 177, 420, 197])


def test_a_face_that_fills_the_picture_has_its_label_inside() -> None:
    found = place(np.array([[0.0, 0, 200, 150]]), LABEL, (200, 150), gap=3)
    assert found.conflicts[0] == 0
    assert found.places[0][3] <= 150


def test_labels_avoid_each_other_and_other_faces() -> None:
    corners = np.array([(40 + 190 * x, 60 + 180 * y) for y in range(3) for x in range(4)], float)
    boxes = np.hstack([corners, corners + np.array([70, 90])])
    found = place(boxes, np.tile(LABEL, (12, 1)), (800, 600), gap=3)
    assert (found.conflicts == 0).all()
    assert b.shared(found.places, boxes).sum() == 0
    between = b.shared(found.places, found.places)
    assert (between - np.diag(np.diag(between))).sum() == 0


def test_a_label_without_room_tells_what_it_hides() -> None:
    boxes = np.array([[0.0, 0, 130, 18], [0, 18, 130, 36]])
    found = place(boxes, np.tile(LABEL, (2, 1)), (130, 36), gap=1)
    assert found.conflicts[0] == pytest.approx(2 * 2 / 20)  # Two rows of its twenty, on a face.
    assert found.conflicts[1] > found.conflicts[0]  # And on the first label.


def test_a_label_larger_than_the_picture_has_no_place() -> None:
    found = place(np.array([[2.0, 2, 10, 10]]), LABEL, (100, 600), gap=1)
    assert np.isnan(found.places).all()
    assert np.isinf(found.conflicts).all()


def test_no_faces_need_no_places() -> None:
    found = place(np.empty((0, 4)), np.empty((0, 2)), (100, 100), gap=1)
    assert found.places.shape == (0, 4)
    assert found.conflicts.shape == (0,)


@settings(max_examples=50)
@given(
    st.lists(st.tuples(*[st.floats(0, 300)] * 4), max_size=8),
    st.tuples(st.integers(1, 300), st.integers(1, 300)),
    st.tuples(st.floats(0, 150), st.floats(0, 40)),
)
def test_any_label_that_fits_lies_in_the_picture(
    corners: list[tuple[float, ...]], picture: tuple[int, int], size: tuple[float, float]
) -> None:
    boxes = np.sort(np.array(corners, float).reshape(-1, 2, 2), axis=1).reshape(-1, 4)
    found = place(boxes, np.tile(size, (len(boxes), 1)), picture, gap=2)
    fits = size[0] <= picture[0] and size[1] <= picture[1]
    assert (np.isfinite(found.conflicts) == fits).all()
    if fits:
        assert (found.places >= 0).all()
        assert (found.places[:, 2:] <= np.array(picture) + 1e-9).all()
