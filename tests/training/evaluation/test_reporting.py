from dataclasses import replace

import numpy as np
import pytest

from recognizer.training.datasets.faces import Faces
from recognizer.training.datasets.labelling import Labelling
from recognizer.training.evaluation import reporting
from recognizer.training.evaluation.scoring import SplitAnswers, answer, scores
from recognizer.vision.classification import OnnxClassifier
from tests.vision.tiny_model import write_tiny_model

VOTED = Labelling("drawings", "Majority", "drawings", "drawings", "What most say.", True, "Own")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> OnnxClassifier:
    return OnnxClassifier(write_tiny_model(tmp_path_factory.mktemp("models") / "tiny"))


@pytest.fixture(scope="module")
def public(faces: Faces) -> Faces:
    return faces.split("PublicTest")


@pytest.fixture(scope="module")
def answers(model: OnnxClassifier, public: Faces) -> SplitAnswers:
    return answer(model, public)


def test_a_report_has_the_numbers_that_evaluate_prints(
    model: OnnxClassifier, public: Faces, answers: SplitAnswers
) -> None:
    printed = scores(answer(model, public))
    found = reporting.evaluated(model.card, "PublicTest", VOTED, answers)
    assert found.scores == printed == scores(answers)
    for protocol in (found.ferplus, found.fer2013):
        assert protocol is not None
        for number in protocol.numbers:
            assert number.value == printed[protocol.key][number.name]
            assert number.interval is None or number.interval[0] <= number.interval[1]
        assert protocol.reliability.ece == printed[protocol.key]["ece"]
        assert protocol.reliability.count.sum() == protocol.rows


def test_a_model_without_the_second_head_has_no_second_protocol(
    model: OnnxClassifier, answers: SplitAnswers
) -> None:
    found = reporting.evaluated(model.card, "PublicTest", VOTED, replace(answers, own=None))
    assert found.fer2013 is None
    assert found.scores["fer2013"] is None


def test_the_operating_point_lies_on_the_curve(
    model: OnnxClassifier, answers: SplitAnswers
) -> None:
    threshold = float(np.median(answers.score))
    committed = replace(answers, threshold=threshold, answered=answers.score <= threshold)
    selection = reporting.evaluated(model.card, "PublicTest", VOTED, committed).selection
    place = np.searchsorted(selection.curve.x, selection.coverage)
    assert selection.risk == pytest.approx(selection.curve.y[place])


def test_mistakes_begin_with_the_surest_and_hold_no_right_answer(
    public: Faces, answers: SplitAnswers
) -> None:
    wrong = reporting.mistakes(answers, public, most=5)
    assert len(wrong) == 5
    assert all(one.true != one.predicted for one in wrong)
    sure = [one.probability for one in wrong]
    assert sure == sorted(sure, reverse=True)
    every = answers.probabilities.max(axis=1)[answers.agreed & answers.wrong]
    assert sure[0] == every.max()
    assert np.array_equal(public.images[wrong[0].row - 1], wrong[0].image)
    assert wrong[0].votes == ((wrong[0].true, 8), ("fear", 2))


def test_numbers_are_written_with_their_units() -> None:
    number = reporting.Number("accuracy", "accuracy", True, "higher", 0.8671, (0.85496, 0.8787))
    assert (number.text, number.range) == ("86.71%", "85.5–87.9%")
    number = reporting.Number("ece", "ECE", False, "lower", 0.01284, (0.005, 0.021))
    assert (number.text, number.range) == ("0.0128", "0.0050–0.0210")
    number = reporting.Number("selective_error", "selective error", True, "lower", None, None)
    assert (number.text, number.range) == ("–", "")
