"""Drop pictures in which MTCNN finds no face, or none that sits as a face should.

Only pictures to learn from are judged, unless told otherwise: a held-out split without its
difficult pictures would flatter every number measured on it.
"""

import csv
import json
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from recognizer.locks import locked
from recognizer.training.datasets import fer2013, fer2013_files
from recognizer.training.datasets.class_folders import listing_digest, walk
from recognizer.training.datasets.contact_sheets import Tile, write_sheet
from recognizer.training.datasets.faces import DatasetError
from recognizer.training.datasets.folders import SHEETS
from recognizer.training.datasets.inspection import (
    SMALLEST,
    Finding,
    Findings,
    Source,
    find_faces,
    inspect,
)
from recognizer.training.datasets.journals import fingerprint
from recognizer.training.datasets.outputs import require_free, require_outside
from recognizer.training.datasets.result import Bad, tell_skipped
from recognizer.vision.emotions import EMOTIONS

KINDS: Final = (*EMOTIONS, "unknown", "not a face", "no majority")
"""What `majority` says of a row, in words; -1 is the last one."""

FINDINGS: Final = "findings.jsonl"
LOCK: Final = ".lock"

_REASONS: Final = (
    "unreadable",
    "no face",
    "low score",
    "small face",
    "several faces",
    "off centre",
)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a picture must show in order to stay.

    Attributes:
        score: the least detection score of a face, 0.5-1. MTCNN itself asks for 0.8.
        smallest: the least side of a face, as a share of the picture's shorter side.
        most_faces: the most faces of that score and side.
        off_centre: how far the largest face's centre may lie from the picture's, as a share of
            the picture's shorter side.
    """

    score: float = 0.8
    smallest: float = 0.4
    most_faces: int = 1
    off_centre: float = 0.3

    def __post_init__(self) -> None:
        if not 0.5 <= self.score < 1:
            raise DatasetError(f"The least score must lie in 0.5-1, not {self.score}.")
        if not SMALLEST <= self.smallest <= 1:
            raise DatasetError(
                f"The smallest face must lie in {SMALLEST}-1 of the picture, not {self.smallest}."
            )
        if self.most_faces < 1:
            raise DatasetError(f"At least one face must be allowed, not {self.most_faces}.")
        if not self.off_centre >= 0:
            raise DatasetError(f"off_centre must be 0 or more, not {self.off_centre}.")


def reason(finding: Finding, limits: Limits) -> str:
    """Why a picture is dropped, or "" for one that stays."""
    if isinstance(finding, str):
        return "unreadable"
    if not finding:
        return "no face"
    sure = [face for face in finding if face.score >= limits.score]
    if not sure:
        return "low score"
    large = [face for face in sure if face.side >= limits.smallest]
    if not large:
        return "small face"
    if len(large) > limits.most_faces:
        return "several faces"
    largest = max(large, key=lambda face: face.side)
    return "off centre" if largest.off_centre > limits.off_centre else ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One picture of a data set.

    Attributes:
        name: tells it apart in its data set.
        label: its class, or what FER+ says of it.
        split: where it belongs, "" where there are no splits.
        judged: whether it may be dropped.
        source: its pixels or its file.
    """

    name: str
    label: str
    split: str
    judged: bool
    source: Source


@dataclass(frozen=True)
class Job:
    """How to clean.

    Attributes:
        output: folder for the cleaned set and all that is told about it.
        limits: what a picture must show.
        all_splits: judge the held-out splits too.
        workers: processes that look.
        report: called with every line of the summary.
        bad: "stop" refuses a data set with problems, "skip" leaves out what is concerned.
    """

    output: Path
    limits: Limits
    all_splits: bool
    workers: int
    report: Callable[[str], None]
    bad: Bad = "stop"


def clean_fer2013(pixels: Path, ferplus: Path | None, job: Job) -> None:
    """Write the rows that stay, and their votes where there are some, for `fer2013.read`.

    Raises:
        BadParts: there are rows that cannot be read and they are not to be skipped.
        DatasetError: the files cannot be read, or the output tells of another cleaning.
    """
    # Reading takes a while, so what cannot work is said before.
    _claim(job.output)
    faces, numbers, problems = fer2013.read_rows(pixels, ferplus, job.bad)
    tell_skipped(problems, job.report)
    kinds = [KINDS[kind] for kind in faces.majority]
    judged = (job.all_splits | (faces.splits == "Training")).tolist()
    entries = [
        Entry(f"row {numbers[row]}", kinds[row], str(faces.splits[row]), judged[row], image)
        for row, image in enumerate(faces.images)
    ]
    with _alone(job.output):
        # Findings go by the rows' numbers, which are others once a broken row before is mended.
        about = fingerprint(faces.images, *([numbers] if problems else []))
        dropped = _judge(entries, about, job)
        if not _stays(entries, dropped):
            for earlier in (fer2013_files.PIXELS_FILE, fer2013_files.FERPLUS_FILE):
                (job.output / earlier).unlink(missing_ok=True)
            raise _nothing_left(dropped, job.output)
        rows = np.array([entry.name not in dropped for entry in entries])
        fer2013_files.write_pixels(faces.where(rows), job.output)
        if ferplus:
            fer2013_files.write_votes(faces.where(rows), (numbers[rows] - 1).tolist(), job.output)
        else:
            # Those of an earlier cleaning belong to other rows.
            (job.output / fer2013_files.FERPLUS_FILE).unlink(missing_ok=True)
        job.report(f"{rows.sum()} rows are in {job.output}.")


def clean_folder(root: Path, job: Job) -> None:
    """Copy the files that stay; those of an earlier cleaning that don't are removed.

    Raises:
        BadParts: there are problems and they are not to be skipped.
        DatasetError: there are no pictures, or the output tells of another cleaning.
    """
    require_outside(job.output, root)
    _claim(job.output)
    pictures = walk(root, job.bad, job.report)
    entries = [
        Entry(
            name=one.name,
            label=one.label,
            split=one.split,
            # A broken picture is of no use anywhere.
            judged=job.all_splits or one.training or bool(one.broken),
            source=one.path,
        )
        for one in pictures
    ]
    with _alone(job.output):
        dropped = _judge(entries, listing_digest(pictures), job)
        if not _stays(entries, dropped):
            for one in pictures:
                (job.output / one.name).unlink(missing_ok=True)
            raise _nothing_left(dropped, job.output)
        for one in pictures:
            copy = job.output / one.name
            if one.name in dropped:
                copy.unlink(missing_ok=True)
                continue
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(one.path, copy)
        job.report(f"{len(pictures) - len(dropped)} files are in {job.output}.")


def _claim(output: Path) -> None:
    """Refuse a folder that holds anything but an earlier cleaning: files in it are replaced."""
    if not (output / FINDINGS).exists():
        require_free(output)


def _alone(output: Path) -> AbstractContextManager[None]:
    """Keep the output to this process; a hidden file in it is no part of the data set."""
    refusal = DatasetError(
        f"Another process is cleaning into {output}. Wait for it to end, or give another folder."
    )
    return locked(output / LOCK, refusal)


def _judge(entries: Sequence[Entry], digest: str, job: Job) -> dict[str, str]:
    """Look, decide and tell: why each dropped picture is, by its name."""
    limits = job.limits
    look = partial(find_faces, smallest=limits.smallest, score=min(limits.score, 0.8))
    # Higher scores and the other limits are asked of what was found, so they may change without
    # looking again.
    about = {"data": digest, **look.keywords}
    findings = Findings(job.output / FINDINGS, about)
    judged = [entry for entry in entries if entry.judged]
    inspect({entry.name: entry.source for entry in judged}, findings, look, job.workers)
    reasons = {entry.name: reason(findings.found[entry.name], limits) for entry in judged}
    dropped = {name: why for name, why in reasons.items() if why}
    _list_dropped(entries, dropped, findings.found, job.output / "dropped.csv")
    _draw_dropped(entries, dropped, job.output)
    table = _count(entries, dropped)
    summary = {
        "limits": asdict(limits),
        "judged": len(judged),
        "not_judged": len(entries) - len(judged),
        "kept": len(entries) - len(dropped),
        "dropped": len(dropped),
        "reasons": dict(Counter(dropped.values()).most_common()),
        "splits": table,
    }
    text = json.dumps(summary, indent=2, ensure_ascii=False)
    (job.output / "report.json").write_text(text + "\n", encoding="utf-8")
    for line in _lines(table, dropped):
        job.report(line)
    return dropped


def _stays(entries: Sequence[Entry], dropped: Mapping[str, str]) -> bool:
    """Whether something is left of what was judged, or nothing was judged at all."""
    return not dropped or any(entry.judged and entry.name not in dropped for entry in entries)


def _nothing_left(dropped: Mapping[str, str], output: Path) -> DatasetError:
    ((why, count),) = Counter(dropped.values()).most_common(1)
    return DatasetError(
        f"All {len(dropped)} pictures would be dropped, {count} of them for {why!r}; no cleaned "
        "set was written, and none of an earlier cleaning is left. Look at the sheets in "
        f"{output}. If these are faces, loosen the limits (--score, --smallest, --most-faces, "
        "--off-centre)."
    )


def _count(
    entries: Sequence[Entry], dropped: Mapping[str, str]
) -> dict[str, dict[str, dict[str, Any]]]:
    """By split and class: kept, dropped, and by reason."""
    table: dict[str, dict[str, dict[str, Any]]] = {}
    for entry in sorted(entries, key=_place):
        cell = table.setdefault(entry.split or "all", {}).setdefault(
            entry.label, {"kept": 0, "dropped": 0, "reasons": {}}
        )
        why = dropped.get(entry.name)
        cell["dropped" if why else "kept"] += 1
        if why:
            cell["reasons"][why] = cell["reasons"].get(why, 0) + 1
    return table


def _place(entry: Entry) -> tuple[str, int, str]:
    known = KINDS.index(entry.label) if entry.label in KINDS else len(KINDS)
    return entry.split, known, entry.label


def _lines(
    table: Mapping[str, Mapping[str, Mapping[str, Any]]], dropped: Mapping[str, str]
) -> list[str]:
    reasons = [why for why in _REASONS if why in dropped.values()]
    lines = [_line("", "kept", "dropped", "share", *reasons)]
    for split, classes in table.items():
        total = Counter({"kept": 0, "dropped": 0})
        for label, cell in classes.items():
            counts = Counter({"kept": cell["kept"], "dropped": cell["dropped"], **cell["reasons"]})
            total.update(counts)
            lines.append(_counted(f"{split} {label}", counts, reasons))
        lines.append(_counted(f"{split} in all", total, reasons))
    return lines


def _counted(name: str, counts: Mapping[str, int], reasons: Sequence[str]) -> str:
    share = counts["dropped"] / (counts["kept"] + counts["dropped"])
    cells = (str(counts.get(column, 0)) for column in reasons)
    return _line(name, str(counts["kept"]), str(counts["dropped"]), f"{share:.1%}", *cells)


def _line(name: str, *cells: str) -> str:
    return f"{name:<24}" + "".join(f"{cell:>14}" for cell in cells)


def _list_dropped(
    entries: Sequence[Entry],
    dropped: Mapping[str, str],
    findings: Mapping[str, Finding],
    path: Path,
) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["name", "split", "class", "reason", "faces", "score", "side", "message"])
        for entry in entries:
            if entry.name not in dropped:
                continue
            finding = findings[entry.name]
            row: list[Any] = [entry.name, entry.split, entry.label, dropped[entry.name]]
            if isinstance(finding, str):
                row += [0, "", "", finding]
            else:
                best = max(finding, default=None)
                row += [len(finding), best and best.score, best and best.side, ""]
            writer.writerow(row)


def _draw_dropped(entries: Sequence[Entry], dropped: Mapping[str, str], folder: Path) -> None:
    """One sheet of tiles for every reason; those of an earlier cleaning are removed."""
    for why in _REASONS:
        path = folder / SHEETS.replace("*", why.replace(" ", "-"))
        tiles = [
            Tile(entry.source, entry.label, Path(entry.name).name)
            for entry in entries
            if dropped.get(entry.name) == why
        ]
        if tiles and why != "unreadable":
            write_sheet(tiles, f"Dropped: {why}", path)
        else:
            path.unlink(missing_ok=True)
