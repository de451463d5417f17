import numpy as np
import pytest

from recognizer.training.evaluation import bootstrap, metrics
from recognizer.training.evaluation.metrics import Floats, Labels

NAMES = ("a", "b", "c", "d")


@pytest.fixture(scope="module")
def answers() -> tuple[Floats, Labels]:
    """600 rows of four classes, right about three in four."""
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 4, 600)
    logits = rng.normal(0, 1, (600, 4)) + 2 * np.eye(4)[labels]
    powers = np.exp(logits)
    return powers / powers.sum(axis=1, keepdims=True), labels


def by_hand(
    answers: tuple[Floats, Labels], samples: int = 400
) -> tuple[dict[str, list[float]], list[list[float]]]:
    """The same numbers of plainly resampled rows, one resample after the other."""
    probabilities, labels = answers
    score, wrong = 1 - probabilities.max(axis=1), probabilities.argmax(axis=1) != labels
    rng = np.random.default_rng(2)
    found: dict[str, list[float]] = {
        name: [] for name in ("accuracy", "top2_accuracy", "macro_f1", "mean_recall", "ece")
    }
    selective: list[list[float]] = []
    for _ in range(samples):
        rows = rng.integers(0, len(labels), len(labels))
        summary = metrics.summary(probabilities[rows], labels[rows], NAMES)
        for name, values in found.items():
            values.append(summary[name])
        kept = score[rows] <= 0.3
        area = metrics.aurc(score[rows], wrong[rows])
        ranked = metrics.auroc(score[rows], wrong[rows])
        assert ranked is not None
        selective.append([kept.mean(), wrong[rows][kept].mean(), area, ranked])
    return found, selective


def test_the_intervals_are_those_of_plain_resampling(answers: tuple[Floats, Labels]) -> None:
    probabilities, labels = answers
    score, wrong = 1 - probabilities.max(axis=1), probabilities.argmax(axis=1) != labels
    plain, selective = by_hand(answers)
    quick = bootstrap.summary_intervals(probabilities, labels)
    for name in ("accuracy", "top2_accuracy", "macro_f1", "mean_recall"):
        assert quick[name] == pytest.approx(np.quantile(plain[name], [0.025, 0.975]), abs=0.01)
    expected = np.quantile(selective, [0.025, 0.975], axis=0).T
    others = bootstrap.selective_intervals(score, wrong, score <= 0.3)
    assert others["coverage"] == pytest.approx(expected[0], abs=0.01)
    assert others["selective_error"] == pytest.approx(expected[1], abs=0.01)
    assert others["aurc"] == pytest.approx(expected[2], abs=0.01)
    assert bootstrap.auroc_interval(score, wrong) == pytest.approx(expected[3], abs=0.01)


def test_the_interval_of_the_ece_lies_around_the_estimate(answers: tuple[Floats, Labels]) -> None:
    probabilities, labels = answers
    low, high = bootstrap.summary_intervals(probabilities, labels)["ece"]
    assert 0 <= low < metrics.ece(probabilities, labels) < high
    plain, _ = by_hand(answers)
    bias = np.mean(plain["ece"]) - metrics.ece(probabilities, labels)
    first, last = np.quantile(plain["ece"], [0.025, 0.975])
    assert (low, high) == pytest.approx((first - 2 * bias, last - bias), abs=0.01)


def test_the_interval_of_the_ece_holds_the_true_one() -> None:
    rng = np.random.default_rng(4)
    everyone = 0.3 + 0.7 * rng.beta(4, 1, 100_000)
    too_sure = 0.03  # However sure the model is, it is right so much less often.
    bins = np.eye(metrics.ECE_BINS)[metrics.bin_of(everyone)]
    true = np.abs(bins.T @ (everyone - np.maximum(everyone - too_sure, 0))).sum() / len(everyone)
    held = 0
    for _ in range(60):
        confidence = rng.choice(everyone, 800)
        right = rng.random(800) < confidence - too_sure
        others = np.repeat((1 - confidence[:, None]) / 3, 3, axis=1)
        probabilities = np.column_stack([confidence, others])
        found = bootstrap.summary_intervals(probabilities, np.where(right, 0, 1), samples=100)
        low, high = found["ece"]
        held += low <= true <= high
    assert held >= 52


def test_a_calibrated_model_may_have_no_calibration_error_at_all(
    answers: tuple[Floats, Labels],
) -> None:
    probabilities, _ = answers
    rng = np.random.default_rng(3)
    for _ in range(5):
        drawn = np.array([rng.choice(4, p=row) for row in probabilities])
        low, high = bootstrap.summary_intervals(probabilities, drawn, samples=200)["ece"]
        assert low == 0 < metrics.ece(probabilities, drawn) < high


def test_the_same_seed_gives_the_same_intervals(answers: tuple[Floats, Labels]) -> None:
    first, again = (bootstrap.summary_intervals(*answers, samples=50) for _ in range(2))
    assert first == again
    assert bootstrap.summary_intervals(*answers, seed=1, samples=50) != first


def test_ties_of_the_score_count_half(answers: tuple[Floats, Labels]) -> None:
    positive = answers[1] == 0
    assert bootstrap.auroc_interval(np.zeros(600), positive) == (0.5, 0.5)


def test_the_area_of_ties_does_not_depend_on_their_order(answers: tuple[Floats, Labels]) -> None:
    wrong = answers[1] == 0
    # Among ties alone the error to expect is the same at every coverage.
    tied = bootstrap.selective_intervals(np.zeros(600), wrong, np.ones(600, bool))
    assert tied["aurc"] == pytest.approx(tied["selective_error"])


def test_the_area_of_some_ties_is_that_of_plain_resampling(answers: tuple[Floats, Labels]) -> None:
    probabilities, labels = answers
    rows = np.argsort(probabilities.argmax(axis=1) != labels)  # The worst order for ties: last.
    score = (1 - probabilities.max(axis=1)).round(1)[rows]
    wrong = (probabilities.argmax(axis=1) != labels)[rows]
    rng = np.random.default_rng(2)
    drawn = [rng.integers(0, 600, 600) for _ in range(400)]
    plain = np.quantile([metrics.aurc(score[one], wrong[one]) for one in drawn], [0.025, 0.975])
    quick = bootstrap.selective_intervals(score, wrong, score <= 0.3)["aurc"]
    assert quick == pytest.approx(plain, abs=0.006)


def test_the_faces_of_a_person_are_drawn_at_once() -> None:
    """Twenty people, each of whom the model reads well and surely, or neither."""
    rng = np.random.default_rng(4)
    person = rng.permutation(np.repeat(np.arange(20), 30))
    labels = rng.integers(0, 4, 600)
    well = person % 2 == 1
    seen = np.where(rng.random(600) < np.where(well, 0.95, 0.5), labels, (labels + 1) % 4)
    height = np.where(well, 0.5, 0.3) + rng.uniform(0, 0.3, 600)
    probabilities = 0.1 + height[:, None] * np.eye(4)[seen] + rng.uniform(0, 0.01, (600, 4))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    score, wrong = 1 - probabilities.max(axis=1), seen != labels
    cut = float(np.median(score))
    found: dict[str, list[float]] = {}
    for _ in range(400):
        rows = np.concatenate([np.flatnonzero(person == one) for one in rng.integers(0, 20, 20)])
        summary = metrics.summary(probabilities[rows], labels[rows], NAMES)
        kept = score[rows] <= cut
        numbers = {
            **{name: summary[name] for name in ("accuracy", "nll", "macro_f1")},
            "coverage": kept.mean(),
            "selective_error": wrong[rows][kept].mean(),
            "aurc": metrics.aurc(score[rows], wrong[rows]),
            "auroc": metrics.auroc(score[rows], wrong[rows]),
        }
        for name, value in numbers.items():
            found.setdefault(name, []).append(value)

    def intervals(joined: Labels | None) -> dict[str, bootstrap.Interval | None]:
        return {
            **bootstrap.summary_intervals(probabilities, labels, joined),
            **bootstrap.selective_intervals(score, wrong, score <= cut, joined),
            "auroc": bootstrap.auroc_interval(score, wrong, joined),
        }

    grouped, alone = intervals(7 * person), intervals(None)  # Any numbers.
    for name, values in found.items():
        assert grouped[name] == pytest.approx(np.quantile(values, [0.025, 0.975]), abs=0.03), name
        wide, narrow = grouped[name], alone[name]
        assert wide
        assert narrow
        assert np.ptp(wide) > 1.2 * np.ptp(narrow), name


def test_what_is_not_defined_has_no_interval() -> None:
    score = np.array([0.5, 0.6, 0.7])
    never = bootstrap.selective_intervals(score, np.array([True, False, False]), score <= 0.1)
    assert never["selective_error"] is None
    assert never["coverage"] == (0.0, 0.0)
    assert bootstrap.auroc_interval(score, np.array([True, True, True])) is None


def test_the_paired_interval_of_two_equal_models_is_zero() -> None:
    right = np.random.default_rng(0).random(500) < 0.8
    assert bootstrap.gain_interval(right, right) == (0.0, 0.0)


def test_the_paired_interval_is_narrower_than_that_of_independent_models() -> None:
    rng = np.random.default_rng(0)
    first = rng.random(2000) < 0.8
    second = first.copy()
    second[np.flatnonzero(~first)[:40]] = True  # Right about 40 rows more.
    low, high = bootstrap.gain_interval(first, second)
    # A difference of 0.02, whose rows have a deviation of sqrt(0.02 * 0.98).
    spread = 1.96 * np.sqrt(0.02 * 0.98 / 2000)
    assert low == pytest.approx(0.02 - spread, abs=1e-3)
    assert high == pytest.approx(0.02 + spread, abs=1e-3)


def test_the_paired_interval_is_signed_from_first_to_second() -> None:
    worse = np.array([True] * 50 + [False] * 50)
    better = np.array([True] * 80 + [False] * 20)
    assert bootstrap.gain_interval(worse, better)[0] > 0
    assert bootstrap.gain_interval(better, worse)[1] < 0


def test_the_paired_interval_of_groups_is_that_of_groups_drawn_by_hand() -> None:
    rng = np.random.default_rng(0)
    person = rng.integers(0, 15, 600)
    first = rng.random(600) < 0.7
    second = np.where(person % 3 == 0, True, first)
    gain = second.astype(int) - first
    by_hand = []
    for _ in range(2000):
        rows = np.concatenate([np.flatnonzero(person == one) for one in rng.integers(0, 15, 15)])
        by_hand.append(gain[rows].mean())
    low, high = bootstrap.gain_interval(first, second, person)
    assert (low, high) == pytest.approx(np.quantile(by_hand, [0.025, 0.975]), abs=0.01)
    alone = bootstrap.gain_interval(first, second)
    assert high - low > 2 * (alone[1] - alone[0])
