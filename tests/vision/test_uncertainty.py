from dataclasses import replace

import cv2
import numpy as np
import pytest

from recognizer.vision.cards import UncertaintyRule
from recognizer.vision.preprocessing import normalize
from recognizer.vision.uncertainty import doubt, judge, score, sharpness

SURE = np.array([0.0, 0, 0, 0, 1, 0, 0, 0])
EVEN = np.full(8, 1 / 8)
BETWEEN_TWO = np.array([0.0, 0, 0, 0, 0.5, 0, 0, 0.5])
RULE = UncertaintyRule("confidence", 0.4, 0.2, min_face=24, min_sharpness=0.05)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("confidence", [0, 7 / 8, 0.5]),
        ("margin", [0, 1, 1]),
        ("entropy", [0, 1, 1 / 3]),
    ],
)
def test_scores_of_known_answers(kind: str, expected: list[float]) -> None:
    answers = np.stack([SURE, EVEN, BETWEEN_TWO])
    np.testing.assert_allclose(score(answers, kind), expected, atol=1e-12)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["confidence", "margin", "entropy"])
def test_scores_lie_in_0_to_1_also_for_float32(kind: str) -> None:
    answers = np.random.default_rng(0).dirichlet(np.full(8, 0.2), 500).astype(np.float32)
    scores = score(answers, kind)  # type: ignore[arg-type]
    assert scores.dtype == np.float64
    assert ((scores >= -1e-6) & (scores <= 1 + 1e-6)).all()


@pytest.mark.parametrize(
    ("kind", "expected"), [("confidence", [0.8, 0.2]), ("margin", [1, 0.4]), ("entropy", [1, 0.72])]
)
def test_a_guess_that_is_not_the_most_probable_is_no_sure_one(
    kind: str, expected: list[float]
) -> None:
    answers = np.array([[0.8, 0.2], [0.8, 0.2]])
    found = score(answers, kind, np.array([1, 0]))  # type: ignore[arg-type]
    np.testing.assert_allclose(found, expected, atol=0.01)


def test_the_lift_of_rare_emotions_is_no_confidence() -> None:
    natural = np.array([[0.3, 0.0, 0.1, 0.0, 0.0, 0.6, 0.0, 0.0]])
    lift = (0.0, 0.0, 3.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    lifted = natural * np.exp(lift) / (natural * np.exp(lift)).sum()
    rule = UncertaintyRule("confidence", 0.4, 0.2, lift=lift)
    assert lifted.argmax() == 2
    np.testing.assert_allclose(doubt(lifted, rule), [0.9])
    assert judge(lifted[0], rule) == ["low_confidence"]
    assert judge(lifted[0], replace(rule, lift=())) == []


def test_no_faces_have_no_scores() -> None:
    assert score(np.empty((0, 8)), "entropy").shape == (0,)


def test_another_kind_or_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="entropy"):
        score(EVEN[None], "mood")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="shape"):
        score(EVEN, "entropy")


def test_a_sure_answer_is_certain() -> None:
    assert judge(SURE, RULE, face_side=24, sharpness=0.05) == []


def test_two_emotions_alike_are_a_close_call() -> None:
    assert judge(BETWEEN_TWO, RULE) == ["close_call"]


def test_no_emotion_that_stands_out_is_low_confidence() -> None:
    spread = np.array([0.4, 0.1, 0.1, 0.1, 0.1, 0.1, 0.05, 0.05])
    assert judge(spread, RULE) == ["low_confidence"]


def test_a_close_call_below_the_threshold_is_certain() -> None:
    assert judge(BETWEEN_TWO, UncertaintyRule("confidence", 0.6, 0.2)) == []


def test_small_and_blurred_add_to_the_reasons() -> None:
    assert judge(SURE, RULE, face_side=23.9, sharpness=0.01) == ["small_face", "blurred"]
    both = judge(BETWEEN_TWO, RULE, face_side=10, sharpness=1)
    assert both == ["close_call", "small_face"]


def test_a_data_set_has_no_small_or_blurred_faces() -> None:
    assert judge(SURE, RULE, face_side=None, sharpness=None) == []


def test_blur_lowers_sharpness_and_light_does_not() -> None:
    random = np.random.default_rng(0)
    sharp = cv2.GaussianBlur(random.integers(60, 160, (48, 48), dtype=np.uint8), (0, 0), 1)
    crops = np.stack([sharp, cv2.GaussianBlur(sharp, (0, 0), 3), sharp // 2]).astype(np.uint8)
    first, blurred, darker = sharpness(normalize(crops))
    assert blurred < first / 5
    assert abs(darker - first) < first / 5


def test_a_flat_crop_has_no_sharpness() -> None:
    assert sharpness(normalize(np.full((1, 48, 48), 9, np.uint8)))[0] == 0
