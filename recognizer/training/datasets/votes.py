"""Reviewed faces: a folder of images with a table of votes, as the application exports it.

The folder holds the images and `votes.csv`: UTF-8, comma-separated, the first line naming the
columns, in any order:

    file        the image's path below the folder, with forward slashes: faces/3f2a.png. Each
                file once.
    anger, contempt, disgust, fear, happy, neutral, sad, surprise, unknown, not_a_face
                how many people said so: whole numbers from 0 up, at least one of them above 0.
                `unknown` is "can't tell".
    split       optional: Training, PublicTest or PrivateTest; empty for "wherever".
    group       optional: any text, the same for all faces that must not be torn apart by a
                split, as those of one photo or one owner, in further data sets as well; empty for
                a face on its own. Exports write a hashed name there, never a person's.

A row without a split goes where its group goes. A group without any split is held out
(PublicTest) when the SHA-256 of its name says so, which it does for a fifth of all groups: so a
group stays where it is when a later export holds more. Fewer than ten votes are scaled up to ten,
the number of FER+'s annotators, since its majority rule takes single votes for slips: one vote
counts as ten, 2 : 1 as 7 : 3. Such faces have no label of FER-2013's own.
"""

import csv
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from recognizer.training.datasets.classes import CLASSES
from recognizer.training.datasets.faces import ANNOTATORS, MOST_VOTES, SPLITS, DatasetError
from recognizer.training.datasets.pictures import Plan
from recognizer.training.datasets.result import Problem
from recognizer.training.datasets.splitting import HELD_OUT_SHARE

VOTES_FILE: Final = "votes.csv"
REVIEWED: Final = f"reviewed faces: {VOTES_FILE} next to its images"


@dataclass(frozen=True)
class VotedFace:
    """One row of votes.csv.

    Attributes:
        file: path of the image below the folder, with forward slashes.
        votes: ten whole numbers, the columns of `Faces.votes`.
        group: what must not be torn apart; "" for a face on its own.
        split: one of SPLITS, or "".
    """

    file: str
    votes: tuple[int, ...]
    group: str = ""
    split: str = ""

    def wrong(self) -> str:
        """What is wrong with it, "" if nothing."""
        path = Path(self.file)
        if not self.file or path.is_absolute() or ".." in path.parts or "\\" in self.file:
            return f"file must be a path below the folder, got {self.file!r}."
        if len(self.votes) != len(CLASSES) or min(self.votes) < 0 or not sum(self.votes):
            return f"expected {len(CLASSES)} votes from 0 up and one above 0, got {self.votes}."
        if max(self.votes) > MOST_VOTES:
            return f"expected at most {MOST_VOTES:,} votes of a kind, got {max(self.votes)}."
        if self.split not in ("", *SPLITS):
            return f"split must be {', '.join(SPLITS)} or empty, got {self.split!r}."
        return ""


def plan_votes(root: Path, hold_out: bool) -> Plan | None:
    """What votes.csv says is in a folder; None for a folder without one.

    Args:
        root: the folder.
        hold_out: whether there are to be held-out rows; else the plan is Training only, and
            rows with another split are left out.

    Raises:
        DatasetError: votes.csv cannot be read or lacks a column.
    """
    if not (root / VOTES_FILE).is_file():
        return None
    plan = Plan(root, REVIEWED)
    faces = _read(root / VOTES_FILE, plan.problems)
    plan.problems += _repeated(faces)
    groups = _splits_of_groups(faces, plan.problems)
    seen: set[str] = set()
    left_out = 0
    for face in faces:
        if face.file in seen:
            continue
        seen.add(face.file)
        split = groups.get(face.group, face.split)
        if face.split not in ("", split):
            continue
        if not hold_out and split not in ("", "Training"):
            left_out += 1
            continue
        if not split:
            split = _drawn_split(face.group or face.file) if hold_out else "Training"
        plan.add(root / face.file, -1, scaled(face.votes), split, face.group)
    if left_out:
        plan.notes.append(f"{root} holds out {left_out} of its faces; they were left out.")
    return plan


def scaled(votes: Sequence[int]) -> tuple[int, ...]:
    """Fewer than ten votes as shares of ten, by largest remainder, ties to the earlier column."""
    total = sum(votes)
    if not 0 < total < ANNOTATORS:
        return tuple(votes)
    shares = [divmod(vote * ANNOTATORS, total) for vote in votes]
    missing = ANNOTATORS - sum(whole for whole, _ in shares)
    order = sorted(range(len(votes)), key=lambda column: -shares[column][1])
    return tuple(whole + (column in order[:missing]) for column, (whole, _) in enumerate(shares))


def _read(path: Path, problems: list[Problem]) -> list[VotedFace]:
    faces: list[VotedFace] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = {"file", *CLASSES} - set(reader.fieldnames or ())
            if missing:
                names = ", ".join(name for name in ("file", *CLASSES) if name in missing)
                raise DatasetError(f"{path} lacks the columns {names}.")
            for number, row in enumerate(reader, start=1):
                face = _parse(row)
                wrong = face if isinstance(face, str) else face.wrong()
                if wrong:
                    problems.append(Problem(f"{path}, row {number}", wrong))
                elif isinstance(face, VotedFace):
                    faces.append(face)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path} cannot be read: {error}.") from error
    return faces


def _parse(row: Mapping[str, str | None]) -> VotedFace | str:
    try:
        votes = tuple(int(row[name] or 0) for name in CLASSES)
    except ValueError:
        return "every vote must be a whole number."
    return VotedFace(
        (row["file"] or "").strip(),
        votes,
        (row.get("group") or "").strip(),
        (row.get("split") or "").strip(),
    )


def _repeated(faces: Iterable[VotedFace]) -> list[Problem]:
    seen: set[str] = set()
    repeated: list[Problem] = []
    for face in faces:
        if face.file in seen:
            repeated.append(Problem(face.file, f"named more than once in {VOTES_FILE}."))
        seen.add(face.file)
    return repeated


def _splits_of_groups(faces: Iterable[VotedFace], problems: list[Problem]) -> dict[str, str]:
    """The split that each group was given; a group in two is a problem."""
    splits: dict[str, str] = {}
    for face in faces:
        if face.group and face.split:
            first = splits.setdefault(face.group, face.split)
            if first != face.split:
                what = f"{face.split}, but others of its group {face.group!r} are {first}."
                problems.append(Problem(face.file, what))
    return splits


def _drawn_split(group: str) -> str:
    drawn = int.from_bytes(hashlib.sha256(group.encode()).digest()[:8], "big") / 2**64
    return "PublicTest" if drawn < HELD_OUT_SHARE else "Training"
