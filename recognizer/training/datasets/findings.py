"""What somebody who trains on a data set should know first, in sentences."""

from dataclasses import dataclass

import numpy as np

from recognizer.training.datasets.exploring import Exploration
from recognizer.vision.emotions import EMOTIONS


@dataclass(frozen=True)
class Finding:
    """A sentence, the section of the report that tells more, and whether it asks for a change."""

    text: str
    section: str
    problem: bool = False


def findings(found: Exploration, skipped: int) -> list[Finding]:
    """The findings of a data set, what asks for a change first.

    Args:
        found: the numbers.
        skipped: how many problems were left out while reading.
    """
    every = [
        _skipped(skipped),
        _splits(found),
        _leaks(found),
        _near_copies(found),
        _contradictions(found),
        _missing(found),
        _blank(found),
        _imbalance(found),
        _repeats(found),
        _non_faces(found),
        _agreement(found),
        _own_labels(found),
        _own_contradictions(found),
    ]
    said = [finding for finding in every if finding]
    return sorted(said, key=lambda finding: not finding.problem)


def _skipped(skipped: int) -> Finding | None:
    if not skipped:
        return None
    what = "1 problem was" if skipped == 1 else f"{skipped:,} problems were"
    return Finding(f"{what} skipped while reading.", "problems", True)


def _splits(found: Exploration) -> Finding | None:
    for split, use in (("Training", "to learn from"), ("PublicTest", "held out to measure on")):
        if split not in found.classes.splits:
            return Finding(f"There are no rows {use} ({split}).", "classes", True)
    return None


def _leaks(found: Exploration) -> Finding | None:
    splits = found.duplicates.splits
    if "Training" not in splits or len(splits) < 2:
        return None
    row = splits.index("Training")
    others = [column for column in range(len(splits)) if column != row]
    leaking = int(found.duplicates.pairs[others, row].sum())
    if not leaking:
        return None
    return Finding(
        f"{counted(leaking, 'held-out image')} also in Training, pixel by pixel.",
        "duplicates",
        True,
    )


def _near_copies(found: Exploration) -> Finding | None:
    near = found.faces.splits[found.duplicates.near]
    told = [
        f"{counted(int((near == split).sum()), f'{split} image')} almost the same as one in "
        "Training."
        for split in found.duplicates.splits
        if (near == split).any()
    ]
    return Finding(" ".join(told), "duplicates", True) if told else None


def _contradictions(found: Exploration) -> Finding | None:
    if not found.duplicates.contradicting:
        return None
    pictures = counted(found.duplicates.contradicting, "picture")
    return Finding(f"{pictures} repeated with different emotions.", "duplicates", True)


def _missing(found: Exploration) -> Finding | None:
    totals = found.classes.counts[: len(EMOTIONS)].sum(axis=1)
    missing = [name for name, total in zip(EMOTIONS, totals, strict=True) if not total]
    if not missing:
        return None
    return Finding(f"No image of {', '.join(missing)}.", "classes")


def _imbalance(found: Exploration) -> Finding | None:
    totals = found.classes.counts[: len(EMOTIONS)].sum(axis=1)
    present = np.flatnonzero(totals)
    if len(present) < 2:
        return None
    most = present[totals[present].argmax()]
    least = present[totals[present].argmin()]
    times = totals[most] / totals[least]
    if times < 2:
        return None
    return Finding(
        f"{EMOTIONS[most].capitalize()} has {times:.0f} times as many images as {EMOTIONS[least]}.",
        "classes",
    )


def _blank(found: Exploration) -> Finding | None:
    blank = int(found.pictures.blank.sum())
    return Finding(f"{counted(blank, 'image')} blank.", "pictures", True) if blank else None


def _repeats(found: Exploration) -> Finding | None:
    if not found.duplicates.repeats:
        return None
    share = found.duplicates.repeats / len(found.faces)
    rows = found.duplicates.repeats
    verb = "repeats" if rows == 1 else "repeat"
    noun = "image" if rows == 1 else "images"
    return Finding(f"{rows:,} {noun} ({share:.1%}) {verb} an earlier one.", "duplicates")


def _non_faces(found: Exploration) -> Finding | None:
    number = int(found.non_faces.rows.sum())
    return Finding(f"{counted(number, 'image')} no face.", "non-faces") if number else None


def _agreement(found: Exploration) -> Finding | None:
    if found.agreement is None:
        return None
    share = found.agreement.agreed.share
    return Finding(f"The votes of {share:.1%} of the images have a majority.", "agreement")


def _own_labels(found: Exploration) -> Finding | None:
    if found.agreement is None or not found.agreement.own.whole:
        return None
    share = found.agreement.own.share
    return Finding(
        f"FER-2013's own label is the majority's on {share:.1%} of the images that have both.",
        "agreement",
    )


def _own_contradictions(found: Exploration) -> Finding | None:
    number = found.duplicates.own_contradicting
    if found.agreement is None or not number:
        return None
    pictures = counted(number, "picture")
    return Finding(f"{pictures} repeated with different labels of FER-2013's own.", "duplicates")


def counted(number: int, noun: str) -> str:
    """The start of a sentence on a number of things: "1 image is", "1,204 images are"."""
    return f"1 {noun} is" if number == 1 else f"{number:,} {noun}s are"
