"""Every way to valence and arousal that was tried, judged by people's ratings.

The ratings judge and are never learned from, but for one reference that says how much of them
can be read from the network's answers at all; it is fitted on some rows and judged on others.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import Ridge  # type: ignore[import-untyped, unused-ignore]
from sklearn.model_selection import (  # type: ignore[import-untyped, unused-ignore]
    PredefinedSplit,
    cross_val_predict,
)
from sklearn.pipeline import make_pipeline  # type: ignore[import-untyped, unused-ignore]
from sklearn.preprocessing import StandardScaler  # type: ignore[import-untyped, unused-ignore]
from tqdm import tqdm

from recognizer.training.affect import isomap
from recognizer.training.affect.agreement import Candidate, Floats, judge
from recognizer.training.affect.circumplex import AROUSAL_HEAD, VALENCE_HEAD, places
from recognizer.training.affect.ratings import Ratings
from recognizer.training.datasets.faces import FER2013_LABELS, DatasetError, Faces, distribution
from recognizer.training.datasets.preparation import TrainingSet, prepare_training
from recognizer.vision.cards import MAIN_HEAD
from recognizer.vision.classification import OnnxClassifier, calibrate
from recognizer.vision.emotions import EMOTIONS
from recognizer.vision.preprocessing import normalize

# How each head's expectation is called; what is shipped is one of them.
EXPECTATIONS: Final = {
    MAIN_HEAD: "expectation of the FER+ head",
    "fer2013": "expectation of the FER-2013 head",
}
LABELS: Final = {MAIN_HEAD: EMOTIONS, "fer2013": FER2013_LABELS}
# Keeps the linear head from leaning on logits that say the same; its inputs have deviation 1.
RIDGE: Final = 1.0
# The ratings are few, and their head must not learn them by heart.
RIDGE_OF_RATINGS: Final = 10.0
FOLDS: Final = 10
_CHUNK: Final = 512


@dataclass(frozen=True, slots=True)
class BothHeads:
    """A model's answers for some faces, by head: logits and calibrated probabilities, (N, K)."""

    logits: dict[str, Floats]
    probabilities: dict[str, Floats]

    @property
    def features(self) -> Floats:
        """(N, 15) the logits of both heads, the input of a linear head."""
        return np.concatenate(list(self.logits.values()), axis=1)

    def expectation(self, head: str) -> Floats:
        """(N, 2) the mean place on the circumplex under a head's probabilities."""
        return self.probabilities[head] @ places(LABELS[head])


def compare(
    classifier: OnnxClassifier, faces: Faces, ratings: Ratings, seed: int
) -> dict[str, Any]:
    """Judge every candidate.

    Args:
        classifier: with both heads.
        faces: with Training and PublicTest rows.
        ratings: of rows of `faces`.
        seed: of ISOMAP's choice of faces, the folds and the bootstrap.

    Returns:
        JSON types: the model, n, `candidates` with CCC and RMSE, their 95% intervals and the
        paired difference to what is shipped, `shipped` by axis, and `arousal_experimental`.

    Raises:
        DatasetError: the faces lack a split, or are not what the model takes.
    """
    _check(classifier, faces)
    training = prepare_training(faces)
    learned = answer(classifier, training.images, "Training faces")
    rated = answer(classifier, faces.images[ratings.rows], "rated faces")
    candidates = [
        *_from_emotions(training, rated),
        *_from_heads(training, learned, rated, seed),
        *_references(faces, rated, ratings, seed),
    ]
    shipped = {"valence": EXPECTATIONS[VALENCE_HEAD], "arousal": EXPECTATIONS[AROUSAL_HEAD]}
    scores = judge(candidates, ratings.values, shipped, seed)
    by_name = {score["name"]: score for score in scores}
    return {
        "model": classifier.card.name,
        "n": len(ratings.rows),
        "training_faces": len(training),
        "seed": seed,
        "shipped": shipped,
        "arousal_experimental": not by_name[shipped["arousal"]]["arousal"]["beats_constant"],
        "candidates": scores,
    }


def _check(classifier: OnnxClassifier, faces: Faces) -> None:
    if not EXPECTATIONS.keys() <= classifier.card.heads.keys():
        raise DatasetError(
            f"{classifier.name} has the heads {', '.join(classifier.card.heads)}; the comparison "
            f"needs {' and '.join(EXPECTATIONS)}."
        )
    size, found = classifier.card.preprocessing.size, faces.images.shape[1]
    if size != found:
        raise DatasetError(
            f"{classifier.name} takes faces of {size}x{size} pixels; these have {found}x{found}."
        )


def answer(classifier: OnnxClassifier, images: NDArray[np.uint8], what: str) -> BothHeads:
    """The model's answers for (N, size, size) grey faces; a progress bar on stderr."""
    heads = classifier.card.heads
    logits: dict[str, Floats] = {}
    calibrated: dict[str, Floats] = {}
    parts: dict[str, list[Floats]] = {head: [] for head in EXPECTATIONS}
    for start in tqdm(range(0, len(images), _CHUNK), what, unit="batch", leave=False, disable=None):
        faces = normalize(images[start : start + _CHUNK])
        for head, part in classifier.logits(faces, list(parts)).items():
            parts[head].append(part)
    for head, labels in LABELS.items():
        order = heads[head].columns(labels)
        raw = np.concatenate(parts[head])
        logits[head], calibrated[head] = raw[:, order], calibrate(raw, heads[head])[:, order]
    return BothHeads(logits, calibrated)


def _from_emotions(training: TrainingSet, rated: BothHeads) -> list[Candidate]:
    """A constant, and what needs no training: each emotion's place on the circumplex."""
    mean = training.ferplus.mean(axis=0, dtype=np.float64) @ places(EMOTIONS)
    best, own = (rated.probabilities[head].argmax(axis=1) for head in EXPECTATIONS)
    constant = np.tile(mean, (len(best), 1))
    both = [rated.expectation(head) for head in LABELS]
    return [
        Candidate("constant: mean of the Training faces", "baseline", constant),
        Candidate("place of the first FER+ emotion", "baseline", places(EMOTIONS)[best]),
        Candidate("place of the first FER-2013 emotion", "baseline", places(FER2013_LABELS)[own]),
        Candidate(EXPECTATIONS[MAIN_HEAD], "model", both[0]),
        Candidate(EXPECTATIONS["fer2013"], "model", both[1]),
        Candidate("mean of both expectations", "model", (both[0] + both[1]) / 2),
    ]


def _from_heads(
    training: TrainingSet, learned: BothHeads, rated: BothHeads, seed: int
) -> list[Candidate]:
    """Linear heads on the logits, each fitted to pseudo-labels of the Training faces."""
    votes, own = training.ferplus.astype(np.float64), training.fer2013.astype(np.float64)
    labelled = own.sum(axis=1) > 0
    plane = isomap.embed(training.images, seed)
    by_votes = isomap.lay_over(plane, votes, places(EMOTIONS))
    by_own = isomap.lay_over(plane[labelled], own[labelled], places(FER2013_LABELS))

    def head(name: str, pseudo: Floats, rows: NDArray[np.bool_] | slice = slice(None)) -> Candidate:
        values = ridge(learned.features[rows], pseudo, rated.features, RIDGE)
        return Candidate(f"linear head on {name}", "model", values)

    moved = head("ISOMAP, FER-2013 centres moved", by_own.moved, labelled)
    expected = rated.expectation("fer2013")
    return [
        head("ISOMAP, turned by FER+ votes", by_votes.turned),
        head("ISOMAP, turned by FER-2013", by_own.turned, labelled),
        head("ISOMAP, FER+ centres moved", by_votes.moved),
        moved,
        head("places of the FER+ votes", votes @ places(EMOTIONS)),
        head("places of FER-2013", own[labelled] @ places(FER2013_LABELS), labelled),
        Candidate(
            "mean of ISOMAP (FER-2013) and FER-2013 expectation",
            "model",
            (moved.values + expected) / 2,
        ),
    ]


def _references(faces: Faces, rated: BothHeads, ratings: Ratings, seed: int) -> list[Candidate]:
    """What knows more than a served model: people's labels, and the ratings themselves."""
    shares = distribution(faces.votes[ratings.rows]).astype(np.float64)
    own = places(FER2013_LABELS)[faces.labels[ratings.rows]]
    return [
        Candidate("place of the most FER+ votes", "reference", places(EMOTIONS)[shares.argmax(1)]),
        Candidate("expectation of the FER+ votes", "reference", shares @ places(EMOTIONS)),
        Candidate("place of the FER-2013 label", "reference", own),
        Candidate(
            "linear head on other faces' ratings",
            "reference",
            _out_of_fold(rated.features, ratings.values, seed),
        ),
    ]


def _out_of_fold(features: Floats, ratings: Floats, seed: int) -> Floats:
    """Each row's answer by a head that was fitted to the ratings of the other folds."""
    folds = PredefinedSplit(np.random.default_rng(seed).permutation(len(ratings)) % FOLDS)
    values: Floats = cross_val_predict(_linear(RIDGE_OF_RATINGS), features, ratings, cv=folds)
    return np.clip(values, -1.0, 1.0)


def ridge(features: Floats, targets: Floats, asked: Floats, penalty: float) -> Floats:
    """Answers of a linear head for other rows (Hoerl and Kennard, 1970), clipped to -1...1.

    Args:
        features: (N, K) to learn from; they are standardised first.
        targets: (N, 2).
        asked: (M, K).
        penalty: on the squared weights, not on the intercept.

    Returns:
        (M, 2).
    """
    values: Floats = _linear(penalty).fit(features, targets).predict(asked)
    return np.clip(values, -1.0, 1.0)


def _linear(penalty: float) -> Any:
    return make_pipeline(StandardScaler(), Ridge(penalty))
