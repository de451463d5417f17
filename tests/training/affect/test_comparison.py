import numpy as np
import pytest

comparison = pytest.importorskip(
    "recognizer.training.affect.comparison",
    reason="scikit-learn is needed for ISOMAP",
    exc_type=ImportError,
)


def rated(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Features of very different sizes, and valence and arousal that are linear in them."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(rows, 3)) * [1, 100, 0.01] + [5, -300, 0]
    return features, features @ [[0.1, 0.0], [0.001, 0.003], [0.0, 10.0]] + [0.0, 0.9]


def test_the_linear_head_solves_the_normal_equations_of_ridge_regression() -> None:
    features, targets = rated(60)
    asked = features[:20] + 0.1
    inputs = (features - features.mean(axis=0)) / features.std(axis=0)
    weights = np.linalg.inv(inputs.T @ inputs + 7 * np.eye(3)) @ inputs.T @ targets
    expected = (asked - features.mean(axis=0)) / features.std(axis=0) @ weights
    answers = comparison.ridge(features, targets, asked, penalty=7)
    np.testing.assert_allclose(answers, np.clip(expected + targets.mean(axis=0), -1, 1))


def test_answers_stay_on_the_circumplex() -> None:
    features, targets = rated(60)
    answers = comparison.ridge(features, targets, 100 * features, penalty=1)
    assert (answers.min(), answers.max()) == (-1, 1)


def test_no_answer_has_seen_its_own_rating() -> None:
    features, ratings = rated(60)
    before = comparison._out_of_fold(features, ratings, 3)
    assert np.abs(before - np.clip(ratings, -1, 1)).max() < 0.3
    for row in range(5):
        other = ratings.copy()
        other[row] = [-1, 1]
        after = comparison._out_of_fold(features, other, 3)
        np.testing.assert_array_equal(after[row], before[row])
        assert not np.array_equal(after, before)
