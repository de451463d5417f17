import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recognizer.training.evaluation import metrics
from recognizer.training.release import calibration
from recognizer.vision import uncertainty
from recognizer.vision.classification import Answers, softmax
from recognizer.vision.preprocessing import normalize


def one_hot(second: np.ndarray) -> np.ndarray:
    """(N, 8) certain answers: the second class where true, else the first."""
    answers: np.ndarray = np.eye(8)[second.astype(int)]
    return answers


def sample(
    temperature: float, rows: int = 20_000, spread: float = 1.5
) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are too large by a factor, and labels drawn from the true distribution."""
    rng = np.random.default_rng(3)
    true = rng.normal(0, spread, (rows, 8))
    chances = softmax(true).cumsum(axis=1)
    labels = (rng.random((rows, 1)) > chances).sum(axis=1).clip(0, 7)
    return true * temperature, labels


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_it_finds_the_temperature_that_was_hidden(temperature: float) -> None:
    logits, labels = sample(temperature)
    assert calibration.fit_temperature(logits, labels) == pytest.approx(temperature, rel=0.05)


def test_certainty_does_not_grow_without_end() -> None:
    labels = np.array([0, 1] * 6)
    all_right = 0.3 * np.eye(8)[labels]
    assert calibration.fit_temperature(all_right, labels) == 1.0
    # Nor where only one class is there, though some answers are wrong.
    logits, _ = sample(3.0)
    assert calibration.fit_temperature(logits, np.zeros(len(logits), np.int64)) == 1.0


def test_calibrating_lowers_the_calibration_error() -> None:
    logits, labels = sample(3.0)
    fitted = calibration.fit_temperature(logits, labels)
    assert metrics.ece(softmax(logits / fitted), labels) < 0.02
    assert metrics.ece(softmax(logits), labels) > 0.1


def test_the_threshold_answers_as_many_as_the_error_allows() -> None:
    score = np.arange(10) / 10
    wrong = np.array([0, 0, 0, 0, 0, 1, 0, 0, 0, 1], bool)
    threshold = calibration.largest_threshold(score, wrong, 0.12)
    answered = score <= threshold
    assert answered.sum() == 9
    assert wrong[answered].mean() <= 0.12


def test_ties_are_answered_all_or_not_at_all() -> None:
    score = np.array([0.1, 0.2, 0.2, 0.2, 0.2])
    wrong = np.array([False, False, True, True, True])
    answered = score <= calibration.largest_threshold(score, wrong, 0.05)
    assert answered.tolist() == [True, False, False, False, False]


@given(
    st.lists(st.tuples(st.integers(1, 5), st.booleans()), min_size=1, max_size=20),
    st.sampled_from([0.0, 0.125, 0.25, 1.0]),
)
def test_no_threshold_with_so_few_errors_answers_more(
    rows: list[tuple[int, bool]], target: float
) -> None:
    score, wrong = np.array([value for value, _ in rows]) / 5, np.array([bad for _, bad in rows])

    def kept(threshold: float) -> tuple[int, bool]:
        answered = score <= threshold
        return int(answered.sum()), bool(wrong[answered].sum() <= target * answered.sum())

    best = max(count for count, allowed in map(kept, (0.0, *score)) if allowed)
    assert kept(calibration.largest_threshold(score, wrong, target)) == (best, True)


@pytest.mark.parametrize("unit", [0.1, 1e-9])
def test_a_threshold_has_no_more_digits_than_it_needs(unit: float) -> None:
    score, wrong = unit * np.array([1 / 3, 2 / 3, 5 / 3, 7 / 3]), np.array([0, 0, 1, 1], bool)
    threshold = calibration.largest_threshold(score, wrong, 0.05)
    assert (score <= threshold).tolist() == [True, True, False, False]
    assert threshold == float(f"{threshold:.4g}")


def test_no_row_is_answered_when_the_surest_are_wrong() -> None:
    score, wrong = np.array([0.1, 0.2]), np.array([True, True])
    assert calibration.largest_threshold(score, wrong, 0.05) == 0.0


def test_the_best_score_has_the_lowest_area_under_the_risk_curve() -> None:
    logits, labels = sample(1.0, 2000)
    choices = calibration.choose_score(Answers(softmax(logits)), labels, np.zeros(2000, bool))
    assert {choice.kind for choice in choices} == {"confidence", "margin", "entropy"}
    assert choices[0].aurc == min(choice.aurc for choice in choices)


def test_the_fitted_thresholds_keep_their_promise_on_other_rows() -> None:
    logits, labels = sample(1.0, spread=5.0)
    probabilities, fitted = softmax(logits), np.arange(len(labels)) % 2 == 0
    wrong = probabilities.argmax(axis=1) != labels
    half, undisputed = Answers(probabilities[fitted]), np.zeros(fitted.sum(), bool)
    for choice in calibration.choose_score(half, labels[fitted], undisputed):
        # Answering more would be wrong too often: what the target allows is used up.
        assert choice.error == pytest.approx(calibration.TARGET_ERROR, abs=0.001)
        answered = uncertainty.score(probabilities, choice.kind) <= choice.threshold
        assert answered[~fitted].mean() == pytest.approx(choice.coverage, abs=0.02)
        assert wrong[answered & ~fitted].mean() == pytest.approx(choice.error, abs=0.01)


def test_doubt_that_turns_disagreement_upside_down_costs_more_than_unknown() -> None:
    def cost(disagreement: float | None) -> float:
        return calibration.Choice("margin", 0.0, 0.5, 0.8, 0.05, 0.03, disagreement).cost

    assert cost(0.0) == pytest.approx(0.13)
    assert cost(None) == cost(0.5) == pytest.approx(0.08)


def test_an_ambiguity_head_that_sees_disagreement_gets_a_share() -> None:
    logits, labels = sample(1.0, 2000)
    disputed = np.random.default_rng(1).random(len(labels)) < 0.3
    seen = np.where(disputed, 0.9, 0.1)
    choices = calibration.choose_score(Answers(softmax(logits), seen), labels, disputed)
    assert choices[0].ambiguity_weight > 0
    assert choices[0].disagreement_auroc == 1.0


def test_a_guess_that_only_the_lift_makes_is_doubted() -> None:
    # Sad is so rare that its lifted probability is the highest where it is hardly ever right.
    rng = np.random.default_rng(0)
    labels = (rng.random(4000) < 0.1).astype(np.int64)
    evidence = rng.normal(labels * 2 - 1, 1.0)
    natural = softmax(np.column_stack([np.log(0.9) - evidence, np.log(0.1) + evidence]))
    lift = (0.0, 2.0)
    lifted = natural * np.exp(lift) / (natural * np.exp(lift)).sum(axis=1, keepdims=True)
    undisputed = np.zeros(len(labels), bool)
    with_it, without = (
        calibration.choose_score(Answers(lifted), labels, undisputed, given)[0]
        for given in (lift, ())
    )
    assert with_it.aurc < without.aurc
    assert with_it.coverage > without.coverage + 0.05


def test_an_emotion_that_was_never_shown_is_lifted_no_more_than_the_commonest() -> None:
    rng = np.random.default_rng(0)
    labels = rng.choice(2, 4000, p=[0.9, 0.1])
    evidence = np.log([0.9, 0.1]) + 2 * np.eye(2)[labels] + rng.normal(0, 1, (4000, 2))
    logits = np.column_stack([evidence, rng.normal(-4, 1, 4000)])
    lift = calibration.adjust_for_rare(logits, labels, np.array([0.9, 0.1, 0.0]))
    assert lift[2] == lift[0] < lift[1]


def test_rare_emotions_are_lifted_as_far_as_accuracy_allows() -> None:
    rng = np.random.default_rng(0)
    frequency = np.array([0.9, 0.1])
    labels = (rng.random(8_000) < frequency[1]).astype(np.int64)
    evidence = rng.normal(labels * 2 - 1, 1.0)
    logits = np.column_stack([np.log(0.9) - evidence, np.log(0.1) + evidence])
    bias = np.array(calibration.adjust_for_rare(logits, labels, frequency))

    def recall(answers: np.ndarray) -> float:
        return float((answers.argmax(axis=1) == 1)[labels == 1].mean())

    def accuracy(answers: np.ndarray) -> float:
        return float((answers.argmax(axis=1) == labels).mean())

    assert recall(logits + bias) > recall(logits) + 0.02
    lost = accuracy(logits) - accuracy(logits + bias)
    assert 0 < lost <= 1.5 * calibration.TOLERATED_ADJUSTMENT_LOSS


def seen(size: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits, labels and how frequent each of eight classes is, some of them rare."""
    rng = np.random.default_rng(seed)
    frequency = np.array([0.35, 0.25, 0.15, 0.12, 0.08, 0.03, 0.01, 0.01])
    labels = rng.choice(8, size, p=frequency)
    evidence = rng.normal(2.5 * np.eye(8)[labels], 1.0)
    return np.log(frequency) + 2.5 * evidence, labels, frequency


def test_a_network_that_was_shown_the_rare_ones_more_often_is_lifted_less() -> None:
    logits, labels, frequency = seen(2000, seed=0)
    rare = -np.log(frequency)
    rare -= rare.mean()
    lift = np.array(calibration.adjust_for_rare(logits, labels, frequency))
    balanced = calibration.adjust_for_rare(logits + 0.2 * rare, labels, frequency)
    np.testing.assert_allclose(balanced, lift - 0.2 * rare, atol=0.06 * np.abs(rare).max())
    # Lifted so far by its training, none is pushed down again.
    assert not any(calibration.adjust_for_rare(logits + rare, labels, frequency))


@pytest.mark.parametrize(("rows", "most"), [(20, 0.001), (100, 0.006), (1600, 0.006)])
def test_other_rows_pay_about_what_is_tolerated(rows: int, most: float) -> None:
    others, truth, _ = seen(40_000, seed=99)

    def accuracy_and_recall(lift: object) -> tuple[float, float]:
        answers = (others + lift).argmax(axis=1)
        recalls = [(answers[truth == one] == one).mean() for one in range(8)]
        return float((answers == truth).mean()), float(np.mean(recalls))

    before = accuracy_and_recall(0)
    after = [
        accuracy_and_recall(calibration.adjust_for_rare(*seen(rows, seed))) for seed in range(5)
    ]
    costs = [before[0] - accuracy for accuracy, _ in after]
    assert np.mean(costs) < most
    assert max(costs) < 2 * most
    if rows > 50:
        assert min(recall for _, recall in after) > before[1] + 0.01


def test_what_is_always_right_is_left_as_it_is() -> None:
    labels = np.tile(np.arange(8), 5)
    frequency = np.array([0.35, 0.25, 0.15, 0.12, 0.08, 0.03, 0.01, 0.01])
    assert not any(calibration.adjust_for_rare(5 * np.eye(8)[labels], labels, frequency))


def test_faces_are_too_small_where_the_detail_is_lost() -> None:
    # Stripes of two pixels: gone once the picture is shrunk to less than half.
    stripes = np.tile(np.repeat([0, 255], 2), 12).astype(np.uint8)
    striped = np.tile(stripes, (48, 1))
    plain = np.full((48, 48), 128, np.uint8)
    images, labels = np.stack([striped, plain] * 5), np.array([1, 0] * 5)

    def classify(faces: np.ndarray) -> np.ndarray:
        return one_hot(faces.std(axis=(1, 2)) > 60)

    smallest = calibration.smallest_face(classify, images, labels, margin=1.0)
    assert 12 <= smallest <= 40
    assert calibration.smallest_face(classify, images, labels, margin=2.0) < smallest


def test_faces_that_were_chosen_as_usable_are_hardly_ever_blurred() -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (200, 48, 48)).astype(np.uint8)
    labels = np.zeros(200, np.int64)

    def classify(faces: np.ndarray) -> np.ndarray:
        return one_hot(faces.std(axis=(1, 2)) < 60)

    least = calibration.least_sharpness(classify, images, labels)
    assert least > 0
    assert (uncertainty.sharpness(normalize(images)) < least).mean() <= 0.01
