"""Numbers about a data set: what is in it, how alike its pictures are, how far people agree."""

from collections import Counter
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recognizer.training.datasets.classes import CLASSES
from recognizer.training.datasets.faces import (
    EMOTION_OF_LABEL,
    FER2013_LABELS,
    NOT_A_FACE,
    SPLITS,
    Faces,
    majority,
)
from recognizer.training.datasets.near_copies import near_copies
from recognizer.training.datasets.preparation import image_digests
from recognizer.vision.emotions import EMOTIONS

NO_MAJORITY: Final = len(CLASSES)
KINDS: Final = (*CLASSES, "no_majority")
"""What a row may be: a column of the votes that wins, or none of them."""

BINS: Final = 16
# In grey levels of 0-255: below, a picture shows nothing, or hardly anything.
BLANK_DEVIATION: Final = 1.0
FLAT_DEVIATION: Final = 10.0
DARK_MEAN: Final = 30.0
BRIGHT_MEAN: Final = 225.0


@dataclass(frozen=True)
class Count:
    """Some of a whole; `share` is 0 where there is nothing at all."""

    name: str
    count: int
    whole: int

    @property
    def share(self) -> float:
        return self.count / self.whole if self.whole else 0.0

    @property
    def percent(self) -> float:
        return 100 * self.share


@dataclass(frozen=True)
class Classes:
    """How many rows of each kind each split has.

    Attributes:
        names: the kinds, (K).
        splits: the splits that hold rows, in the order of SPLITS, (S).
        counts: (K, S) int64.
    """

    names: tuple[str, ...]
    splits: tuple[str, ...]
    counts: NDArray[np.int64]


@dataclass(frozen=True)
class Pictures:
    """How the images look.

    Attributes:
        sizes: the ten most frequent sizes before resizing, as "width × height".
        different_sizes: how many sizes there are.
        smallest, largest: width and height of the images with the fewest and the most pixels.
        not_square: images whose sides differ.
        enlarged: images that were smaller than they are now.
        means, deviations: (BINS,) int64, histograms of each image's mean grey level (0-255) and
            of its standard deviation (0-128).
        mean, deviation: of the grey levels, averaged over all images.
        blank, flat, dark, bright: rows (N,) bool: hardly any contrast, little, and means near
            the ends.
    """

    sizes: tuple[Count, ...]
    different_sizes: int
    smallest: tuple[int, int]
    largest: tuple[int, int]
    not_square: int
    enlarged: int
    means: NDArray[np.int64]
    deviations: NDArray[np.int64]
    mean: float
    deviation: float
    blank: NDArray[np.bool_]
    flat: NDArray[np.bool_]
    dark: NDArray[np.bool_]
    bright: NDArray[np.bool_]


@dataclass(frozen=True)
class Duplicates:
    """Images with the same pixels, or almost.

    Attributes:
        splits: the splits that hold rows, (S).
        pairs: (S, S) int64; off the diagonal, how many rows of the first split also occur in the
            second; on it, how many repeat an earlier row of their own split.
        repeats: rows that repeat any earlier row.
        contradicting: how many pictures there are that won different emotions in different rows.
        own_contradicting: how many there are with different labels of FER-2013's own.
        groups: the largest groups, as arrays of rows.
        near: held-out rows that look almost like a Training row, see `near_copies`.
    """

    splits: tuple[str, ...]
    pairs: NDArray[np.int64]
    repeats: int
    contradicting: int
    own_contradicting: int
    groups: tuple[NDArray[np.int64], ...]
    near: NDArray[np.int64]


@dataclass(frozen=True)
class Agreement:
    """How far the annotators agree; for data sets whose rows have several votes.

    Attributes:
        agreed: rows whose votes have a majority by FER+'s rule, for an emotion or not.
        emotional: of those, the rows that an emotion wins.
        top_share: (10,) int64, rows by the share of their most frequent answer: 0-10 %, …,
            90-100 %.
        per_class: by winning class, the mean share of the votes it has; rows as `Count.whole`.
        own: rows with both a label of FER-2013's own and a majority: how many agree.
        own_of_all: the same count, of all rows with a label of their own.
        confusion: (7, 11) int64, FER-2013's own label by what FER+ makes of the row (KINDS).
    """

    agreed: Count
    emotional: Count
    top_share: NDArray[np.int64]
    per_class: tuple[tuple[str, int, float], ...]
    own: Count
    own_of_all: Count
    confusion: NDArray[np.int64]


@dataclass(frozen=True)
class NonFaces:
    """Rows that show no face: `rows` (N,) bool, for any of the three reasons that are counted.

    Attributes:
        by_majority: more than half of the votes.
        by_most: at least six of ten votes.
        unnamed: FER+ gives the row no image name.
    """

    rows: NDArray[np.bool_]
    by_majority: int
    by_most: int
    unnamed: int


@dataclass(frozen=True)
class Exploration:
    """All of it; `agreement` is None where every row has one answer only."""

    faces: Faces
    kinds: NDArray[np.int64]
    classes: Classes
    own_labels: Classes | None
    pictures: Pictures
    duplicates: Duplicates
    agreement: Agreement | None
    non_faces: NonFaces


def explore(faces: Faces, sizes: NDArray[np.int64]) -> Exploration:
    """Count everything.

    Args:
        faces: any data set, at least one row.
        sizes: (N, 2) width and height of each image before it was resized.
    """
    if not len(faces):
        raise ValueError("There is no row to explore.")
    kinds = kinds_of(faces.votes)
    several = (faces.votes.max(axis=1) < faces.votes.sum(axis=1)).any()
    labelled = faces.labels >= 0
    return Exploration(
        faces=faces,
        kinds=kinds,
        classes=_classes(kinds, KINDS, faces.splits),
        own_labels=(
            _classes(faces.labels[labelled], FER2013_LABELS, faces.splits[labelled])
            if several and labelled.any()
            else None
        ),
        pictures=_pictures(faces.images, sizes),
        duplicates=_duplicates(faces, kinds),
        agreement=_agreement(faces, kinds) if several else None,
        non_faces=_non_faces(faces, kinds),
    )


def kinds_of(votes: NDArray[np.int64]) -> NDArray[np.int64]:
    """The index into KINDS of every row: `majority`, with NO_MAJORITY for -1."""
    winner = majority(votes)
    return np.where(winner < 0, NO_MAJORITY, winner)


def sample(rows: NDArray[np.bool_], count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """At most `count` of the true rows, at random, in order."""
    chosen: NDArray[np.int64] = np.flatnonzero(rows)
    if len(chosen) > count:
        chosen = rng.choice(chosen, count, replace=False)
    return np.sort(chosen)


def _present(splits: NDArray[np.str_]) -> tuple[str, ...]:
    return tuple(split for split in SPLITS if (splits == split).any())


def _classes(
    indices: NDArray[np.int64], names: tuple[str, ...], splits: NDArray[np.str_]
) -> Classes:
    present = _present(splits)
    counts = [np.bincount(indices[splits == split], minlength=len(names)) for split in present]
    return Classes(names, present, np.stack(counts, axis=1).astype(np.int64))


def _pictures(images: NDArray[np.uint8], sizes: NDArray[np.int64]) -> Pictures:
    means = np.array([image.mean() for image in images])
    deviations = np.array([image.std() for image in images])
    frequent: Counter[tuple[int, int]] = Counter((int(w), int(h)) for w, h in sizes)
    by_pixels = sorted(frequent, key=lambda size: (size[0] * size[1], size))
    side = images.shape[1]
    blank = deviations < BLANK_DEVIATION
    return Pictures(
        sizes=tuple(
            Count(f"{width} × {height}", count, len(sizes))
            for (width, height), count in frequent.most_common(10)
        ),
        different_sizes=len(frequent),
        smallest=by_pixels[0],
        largest=by_pixels[-1],
        not_square=int((sizes[:, 0] != sizes[:, 1]).sum()),
        enlarged=int((sizes.min(axis=1) < side).sum()),
        means=np.histogram(means, BINS, (0, 255))[0].astype(np.int64),
        deviations=np.histogram(deviations, BINS, (0, 128))[0].astype(np.int64),
        mean=float(means.mean()),
        deviation=float(deviations.mean()),
        blank=blank,
        flat=(deviations < FLAT_DEVIATION) & ~blank,
        dark=(means < DARK_MEAN) & ~blank,
        bright=(means > BRIGHT_MEAN) & ~blank,
    )


def _duplicates(faces: Faces, kinds: NDArray[np.int64]) -> Duplicates:
    _, group = np.unique(image_digests(faces.images), return_inverse=True)
    sizes = np.bincount(group)
    present = _present(faces.splits)
    # How often each picture occurs in each split.
    table = np.stack([np.bincount(group[faces.splits == s], minlength=len(sizes)) for s in present])
    pairs = np.zeros((len(present), len(present)), np.int64)
    for first, rows in enumerate(table):
        for second, others in enumerate(table):
            pairs[first, second] = rows[others > 0].sum()
        pairs[first, first] = (rows - (rows > 0)).sum()
    largest = [int(one) for one in np.argsort(-sizes, kind="stable")[:6] if sizes[one] > 1]
    return Duplicates(
        splits=present,
        pairs=pairs,
        repeats=len(group) - len(sizes),
        contradicting=_contradicting(group, kinds, kinds < len(EMOTIONS)),
        own_contradicting=_contradicting(group, faces.labels, faces.labels >= 0),
        groups=tuple(np.flatnonzero(group == one) for one in largest),
        near=near_copies(faces),
    )


def _contradicting(
    group: NDArray[np.int64], answers: NDArray[np.int64], counted: NDArray[np.bool_]
) -> int:
    """How many groups hold different answers among the rows that count."""
    different = np.unique(np.stack([group[counted], answers[counted]], axis=1), axis=0)
    return int((np.bincount(different[:, 0], minlength=1) > 1).sum())


def _agreement(faces: Faces, kinds: NDArray[np.int64]) -> Agreement:
    total = faces.votes.sum(axis=1)
    share = faces.votes.max(axis=1) / np.maximum(total, 1)
    # A share of exactly 0.5 is the end of 40-50 %, whatever its rounding.
    place = np.clip(np.ceil(share * 10 - 1e-9).astype(np.int64) - 1, 0, 9)
    labelled = faces.labels >= 0
    decided = labelled & (kinds != NO_MAJORITY)
    agrees = int((EMOTION_OF_LABEL[faces.labels[decided]] == kinds[decided]).sum())
    confusion = np.zeros((len(FER2013_LABELS), len(KINDS)), np.int64)
    np.add.at(confusion, (faces.labels[labelled], kinds[labelled]), 1)
    return Agreement(
        agreed=Count("majority", int((kinds != NO_MAJORITY).sum()), len(faces)),
        emotional=Count("emotion", int((kinds < len(EMOTIONS)).sum()), len(faces)),
        top_share=np.bincount(place[total > 0], minlength=10).astype(np.int64),
        per_class=tuple(
            (name, int((kinds == index).sum()), float(share[kinds == index].mean()))
            for index, name in enumerate(CLASSES)
            if (kinds == index).any()
        ),
        own=Count("own label", agrees, int(decided.sum())),
        own_of_all=Count("own label", agrees, int(labelled.sum())),
        confusion=confusion,
    )


def _non_faces(faces: Faces, kinds: NDArray[np.int64]) -> NonFaces:
    by_majority = kinds == NOT_A_FACE
    by_most = faces.most_say_non_face
    return NonFaces(
        rows=by_majority | faces.non_face,
        by_majority=int(by_majority.sum()),
        by_most=int(by_most.sum()),
        unnamed=int((~faces.named).sum()),
    )
