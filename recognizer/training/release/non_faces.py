"""The head that says "this is no face": fitted on frozen features, judged out of fold.

FER+ marks some 150 Training rows as no faces; detectors add mistakes of their own. A linear
head on the features of the fitted network needs no more than that, and costs nothing to serve. It
sees those of the last two stages: a network that is taught to look past what spoils a face keeps
little of what is no face to its end. Features of the first stage as well would find a little more,
and call more faces none that are covered in part.
Backgrounds are made up of pieces of faces and of noise, and cut out of photos where there are any.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from recognizer.training.augmentation import Augmentation, augment
from recognizer.training.datasets.preparation import TrainingSet
from recognizer.training.evaluation import metrics

Floats = NDArray[np.float64]
Features = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""(N, size, size) uint8 grey pictures to (N, F) features."""

FOLDS = 5
# So many of the faces that out-of-fold answers see may be called no face, varied as a detector's
# crops are: what is served is rarely as tidy as a data set, and a face lost is worse than a find.
FALSE_ALARMS = 0.01
# Faces and made-up backgrounds taken for fitting: more changes nothing but the time.
FACES = 6000
BACKGROUNDS = 2000
# Each marked row is learned from so often: as it is, and varied as the faces are.
COPIES = 8
# Of scikit-learn's logistic regression: the inverse of the penalty on squared weights.
C = 0.1


@dataclass(frozen=True)
class LinearHead:
    """`features @ weights + bias` is the logit of "no face"; weights (F,)."""

    weights: Floats
    bias: float

    def logits(self, features: NDArray[np.floating]) -> Floats:
        answers: Floats = features.astype(np.float64) @ self.weights + self.bias
        return answers


@dataclass(frozen=True)
class NonFaceHead:
    """The fitted head, its threshold, and how it does out of fold.

    Each picture counts once, as it is. Varied copies are learned from, and those of faces set the
    threshold.

    Attributes:
        head: fitted on everything.
        threshold: probability above which a crop is called no face.
        found: share of FER+'s marked rows above it; None without such rows.
        backgrounds_found: share of the made-up backgrounds above it.
        crops_found: share of the crops of photos above it; None without crops.
        false_alarms: share of faces above it.
        auroc: of the marked rows against faces.
    """

    head: LinearHead
    threshold: float
    found: float | None
    backgrounds_found: float
    crops_found: float | None
    false_alarms: float
    auroc: float | None


@dataclass(frozen=True)
class _Pictures:
    """What is learned from; all share the first axis.

    Attributes:
        images: (N, size, size) uint8.
        kinds: (N,) "face", "background", "marked" or "crop".
        groups: (N,) the same number for all that comes from one picture or photo.
        original: (N,) bool, False for a varied copy.
    """

    images: NDArray[np.uint8]
    kinds: NDArray[np.str_]
    groups: NDArray[np.int64]
    original: NDArray[np.bool_]


def fit_non_face_head(
    features: Features, training: TrainingSet, how: Augmentation, seed: int = 0
) -> NonFaceHead | None:
    """Fit the head on `training.non_faces`, backgrounds and faces.

    None where there are neither enough marked rows nor crops of photos: made-up backgrounds
    alone say too little of what a detector takes for a face.

    All that comes from one picture or photo falls into one fold, so no answer that is counted
    here was given by a head that had seen it.
    """
    if len(training.non_faces) < FOLDS and not training.backgrounds:
        return None
    rng = np.random.default_rng(seed)
    shown = _collect(training, how, rng)
    kinds, groups = shown.kinds, shown.groups
    seen = features(shown.images).astype(np.float64)
    positive = kinds != "face"
    folds = rng.permutation(FOLDS * (groups.max() // FOLDS + 1))[groups] % FOLDS
    answers = np.zeros(len(seen))
    for fold in range(FOLDS):
        inside = folds != fold
        head = fit_logistic(seen[inside], positive[inside], _weights(kinds[inside]))
        answers[~inside] = _sigmoid(head.logits(seen[~inside]))
    faces, marked = (shown.original & (kinds == kind) for kind in ("face", "marked"))
    varied = ~shown.original & (kinds == "face")
    threshold = float(np.quantile(answers[varied], 1 - FALSE_ALARMS))
    judged = faces | marked

    def above(kind: str) -> float:
        return float((answers[shown.original & (kinds == kind)] > threshold).mean())

    return NonFaceHead(
        head=fit_logistic(seen, positive, _weights(kinds)),
        threshold=round(threshold, 4),
        found=above("marked") if marked.any() else None,
        backgrounds_found=above("background"),
        crops_found=above("crop") if training.backgrounds else None,
        false_alarms=above("face"),
        auroc=metrics.auroc(answers[judged], marked[judged]),
    )


def _collect(training: TrainingSet, how: Augmentation, rng: np.random.Generator) -> _Pictures:
    """Faces and what is none, as they are and varied; made-up backgrounds need no copies."""

    def varied(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        copies = [augment(image, how, rng) for image in images]
        return np.array(copies, np.uint8).reshape(images.shape)

    rows = rng.choice(len(training), min(FACES, len(training)), replace=False)
    sources = rng.choice(rows, BACKGROUNDS)
    faces, others = training.images[rows], training.non_faces
    made_up = np.stack([background(training.images[row], rng) for row in sources])
    marked = len(training) + np.arange(len(others))
    repeated, again = np.tile(others, (COPIES - 1, 1, 1)), np.tile(marked, COPIES - 1)
    # A kind, pictures of it, the group of each, and whether they are as they were found.
    parts = [
        ("face", faces, rows, True),
        ("face", varied(faces), rows, False),
        ("background", made_up, sources, True),
        ("marked", others, marked, True),
        ("marked", varied(repeated), again, False),
    ]
    if training.backgrounds:
        crops = training.backgrounds.crops
        photos = len(training) + len(others) + training.backgrounds.photos
        parts += [("crop", crops, photos, True), ("crop", varied(crops), photos, False)]
    sizes = [len(images) for _, images, _, _ in parts]
    return _Pictures(
        images=np.concatenate([images for _, images, _, _ in parts]),
        kinds=np.repeat([kind for kind, _, _, _ in parts], sizes),
        groups=np.concatenate([groups for _, _, groups, _ in parts]),
        original=np.repeat([original for _, _, _, original in parts], sizes),
    )


def background(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Something that is no face: a part of one blown up, its pieces shuffled, or a texture."""
    side = image.shape[0]
    match rng.integers(0, 3):
        case 0:
            small = int(rng.integers(side // 8, side // 3))
            left, top = rng.integers(0, side - small + 1, 2)
            piece = image[top : top + small, left : left + small]
            return _resized(piece, side)
        case 1:
            third = side // 3
            pieces = [
                image[y : y + third, x : x + third]
                for y in range(0, 3 * third, third)
                for x in range(0, 3 * third, third)
            ]
            order = rng.permutation(9)
            rows = [np.hstack([pieces[order[3 * y + x]] for x in range(3)]) for y in range(3)]
            return _resized(np.vstack(rows), side)
        case _:
            return _texture(side, rng)


def _texture(side: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Noise whose power falls with frequency, as that of walls, leaves and cloth does."""
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side)[None])
    frequency[0, 0] = 1
    spectrum = np.fft.fft2(rng.normal(size=(side, side))) / frequency ** rng.uniform(0.5, 2)
    noise = np.real(np.fft.ifft2(spectrum))
    scaled = (noise - noise.min()) / max(float(np.ptp(noise)), 1e-9)
    grey: NDArray[np.uint8] = (rng.uniform(0, 80) + scaled * rng.uniform(40, 175)).astype(np.uint8)
    return grey


def _resized(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    return cv2.resize(image, (side, side), interpolation=cv2.INTER_LINEAR).astype(np.uint8)


def _weights(kinds: NDArray[np.str_]) -> Floats:
    """Each kind of what is no face counts alike, and together they count as much as the faces."""
    others = sorted(set(kinds) - {"face"})
    weights = np.zeros(len(kinds))
    for kind in ("face", *others):
        rows = kinds == kind
        weights[rows] = (0.5 if kind == "face" else 0.5 / len(others)) / max(1, int(rows.sum()))
    return weights * len(kinds)


def fit_logistic(features: Floats, positive: NDArray[np.bool_], weights: Floats) -> LinearHead:
    """Logistic regression on standardised features, with a ridge penalty.

    Args:
        features: (N, F), as they are.
        positive: (N,) what the answer should be; there are rows of both.
        weights: (N,) how much each row counts.
    """
    # `average` imports this module, too, and runs without scikit-learn.
    from sklearn import linear_model, preprocessing  # type: ignore[import-untyped, unused-ignore]

    scaler = preprocessing.StandardScaler()
    regression = linear_model.LogisticRegression(C=C, solver="newton-cholesky", tol=1e-6)
    regression.fit(scaler.fit_transform(features), positive, weights)
    # The served head sees the features as they are.
    scaled = regression.coef_[0] / scaler.scale_
    return LinearHead(scaled, float(regression.intercept_[0] - scaled @ scaler.mean_))


def _sigmoid(logits: Floats) -> Floats:
    chances: Floats = 1 / (1 + np.exp(-np.clip(logits, -60, 60)))
    return chances
