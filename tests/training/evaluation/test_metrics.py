from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, log_loss  # type: ignore[import-untyped]

from recognizer.training.evaluation import metrics

NAMES = ("a", "b", "c")
PROBABILITIES = np.array(
    [[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.2, 0.5, 0.3], [0.4, 0.3, 0.3], [0.1, 0.2, 0.7]]
)
LABELS = np.array([0, 1, 2, 1, 2])


def test_the_summary_agrees_with_counting_by_hand() -> None:
    scores = metrics.summary(PROBABILITIES, LABELS, NAMES)
    assert scores["n"] == 5
    assert scores["accuracy"] == pytest.approx(3 / 5)
    assert scores["top2_accuracy"] == pytest.approx(1.0)
    assert scores["confusion"] == [[1, 0, 0], [1, 1, 0], [0, 1, 1]]
    assert scores["per_class"]["b"] == {"n": 2, "precision": 0.5, "recall": 0.5, "f1": 0.5}
    assert scores["macro_f1"] == pytest.approx((2 / 3 + 1 / 2 + 2 / 3) / 3)
    assert scores["mean_recall"] == pytest.approx((1 + 1 / 2 + 1 / 2) / 3)


def test_means_leave_out_classes_without_rows() -> None:
    scores = metrics.summary(PROBABILITIES[:1], LABELS[:1], NAMES)
    assert scores["macro_f1"] == scores["mean_recall"] == 1.0
    assert scores["per_class"]["c"]["f1"] == 0.0


def test_a_class_that_is_only_predicted_costs_macro_f1_as_in_scikit_learn() -> None:
    labels = np.array([0, 1, 0, 0, 1])  # Nothing is of "c", and one row is taken for it.
    scores = metrics.summary(PROBABILITIES, labels, NAMES)
    expected = f1_score(labels, PROBABILITIES.argmax(axis=1), average="macro", zero_division=0)
    assert scores["macro_f1"] == pytest.approx(expected)
    assert scores["mean_recall"] == pytest.approx((2 / 3 + 1 / 2) / 2)


def test_the_likelihood_is_scikit_learns() -> None:
    assert metrics.summary(PROBABILITIES, LABELS, NAMES)["nll"] == pytest.approx(
        log_loss(LABELS, PROBABILITIES)
    )


def test_no_rows_are_an_error() -> None:
    with pytest.raises(ValueError, match="no row"):
        metrics.summary(PROBABILITIES[:0], LABELS[:0], NAMES)


def test_ece_is_the_gap_between_confidence_and_accuracy() -> None:
    sure = np.tile([0.9, 0.1], (10, 1))
    labels = np.array([0] * 9 + [1])
    assert metrics.ece(sure, labels) == pytest.approx(0.0)
    assert metrics.ece(sure, np.array([0] * 4 + [1] * 6)) == pytest.approx(0.5)


def test_ece_takes_each_bin_by_itself() -> None:
    # Over- and under-confidence in different bins must not cancel out.
    probabilities = np.array([[0.9, 0.1]] * 10 + [[0.6, 0.4]] * 10)
    labels = np.array([0] * 7 + [1] * 3 + [0] * 8 + [1] * 2)
    assert metrics.ece(probabilities, labels) == pytest.approx((0.2 + 0.2) / 2)


@pytest.mark.parametrize("rows", [20, 100, 2000])
def test_the_ece_by_chance_is_what_a_calibrated_model_shows(rows: int) -> None:
    rng = np.random.default_rng(rows)
    top = rng.beta(4, 2, rows) / 2 + 0.5
    probabilities = np.stack([top, 1 - top], axis=1)
    shown = [metrics.ece(probabilities, (rng.random(rows) > top).astype(int)) for _ in range(2000)]
    chance = metrics.ece_by_chance(probabilities)
    assert chance.expected == pytest.approx(np.mean(shown), rel=0.03)
    assert np.mean(np.array(shown) < chance.at_most) == pytest.approx(0.95, abs=0.015)


def test_where_nothing_is_doubted_no_error_comes_by_chance() -> None:
    assert metrics.ece_by_chance(np.tile([0.0, 1.0], (5, 1))) == (0.0, 0.0)


def test_certainty_of_one_falls_into_the_last_bin() -> None:
    assert metrics.ece(np.array([[1.0, 0.0]]), np.array([0])) == 0.0


def test_aurc_prefers_errors_to_come_last() -> None:
    score = np.array([0.1, 0.2, 0.3, 0.4])
    late = metrics.aurc(score, np.array([False, False, False, True]))
    early = metrics.aurc(score, np.array([True, False, False, False]))
    assert late == pytest.approx(1 / 16)
    assert early == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 4) / 4)


@given(st.lists(st.tuples(st.integers(0, 2), st.booleans()), min_size=1, max_size=6))
def test_aurc_of_ties_is_the_mean_over_their_orders(rows: list[tuple[int, bool]]) -> None:
    score, wrong = np.array([value for value, _ in rows], float), np.array([bad for _, bad in rows])
    orders = np.array([one for one in permutations(range(len(rows))) if _sorted(score[list(one)])])
    risks = np.cumsum(wrong[orders], axis=1) / np.arange(1, len(rows) + 1)
    assert metrics.aurc(score, wrong) == pytest.approx(risks.mean())


def _sorted(score: np.ndarray) -> bool:
    return bool((np.diff(score) >= 0).all())


def test_aurc_does_not_depend_on_the_order_of_tied_rows() -> None:
    score, wrong = np.full(8, 0.3), np.array([True, True, False, False] * 2)
    assert metrics.aurc(score, np.sort(wrong)) == metrics.aurc(score, np.sort(wrong)[::-1]) == 0.5


def test_without_ties_aurc_is_the_plain_mean_of_the_errors_so_far() -> None:
    rng = np.random.default_rng(0)
    score, wrong = rng.random(3000), rng.random(3000) < 0.2
    errors = np.cumsum(wrong[np.argsort(score)]) / np.arange(1, 3001)
    assert metrics.aurc(score, wrong) == errors.mean()


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=30))
def test_auroc_is_the_share_of_pairs_in_the_right_order(pairs: list[tuple[int, bool]]) -> None:
    score = np.array([value for value, _ in pairs], float)
    positive = np.array([is_positive for _, is_positive in pairs])
    above = [
        1.0 if a > b else 0.5 if a == b else 0.0 for a in score[positive] for b in score[~positive]
    ]
    expected = pytest.approx(float(np.mean(above))) if above else None
    assert metrics.auroc(score, positive) == expected


def test_reliability_bins_hold_every_row_where_its_confidence_lies() -> None:
    probabilities = np.array([[0.9, 0.1], [0.94, 0.06], [0.45, 0.55], [1.0, 0.0]])
    bins = metrics.reliability(probabilities, np.array([0, 1, 1, 0]), bins=10)
    assert bins.count.tolist() == [0, 0, 0, 0, 0, 1, 0, 0, 0, 3]
    assert bins.confidence[9] == pytest.approx((0.9 + 0.94 + 1.0) / 3)
    assert bins.accuracy[9] == pytest.approx(2 / 3)
    assert np.isnan(bins.accuracy[0])
    assert bins.ece == pytest.approx((0.45 + abs(2.84 - 2)) / 4)


def test_the_risk_coverage_curve_answers_the_surest_first() -> None:
    coverage, risk = metrics.risk_coverage(
        np.array([0.3, 0.1, 0.4, 0.2]), np.array([True, False, False, True])
    )
    assert coverage.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert risk == pytest.approx([0, 1 / 2, 2 / 3, 1 / 2])


def test_wilsons_interval_is_the_one_of_the_textbook() -> None:
    # Newcombe (1998), table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29; to four digits.
    low, high = metrics.wilson_interval(np.array([81, 15, 0, 1]), np.array([263, 148, 20, 29]))
    assert low == pytest.approx([0.2553, 0.0624, 0.0, 0.0061], abs=5e-5)
    assert high == pytest.approx([0.3662, 0.1605, 0.1611, 0.1718], abs=5e-5)


def test_wilsons_interval_of_no_trial_says_nothing() -> None:
    low, high = metrics.wilson_interval(0, 0)
    assert (float(low), float(high)) == (0.0, 1.0)
