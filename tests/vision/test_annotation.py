from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from recognizer.vision import Recognition, RecognizedFace, annotate
from recognizer.vision.annotation import AnnotationStyle, label
from recognizer.vision.emotions import EMOTIONS
from tests.vision.conftest import MakeFace

STYLE = AnnotationStyle()
GREY = np.full((600, 800, 3), 128, np.uint8)


def count(image: NDArray[np.uint8], colour: tuple[int, int, int]) -> int:
    return int((image == colour).all(axis=2).sum())


def test_it_draws_on_a_copy(make_face: MakeFace) -> None:
    image = GREY.copy()
    drawn = annotate(image, Recognition(800, 600, (make_face((300, 200, 120, 160)),)))
    assert (image == 128).all()
    assert drawn.shape == image.shape
    assert drawn.dtype == np.uint8
    assert (drawn != 128).any()


def test_without_faces_nothing_changes(astronaut: NDArray[np.uint8]) -> None:
    np.testing.assert_array_equal(annotate(astronaut, Recognition(512, 512)), astronaut)


def test_only_uncertain_faces_are_red(make_face: MakeFace) -> None:
    sure = annotate(GREY, Recognition(800, 600, (make_face((300, 200, 120, 160)),)))
    unsure = make_face((300, 200, 120, 160), ("close_call",))
    doubted = annotate(GREY, Recognition(800, 600, (unsure,)))
    assert count(sure, STYLE.certain) > 500
    assert count(sure, STYLE.uncertain) == 0
    assert count(doubted, STYLE.uncertain) > 500
    assert count(doubted, STYLE.certain) == 0


def test_uncertain_boxes_are_dashed_and_certain_ones_solid(make_face: MakeFace) -> None:
    box = (300, 200, 120, 160)
    for reasons, colour, changes in [((), STYLE.certain, 0), (("blurred",), STYLE.uncertain, 10)]:
        drawn = annotate(GREY, Recognition(800, 600, (make_face(box, reasons),)))
        left = (drawn[220:340, 300] == colour).all(axis=1)
        assert np.abs(np.diff(left.astype(int))).sum() >= changes
        assert left.all() == (not reasons)


def test_labels_say_how_sure_or_between_what(make_face: MakeFace) -> None:
    assert label(make_face((0, 0, 9, 9), (), 0.931)) == ("happy 93%", "happy", "")
    unsure = make_face((0, 0, 9, 9), ("close_call",), 0.6)
    assert label(unsure) == ("? happy or surprise", "? happy", "?")


def test_the_face_stays_visible(make_face: MakeFace) -> None:
    face = make_face((300, 200, 120, 160), ("low_confidence",))
    drawn = annotate(GREY, Recognition(800, 600, (face,)))
    assert (drawn[210:350, 310:410] == 128).all()


def test_a_smaller_copy_is_drawn_at_its_own_scale(make_face: MakeFace) -> None:
    recognition = Recognition(800, 600, (make_face((300, 200, 120, 160)),))
    drawn = annotate(np.ascontiguousarray(GREY[::2, ::2]), recognition)
    assert drawn.shape == (300, 400, 3)
    assert (drawn[110:170, 150] != 128).any()
    assert (drawn[200:, 250:] == 128).all()


def test_another_photo_is_refused(make_face: MakeFace) -> None:
    with pytest.raises(ValueError, match="800x600"):
        annotate(GREY, Recognition(600, 800, (make_face((3, 2, 12, 16)),)))


def test_the_style_can_be_replaced(make_face: MakeFace) -> None:
    violet = replace(STYLE, certain=(120, 40, 160))
    face = make_face((300, 200, 120, 160))
    drawn = annotate(GREY, Recognition(800, 600, (face,)), style=violet)
    assert count(drawn, (120, 40, 160)) > 500
    assert count(drawn, STYLE.certain) == 0


def test_text_and_background_contrast_as_wcag_asks() -> None:
    def luminance(colour: tuple[int, int, int]) -> float:
        share = np.array(colour) / 255
        linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    for background in (STYLE.certain, STYLE.uncertain):
        assert (luminance(STYLE.text) + 0.05) / (luminance(background) + 0.05) >= 4.5


@st.composite
def photos_with_faces(
    draw: st.DrawFn,
) -> tuple[int, int, list[tuple[int, int, int, int]], list[bool]]:
    width, height = draw(st.integers(1, 400)), draw(st.integers(1, 400))
    boxes = []
    for _ in range(draw(st.integers(0, 8))):
        x, y = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
        boxes.append((x, y, draw(st.integers(1, width - x)), draw(st.integers(1, height - y))))
    return width, height, boxes, [draw(st.booleans()) for _ in boxes]


@settings(max_examples=40)
@given(photos_with_faces())
def test_any_faces_on_any_photo_can_be_drawn(
    photo: tuple[int, int, list[tuple[int, int, int, int]], list[bool]],
) -> None:
    width, height, boxes, doubts = photo
    shares = tuple(np.eye(8)[1])
    faces = tuple(
        RecognizedFace(box, {}, 0.9, shares, ("blurred",) if doubt else ())
        for box, doubt in zip(boxes, doubts, strict=True)
    )
    image = np.full((height, width, 3), 128, np.uint8)
    assert annotate(image, Recognition(width, height, faces)).shape == image.shape


def test_a_crowd_is_drawn_with_every_face_visible(make_face: MakeFace) -> None:
    """54 faces in a small photo: labels become shorter or go, the faces stay."""
    boxes = [(20 + 86 * column, 15 + 90 * row, 32, 40) for row in range(6) for column in range(9)]
    faces = tuple(make_face(box, ("close_call",) if box[0] % 4 else ()) for box in boxes)
    drawn = annotate(GREY, Recognition(800, 600, faces))
    hidden = [(drawn[y + 6 : y + 34, x + 6 : x + 26] != 128).mean() for x, y, _, _ in boxes]
    assert max(hidden) < 0.25
    assert np.mean(hidden) < 0.02


def test_threads_can_draw_at_once(make_face: MakeFace) -> None:
    recognition = Recognition(800, 600, (make_face((300, 200, 120, 160), ("blurred",)),))
    expected = annotate(GREY, recognition)
    with ThreadPoolExecutor(4) as pool:
        drawn = list(pool.map(lambda _: annotate(GREY, recognition), range(40)))
    assert all(np.array_equal(one, expected) for one in drawn)


def test_a_photo_too_small_for_a_label_still_gets_its_box(make_face: MakeFace) -> None:
    image = np.full((12, 12, 3), 128, np.uint8)
    drawn = annotate(image, Recognition(12, 12, (make_face((2, 2, 8, 8)),)))
    assert (drawn != 128).any()


def test_all_emotions_can_be_written() -> None:
    """The typeface has every letter: a missing one would be drawn as a question mark."""
    font = cv2.FontFace("sans")
    for emotion in EMOTIONS:
        written, missing = (np.zeros((40, 400, 3), np.uint8) for _ in range(2))
        white = (255, 255, 255)
        cv2.putText(written, emotion, (5, 30), white, font, 24, 600)
        cv2.putText(missing, "?" * len(emotion), (5, 30), white, font, 24, 600)
        assert written.any()
        assert (written != missing).any()
