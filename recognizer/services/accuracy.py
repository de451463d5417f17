"""How right the model is on the site's own photos: an estimate from a random sample of reviews.

Only faces that the queue's random order came to count (`Face.sampled_at`), whatever order they
were reviewed in: reviews of the least certain faces alone would make any model look bad.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from itertools import groupby, permutations
from math import sqrt
from typing import Final

from django.contrib.auth.models import Group
from django.db.models import Prefetch

from recognizer.models import (
    FaceQuerySet,
    ModelVersion,
    Opinion,
    Prediction,
    Review,
    User,
)
from recognizer.services import review_access, reviews
from recognizer.vision.emotions import EMOTIONS

Z: Final = 1.959964  # of the standard normal distribution, for 95%
WANTED_MARGIN: Final = 0.03
BINS: Final = 10


@dataclass(frozen=True, slots=True)
class Selection:
    """Of which faces.

    Attributes:
        reviewer: who asks; only the photos that they may review count.
        since, until: days of upload, both included.
        owners: only the photos of this group's members.
        version: whose predictions are judged; None for each face's newest one.
    """

    reviewer: User
    since: date | None = None
    until: date | None = None
    owners: Group | None = None
    version: ModelVersion | None = None

    def faces(self) -> FaceQuerySet:
        """All faces that the sample stands for."""
        faces = review_access.faces_for(self.reviewer)
        if self.since:
            faces = faces.filter(photo__created__date__gte=self.since)
        if self.until:
            faces = faces.filter(photo__created__date__lte=self.until)
        if self.owners:
            faces = faces.filter(photo__user__in=User.objects.filter(groups=self.owners))
        if self.version:
            faces = faces.filter(predictions__model_version=self.version)
        return faces


@dataclass(frozen=True, slots=True)
class Share:
    """A share with its 95% interval after Wilson (1927), which holds for few answers too."""

    of: int
    hits: int

    @property
    def value(self) -> float | None:
        return self.hits / self.of if self.of else None

    @property
    def interval(self) -> tuple[float, float]:
        """From 0 to 1 while there is no answer at all."""
        if not self.of:
            return 0.0, 1.0
        p, n, z2 = self.hits / self.of, self.of, Z * Z
        middle = (p + z2 / (2 * n)) / (1 + z2 / n)
        half = Z * sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
        return max(0.0, middle - half), min(1.0, middle + half)

    @property
    def margin(self) -> float:
        """Half the interval's width."""
        low, high = self.interval
        return (high - low) / 2

    def more_for(self, margin: float = WANTED_MARGIN) -> int:
        """How many more answers an interval of plus or minus `margin` takes, at this share."""
        enough = 1
        while self._with(enough).margin > margin:
            enough *= 2
        return bisect_left(
            range(enough + 1), True, key=lambda more: self._with(more).margin <= margin
        )

    def _with(self, more: int) -> "Share":
        p = self.value if self.of else 0.5
        assert p is not None
        return Share(self.of + more, round((self.of + more) * p))


@dataclass(frozen=True, slots=True)
class Judged:
    """A sampled face that has been reviewed.

    Attributes:
        prediction: the model's answer.
        answers: the emotion that each reviewer gave; without those who could not tell.
        truth: what most of them said; "" if they could not tell or are divided.
        no_face: whether most said that it is no face.
        day: of the upload.
    """

    prediction: Prediction
    answers: tuple[str, ...]
    truth: str
    no_face: bool
    day: date

    @property
    def right(self) -> bool:
        return self.truth == self.prediction.emotion


@dataclass(frozen=True, slots=True)
class Bin:
    """The faces whose confidence lies between two bounds."""

    low: float
    high: float
    confidence: float
    right: Share


@dataclass(frozen=True)
class Estimate:
    """What a sample of reviews says of the model.

    Attributes:
        judged: the sampled faces, reviewed.
        population: all the faces that they stand for.
    """

    judged: Sequence[Judged]
    population: int

    @cached_property
    def answered(self) -> list[Judged]:
        """Those that have a truth to compare with."""
        return [face for face in self.judged if face.truth]

    @property
    def accuracy(self) -> Share:
        return _share(self.answered)

    @property
    def no_faces(self) -> Share:
        return Share(len(self.judged), sum(face.no_face for face in self.judged))

    @property
    def undecided(self) -> Share:
        undecided = sum(not face.truth and not face.no_face for face in self.judged)
        return Share(len(self.judged), undecided)

    @property
    def coverage(self) -> Share:
        """Of the faces with a truth, those that the model is certain of."""
        return Share(len(self.answered), sum(not f.prediction.uncertain for f in self.answered))

    @property
    def when_certain(self) -> Share:
        """How often it is right where it is certain."""
        return _share(face for face in self.answered if not face.prediction.uncertain)

    @property
    def more_needed(self) -> int:
        return self.accuracy.more_for(WANTED_MARGIN)

    @cached_property
    def confusion(self) -> Mapping[str, Mapping[str, int]]:
        """How often each emotion (outer key: the truth) was called what."""
        counts = Counter((face.truth, face.prediction.emotion) for face in self.answered)
        return {truth: {said: counts[truth, said] for said in EMOTIONS} for truth in EMOTIONS}

    @property
    def reliability(self) -> list[Bin]:
        """Confidence against how often it was right, in ten bins; empty ones are left out."""
        bins: dict[int, list[Judged]] = defaultdict(list)
        for face in self.answered:
            bins[min(BINS - 1, int(face.prediction.confidence * BINS))].append(face)
        return [
            Bin(
                number / BINS,
                (number + 1) / BINS,
                sum(face.prediction.confidence for face in inside) / len(inside),
                _share(inside),
            )
            for number, inside in sorted(bins.items())
        ]

    @property
    def risk_coverage(self) -> list[tuple[float, float]]:
        """Coverage and error when only the most confident answers are given, 0-1 each."""
        ranked = sorted(self.answered, key=lambda face: -face.prediction.confidence)
        given, wrong, points = 0, 0, []
        # Faces of one confidence are answered all or not at all.
        for _, equals in groupby(ranked, key=lambda face: face.prediction.confidence):
            faces = list(equals)
            given += len(faces)
            wrong += sum(not face.right for face in faces)
            points.append((given / len(ranked), wrong / given))
        return points

    @property
    def by_week(self) -> list[tuple[date, Share]]:
        """Accuracy by the week of upload, which begins on Monday: does it drift?"""
        weeks: dict[date, list[Judged]] = defaultdict(list)
        for face in self.answered:
            weeks[face.day - timedelta(days=face.day.weekday())].append(face)
        return [(week, _share(inside)) for week, inside in sorted(weeks.items())]

    @property
    def agreement(self) -> float | None:
        """Krippendorff's alpha (2004, nominal) of the reviewers; None without two on a face.

        1 is full agreement, 0 what chance would give.
        """
        return krippendorff([face.answers for face in self.judged])


def estimate(selection: Selection) -> Estimate:
    """The estimate from the sampled faces of a selection; a few queries however many there are."""
    standing = Opinion.objects.select_related("review__prediction").order_by("review")
    faces = selection.faces()
    sampled = faces.filter(sampled_at__isnull=False, opinions__gt=0)
    sampled = sampled.select_related("current", "photo").prefetch_related(
        Prefetch("standing", queryset=standing)
    )
    if selection.version:
        asked_for = Prediction.objects.filter(model_version=selection.version)
        sampled = sampled.prefetch_related(Prefetch("predictions", queryset=asked_for))
    judged = []
    for face in sampled:
        prediction = face.predictions.all()[0] if selection.version else face.current
        assert prediction is not None
        said = [opinion.review for opinion in face.standing.all()]
        judged.append(_judged(prediction, said, face.photo.created.date()))
    return Estimate(judged, faces.count())


def truth(said: Sequence[Review]) -> str:
    """The emotion that more than half of a face's reviewers gave it; "" if none is."""
    return _most(_given(said), len(said))


def _judged(prediction: Prediction, said: Sequence[Review], day: date) -> Judged:
    no_face = sum(review.verdict == Review.Verdict.NOT_A_FACE for review in said)
    return Judged(prediction, _given(said), truth(said), 2 * no_face > len(said), day)


def _given(said: Sequence[Review]) -> tuple[str, ...]:
    return tuple(answer for review in said if (answer := reviews.answer_of(review)))


def _most(answers: Sequence[str], of: int) -> str:
    """What more than half of all reviewers said, those who could not tell included; or ""."""
    for answer, count in Counter(answers).most_common(1):
        if 2 * count > of:
            return answer
    return ""


def _share(faces: Iterable[Judged]) -> Share:
    right = [face.right for face in faces]
    return Share(len(right), sum(right))


def krippendorff(units: Iterable[Sequence[str]]) -> float | None:
    """Krippendorff's alpha for nominal answers; units with fewer than two do not count."""
    pairs: dict[tuple[str, str], float] = defaultdict(float)
    for answers in units:
        for pair in permutations(answers, 2):
            pairs[pair] += 1 / (len(answers) - 1)
    if not pairs:
        return None
    totals: dict[str, float] = defaultdict(float)
    for (one, _), weight in pairs.items():
        totals[one] += weight
    everything = sum(totals.values())
    observed = sum(weight for (one, other), weight in pairs.items() if one != other)
    expected = sum(totals[one] * totals[other] for one, other in permutations(totals, 2)) / (
        everything - 1
    )
    return 1 - observed / expected if expected else 1.0
