"""What lies beside a model's weights, above all its report: how it does on held-out faces."""

from pathlib import Path

from recognizer.management import evaluation_pages, reports
from recognizer.training.datasets.faces import Faces
from recognizer.training.datasets.labelling import Labelling
from recognizer.training.evaluation import reporting, scoring
from recognizer.training.evaluation.histories import read_history
from recognizer.vision.classification import OnnxClassifier

# Names in the folder of a model; a run's folder has the history, too.
CARD = "card.json"
REPORT = "report.html"
HISTORY = "history.csv"
REPLACE = (
    "write over another model of that name; one that the site uses, or would go back to by a "
    "rollback, is never written over"
)
"""What `--replace` does, for the commands that make models."""


def write(
    classifier: OnnxClassifier,
    held_out: Faces,
    labelling: Labelling,
    split: str = "PublicTest",
) -> Path:
    """Write report.html into the model's folder, with the curves of history.csv if it is there."""
    folder = classifier.weights.parent
    answers = scoring.answer(classifier, held_out)
    found = reporting.evaluated(classifier.card, split, labelling, answers)
    curves = folder / HISTORY
    history = read_history(curves) if curves.exists() else []
    page = evaluation_pages.evaluation(found, reporting.mistakes(answers, held_out), history)
    reports.write(folder / REPORT, "reports/evaluation.html", page)
    return folder / REPORT
