"""Which model the site uses: promoted and rolled back by rows that are only ever added."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from django.conf import settings
from django.db import IntegrityError, transaction

from recognizer.models import ModelVersion, Promotion, User
from recognizer.services import model_store, model_versions
from recognizer.vision.cards import ModelCard
from recognizer.vision.classification import OnnxClassifier

LONGEST_REASON = 500

ALL_ROWS: Final = "PublicTest"
ODD_ROWS: Final = "PublicTest odd rows"
"""What a card calls the rows that had no say in temperatures, crop and thresholds, nor in how far
a model went that learned from reviews, as the even ones had."""
HELD_OUT_HASH: Final = "held_out_sha256"
"""What a card calls the hash of the pictures that its numbers are of, and of their labels."""


@dataclass(frozen=True, slots=True)
class Promoted:
    """The site uses another model from now on.

    Attributes:
        passed_over: what a rollback would have come to first, and why it can't be used.
    """

    promotion: Promotion
    passed_over: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The model was promoted already; nothing was written."""

    promotion: Promotion


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing was written; the reason is a sentence."""

    reason: str


Outcome = Promoted | Unchanged | Refused


@dataclass(frozen=True, slots=True)
class Accuracy:
    """What a card says of PublicTest with FER+ majorities: 0-1, and the 95% interval's low end."""

    value: float
    low: float


def promote(
    name: str, who: User | None = None, reason: str = "", force: bool = False
) -> Promoted | Unchanged | Refused:
    """Have the site use a model, once it has proved that it works.

    Args:
        name: of its folder.
        who: did it, if known.
        reason: for those who look at the list later.
        force: take it even if its card promises less than that of the model in use, or was
            measured on other pictures.

    Raises:
        ModelError: there is no model of that name.
    """
    if len(reason) > LONGEST_REASON:
        return Refused(f"The reason is longer than {LONGEST_REASON} characters. Shorten it.")
    folder = model_store.find(name)
    try:
        card = model_store.verify(folder).card
    except (ValueError, OSError) as error:
        return Refused(str(error))
    newest = model_versions.newest_promotion()
    used = _in_use()
    if used and not force and (worse := _worse(name, card, used.classifier)):
        return Refused(worse)
    with transaction.atomic():
        version = model_versions.row_of(card)
    if newest and newest.version == version:
        return Unchanged(newest)
    return _add(newest, used, version=version, name=name, previous=newest, who=who, reason=reason)


def rollback(who: User | None = None, reason: str = "") -> Promoted | Refused:
    """Go back to what the site used before the newest promotion; again, and further back.

    What can't be used any more is passed over, down to the default.
    """
    if len(reason) > LONGEST_REASON:
        return Refused(f"The reason is longer than {LONGEST_REASON} characters. Shorten it.")
    newest = model_versions.newest_promotion()
    if newest is None or newest.version is None:
        return Refused("The site uses its default; there is no promotion to take back.")
    target, passed_over = _usable_before(newest)
    if target is None:
        try:
            model_store.load(settings.EMOTION_MODEL)
        except (ValueError, OSError) as error:
            return Refused(f"No model before can be used, not even the default. {error}")
    outcome = _add(
        newest,
        _in_use(),
        version=target.version if target else None,
        name=target.name if target else "",
        # What lies under the row gone back to, so that the next rollback goes further.
        previous=target.previous if target else None,
        is_rollback=True,
        who=who,
        reason=reason,
    )
    return outcome if isinstance(outcome, Refused) else replace(outcome, passed_over=passed_over)


def _usable_before(newest: Promotion) -> tuple[Promotion | None, list[tuple[str, str]]]:
    """The nearest row before whose model can be used, None for the default; what is passed over."""
    passed_over = []
    row = newest.previous
    while row and row.version:
        try:
            model_store.verify(model_store.find_version(row.version, row.name))
        except (ValueError, OSError) as error:
            passed_over.append((str(row.version), str(error)))
        else:
            # Without those in between, going back may lead to where the site is.
            if row.version != newest.version:
                return row, passed_over
        row = row.previous
    return None, passed_over


def accuracy(metrics: Mapping[str, Any], rows: str = ALL_ROWS) -> Accuracy | None:
    """What a card's metrics say of such rows, or None if they say nothing of the kind."""
    value = _share(metrics, rows, "ferplus", "accuracy")
    if value is None:
        return None
    interval = _inside(metrics, "intervals_95", rows, "ferplus", "accuracy")
    low = _share({"low": interval[0]}, "low") if isinstance(interval, list) and interval else None
    return Accuracy(value, value if low is None else min(low, value))


def _worse(name: str, candidate: ModelCard, used: OnnxClassifier) -> str:
    """Why nobody should expect more of the candidate than of the model in use; "" if they may."""
    both_name_odd = all(accuracy(card.metrics, ODD_ROWS) for card in (candidate, used.card))
    rows = ODD_ROWS if both_name_odd else ALL_ROWS
    bar, found = accuracy(used.card.metrics, rows), accuracy(candidate.metrics, rows)
    if bar is None:
        return ""
    choice = "say that it shall be used all the same (--force), or leave the present one."
    expected = (
        f"the model in use has {bar.value:.2%}, at least {bar.low:.2%} with 95% confidence. "
        f"{choice.capitalize()}"
    )
    if found is None:
        return f"The card of {name} names no accuracy on {rows} (FER+); {expected}"
    if not _same_pictures(candidate, used.card):
        return (
            f"As far as their cards tell, {name} was measured on other pictures than the model in "
            f"use, so its accuracy of {found.value:.2%} can't be held against that one's "
            f"{bar.value:.2%}. Look at both on the same pictures (`manage.py evaluate faces SOURCE "
            f"--compare {used.folder.name} {name}`), then {choice}"
        )
    if found.value < bar.low:
        return f"{name} has an accuracy of {found.value:.2%} on {rows} (FER+); {expected}"
    return ""


def _same_pictures(one: ModelCard, other: ModelCard) -> bool:
    """Whether two cards' numbers are of the same held-out pictures, as far as the cards tell.

    Those of FER+ are known by how many faces show each emotion, which all cards name. Small or
    balanced sets may agree in that by chance, so where both cards name a hash, it counts, too;
    pictures of another size have another one.
    """
    counts = [_faces_per_emotion(card.metrics) for card in (one, other)]
    hashes = [_inside(card.metrics, HELD_OUT_HASH) for card in (one, other)]
    if not counts[0] or counts[0] != counts[1]:
        return False
    comparable = all(hashes) and one.preprocessing.size == other.preprocessing.size
    return not comparable or hashes[0] == hashes[1]


def _faces_per_emotion(metrics: Mapping[str, Any]) -> dict[str, Any]:
    classes = _inside(metrics, ALL_ROWS, "ferplus", "per_class")
    if not isinstance(classes, Mapping):
        return {}
    return {emotion: _inside(scores, "n") for emotion, scores in classes.items()}


def _inside(place: Any, *path: str) -> Any:
    """An entry of free-form JSON, or None where there is no such place."""
    for name in path:
        place = place.get(name) if isinstance(place, Mapping) else None
    return place


def _share(metrics: Mapping[str, Any], *path: str) -> float | None:
    value = _inside(metrics, *path)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) and 0 <= value <= 1 else None


def _in_use() -> model_versions.InUse | None:
    try:
        return model_versions.in_use()
    except (ValueError, OSError):
        return None


def _add(
    newest: Promotion | None, used: model_versions.InUse | None, **fields: Any
) -> Promoted | Refused:
    """The row that follows the newest one, if it still is that."""
    number = newest.number + 1 if newest else 1
    try:
        with transaction.atomic():
            replaced: ModelVersion | None = used.version() if used else None
            return Promoted(Promotion.objects.create(number=number, replaced=replaced, **fields))
    except IntegrityError:
        return Refused(
            "Another model was promoted at the same moment. Look at `manage.py models list`, "
            "and try again."
        )
