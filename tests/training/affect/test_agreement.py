from typing import Any

import numpy as np
import pytest

from recognizer.training.affect.agreement import Candidate, ccc, judge, rmse

RATED = np.array([0.0, 0.5, 1.0])


def test_concordance_is_what_one_computes_by_hand() -> None:
    # Means 2 and 3, variances 2/3 each, covariance 2/3: 2 * 2/3 / (4/3 + 1) = 4/7.
    value = ccc(np.array([1.0, 2.0, 3.0]), np.array([2.0, 3.0, 4.0]))
    assert float(value) == pytest.approx(4 / 7)


def test_equal_numbers_agree_fully_and_opposite_ones_not_at_all() -> None:
    assert float(ccc(RATED, RATED)) == pytest.approx(1)
    assert float(ccc(1 - RATED, RATED)) == pytest.approx(-1)


@pytest.mark.parametrize("constant", [0.5, 0.9])
def test_a_constant_has_no_concordance(constant: float) -> None:
    assert float(ccc(np.full(3, constant), RATED)) == pytest.approx(0)
    assert float(ccc(np.full(3, constant), np.full(3, constant))) == 0


@pytest.mark.parametrize("constant", [0.1, -0.7, 1 / 3])
def test_many_equal_constants_have_no_concordance_either(constant: float) -> None:
    # Their mean differs from them in the last digit.
    assert float(ccc(np.full(1000, constant), np.full(1000, constant))) == 0
    assert ccc(np.full((2, 1000), constant), np.tile(RATED, (2, 1000))[:, :1000]).tolist() == [0, 0]


def test_concordance_does_not_suffer_from_a_large_mean() -> None:
    near = np.array([0.1, 0.4, 1.0])
    far = 1e7 + near, 1e7 + RATED
    assert float(ccc(*far)) == pytest.approx(float(ccc(near, RATED)), rel=1e-6)


def test_a_wrong_mean_or_spread_costs_concordance_that_correlation_forgives() -> None:
    assert np.corrcoef(RATED + 1, RATED)[0, 1] == pytest.approx(1)
    assert float(ccc(RATED + 1, RATED)) < 0.3
    assert float(ccc(RATED / 4, RATED)) < 0.5


def test_concordance_and_error_take_many_samples_at_once() -> None:
    rows = np.stack([RATED, 1 - RATED])
    np.testing.assert_allclose(ccc(rows, np.stack([RATED, RATED])), [1, -1])
    np.testing.assert_allclose(rmse(rows, np.stack([RATED, RATED])), [0, np.sqrt(2 / 3)])


def scores() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    ratings = rng.uniform(-1, 1, (120, 2))
    near, far = (np.clip(ratings + rng.normal(0, s, ratings.shape), -1, 1) for s in (0.1, 0.6))
    candidates = [
        Candidate("constant", "baseline", np.zeros((120, 2))),
        Candidate("near", "model", near),
        Candidate("far", "model", far),
        Candidate("noise", "model", rng.uniform(-1, 1, (120, 2))),
    ]
    judged = judge(candidates, ratings, {"valence": "near", "arousal": "far"}, seed=1)
    return {score["name"]: score for score in judged}


def test_intervals_hold_the_estimate_and_differences_are_paired() -> None:
    near, far = scores()["near"], scores()["far"]
    for measure in ("ccc", "rmse", "ccc_difference", "rmse_difference"):
        low, high = far["valence"][f"{measure}_interval"]
        assert low <= far["valence"][measure] <= high
    assert near["valence"]["ccc_difference_interval"] == [0, 0]
    assert far["valence"]["ccc_difference_interval"][1] < 0
    assert near["arousal"]["ccc_difference_interval"][0] > 0


def test_only_what_agrees_with_people_beats_a_constant() -> None:
    beats = {name: score["valence"]["beats_constant"] for name, score in scores().items()}
    assert beats == {"constant": False, "near": True, "far": True, "noise": False}


def test_the_same_seed_gives_the_same_intervals() -> None:
    assert scores() == scores()
