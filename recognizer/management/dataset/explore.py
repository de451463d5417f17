"""`manage.py dataset explore`: one HTML file that shows what a data set holds."""

from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recognizer.management import reports
from recognizer.management.base import add_seed_option
from recognizer.management.dataset.options import add_source_options, read_source, require_apart
from recognizer.training.datasets.exploring import (
    BINS,
    KINDS,
    Agreement,
    Classes,
    Exploration,
    explore,
    sample,
)
from recognizer.training.datasets.faces import FER2013_LABELS, DatasetError
from recognizer.training.datasets.findings import findings
from recognizer.training.datasets.reading import Reading
from recognizer.training.evaluation import charts
from recognizer.vision.emotions import EMOTIONS

HELP = (
    "Show what a data set holds: classes, samples, sizes, duplicates, how far annotators agree. "
    "Writes one HTML file that needs nothing else. Runs without TensorFlow."
)
KEPT = "Nothing was written."
PROBLEMS_SHOWN = 200


def add_arguments(parser: ArgumentParser) -> None:
    add_source_options(parser)
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("report.html"),
        metavar="FILE.html",
        help="the report (%(default)s)",
    )
    parser.add_argument(
        "--samples", type=int, default=12, metavar="N", help="images of each class (%(default)s)"
    )
    add_seed_option(parser)


def run(options: dict[str, Any], report: Callable[[str], None]) -> None:
    output: Path = options["output"]
    reports.check_path(output)  # Before minutes of reading, not after them.
    require_apart(options, output)
    if options["samples"] < 1:
        raise DatasetError(f"There must be 1 or more --samples, not {options['samples']}.")
    reading = read_source(options, report)
    found = explore(reading.faces, reading.sizes)
    view = _View(found, np.random.default_rng(options["seed"]), options["samples"])
    context = view.context(reading) | {
        "source": options["source"].resolve().name,
        "seed": options["seed"],
    }
    reports.write(output, "reports/explore.html", context)
    report(f"{len(reading.faces):,} images explored; the report is {output}.")


class _View:
    """The numbers, as the template wants them."""

    def __init__(self, found: Exploration, rng: np.random.Generator, samples: int) -> None:
        self.found = found
        self.rng = rng
        self.samples = samples

    def context(self, reading: Reading) -> dict[str, Any]:
        found = self.found
        return {
            "reading": reading,
            "problems": reading.problems[:PROBLEMS_SHOWN],
            "problems_hidden": max(0, len(reading.problems) - PROBLEMS_SHOWN),
            "findings": findings(found, len(reading.problems)),
            "found": found,
            "side": found.faces.images.shape[1],
            "splits": [
                {"name": name, "count": int(count)}
                for name, count in zip(
                    found.classes.splits, found.classes.counts.sum(axis=0), strict=True
                )
            ],
            "classes": _table(found.classes),
            "own_labels": _table(found.own_labels) if found.own_labels else None,
            "class_samples": self._class_samples(),
            "sizes": [_bar(one.name, one.count, one.share) for one in found.pictures.sizes],
            "means": _columns(found.pictures.means, [f"{b * 255 // BINS}" for b in range(BINS)]),
            "deviations": _columns(
                found.pictures.deviations, [f"{b * 128 // BINS}" for b in range(BINS)]
            ),
            "odd": self._odd(),
            "duplicates": self._duplicates(),
            "agreement": _agreement(found.agreement) if found.agreement else None,
            "non_faces": self._shown(found.non_faces.rows, 2 * self.samples),
        }

    def _class_samples(self) -> list[dict[str, Any]]:
        kinds = self.found.kinds
        return [
            {
                "name": _words(name),
                "count": int((kinds == index).sum()),
                "images": self._shown(kinds == index, self.samples),
            }
            for index, name in enumerate(KINDS)
            if (kinds == index).any()
        ]

    def _odd(self) -> list[dict[str, Any]]:
        pictures = self.found.pictures
        odd = {
            "blank": pictures.blank,
            "hardly any contrast": pictures.flat,
            "very dark": pictures.dark,
            "very bright": pictures.bright,
        }
        return [
            {"name": name, "count": int(rows.sum()), "images": self._shown(rows, self.samples // 2)}
            for name, rows in odd.items()
            if rows.any()
        ]

    def _duplicates(self) -> dict[str, Any]:
        found = self.found.duplicates
        near = np.isin(np.arange(len(self.found.faces)), found.near)
        return {
            "rows": [
                {"split": split, "counts": counts}
                for split, counts in zip(found.splits, found.pairs.tolist(), strict=True)
            ],
            "groups": [self._group(rows) for rows in found.groups],
            "near": self._shown(near, self.samples),
        }

    def _group(self, rows: NDArray[np.int64]) -> dict[str, Any]:
        faces = self.found.faces
        labels = sorted({FER2013_LABELS[label] for label in faces.labels[rows] if label >= 0})
        kinds = sorted({_words(KINDS[kind]) for kind in self.found.kinds[rows]})
        return {
            "image": charts.picture(faces.images[rows[0]]),
            "times": len(rows),
            "kinds": ", ".join(kinds),
            "labels": ", ".join(labels) if labels != kinds else "",
        }

    def _shown(self, rows: NDArray[np.bool_], count: int) -> list[str]:
        faces = self.found.faces
        return [charts.picture(faces.images[row]) for row in sample(rows, max(1, count), self.rng)]


def _table(classes: Classes) -> list[dict[str, Any]]:
    """A line per class that has rows; the bars are as long as its share of the largest class."""
    totals = classes.counts.sum(axis=1)
    lines = []
    for name, counts, total in zip(classes.names, classes.counts, totals, strict=True):
        if total or name in EMOTIONS:
            bars = [
                {"split": split, "count": int(count), "css": _css(count, totals.max())}
                for split, count in zip(classes.splits, counts, strict=True)
            ]
            line = {"name": _words(name), "counts": counts.tolist(), "total": int(total)}
            lines.append(line | {"share": total / max(1, totals.sum()) * 100, "bars": bars})
    return lines


def _agreement(found: Agreement) -> dict[str, Any]:
    names = [f"{10 * (place + 1)}" for place in range(10)]
    return {
        "top_share": _columns(found.top_share, names),
        "per_class": [_bar(_words(name), rows, share) for name, rows, share in found.per_class],
        "kinds": [_words(name) for name in KINDS],
        "confusion": [
            {"name": name, "cells": _cells(name, counts), "total": int(counts.sum())}
            for name, counts in zip(FER2013_LABELS, found.confusion, strict=True)
            if counts.any()
        ],
    }


def _cells(name: str, counts: NDArray[np.int64]) -> list[dict[str, Any]]:
    total = counts.sum()
    return [
        {"count": int(count), "css": _css(count, total), "same": kind == name}
        for kind, count in zip(KINDS, counts, strict=True)
    ]


def _columns(counts: NDArray[np.int64], names: Sequence[str]) -> list[dict[str, Any]]:
    """A histogram's columns, as high as their share of the highest."""
    highest = int(counts.max(initial=0))
    return [
        {"name": name, "count": int(count), "css": _css(count, highest)}
        for name, count in zip(names, counts, strict=True)
    ]


def _bar(name: str, count: int, share: float) -> dict[str, Any]:
    return {"name": name, "count": count, "percent": share * 100, "css": f"{share:.4f}"}


def _css(part: int, whole: int) -> str:
    return f"{part / whole if whole else 0:.4f}"


def _words(name: str) -> str:
    return name.replace("_", " ")
