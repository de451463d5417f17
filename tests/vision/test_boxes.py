import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recognizer.vision import boxes as b

quick = settings(max_examples=50)

coordinates = st.floats(-50, 150, allow_nan=False)
sides = st.floats(0, 80, allow_nan=False)


@st.composite
def some_boxes(draw: st.DrawFn) -> b.Floats:
    rows = draw(st.lists(st.tuples(coordinates, coordinates, sides, sides), max_size=30))
    corners = np.array(rows, dtype=float).reshape(-1, 4)
    corners[:, 2:] += corners[:, :2]
    return corners


@quick
@given(some_boxes())
def test_overlap_is_a_share_and_symmetric(boxes: b.Floats) -> None:
    shares = b.overlap(boxes, boxes)
    assert ((shares >= 0) & (shares <= 1 + 1e-9)).all()
    np.testing.assert_allclose(shares, shares.T)
    assert (b.overlap(boxes, boxes, of="smaller") >= shares - 1e-9).all()


def test_overlap_of_known_boxes() -> None:
    one, other = np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 0, 3, 2], [0.5, 0.5, 1, 1]])
    np.testing.assert_allclose(b.overlap(one, other), [[2 / 6, 0.25 / 4]])
    np.testing.assert_allclose(b.overlap(one, other, of="smaller"), [[0.5, 1.0]])


@quick
@given(some_boxes(), st.floats(0.1, 0.9))
def test_suppression_drops_what_a_better_box_covers(boxes: b.Floats, threshold: float) -> None:
    scores = np.random.default_rng(0).permutation(len(boxes)).astype(float)
    kept = b.suppress(boxes, scores, threshold)
    assert (np.diff(scores[kept]) < 0).all()
    shares = b.overlap(boxes, boxes)
    for index in range(len(boxes)):
        better = shares[index, scores > scores[index]]
        assert (index in kept) == (not (better > threshold).any())


def test_suppression_in_blocks_equals_suppression_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(1)
    corner = random.uniform(0, 60, (200, 2))
    boxes = np.hstack([corner, corner + random.uniform(5, 30, (200, 2))])
    scores = random.permutation(200).astype(float)
    whole = b.suppress(boxes, scores, 0.4)
    monkeypatch.setattr(b, "_PAIRS", 7)
    np.testing.assert_array_equal(b.suppress(boxes, scores, 0.4), whole)
    assert 0 < len(whole) < 200


@quick
@given(some_boxes())
def test_squares_keep_centre_and_longer_side(boxes: b.Floats) -> None:
    squares = b.square(boxes)
    side = squares[:, 2:] - squares[:, :2]
    longest = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0)
    np.testing.assert_allclose(side, np.stack([longest, longest], axis=1), atol=1e-9)
    centre = boxes.reshape(-1, 2, 2).mean(axis=1)
    np.testing.assert_allclose(squares[:, :2] + side / 2, centre, atol=1e-9)


@quick
@given(some_boxes(), st.integers(1, 100), st.integers(1, 100))
def test_whole_pixels_lie_in_the_photo(boxes: b.Floats, width: int, height: int) -> None:
    for box in boxes:
        clipped = b.whole_pixels(box, width, height)
        if clipped is not None:
            x, y, w, h = clipped
            assert w >= 1
            assert h >= 1
            assert 0 <= x <= x + w <= width
            assert 0 <= y <= y + h <= height


def test_a_box_beside_the_photo_is_none() -> None:
    assert b.whole_pixels(np.array([120.0, 10, 150, 40]), 100, 100) is None


def test_offsets_are_shares_of_inclusive_sides() -> None:
    moved = b.shift(np.array([[10.0, 20, 19, 29]]), np.array([[0.1, 0, 0, -0.1]]))
    np.testing.assert_allclose(moved, [[11, 20, 19, 28]])
