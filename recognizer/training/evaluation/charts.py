"""Charts as SVG text, to be put into a page as they are: no script, no colour of their own.

Each is 400 units wide, so that its text is legible at a phone's width, and has a title and a
description for those who cannot see it. `key` makes the ids unique on a page. The page's style
sheet gives the classes their colours from the design tokens.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from recognizer.training.evaluation import svg
from recognizer.training.evaluation.metrics import (
    Chance,
    Floats,
    Labels,
    Reliability,
    wilson_interval,
)

WIDTH: Final = 400
_QUARTERS: Final = (0.0, 0.25, 0.5, 0.75, 1.0)
_FIFTHS: Final = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
# Opacities of the accent colour at which text must change from the theme's own colour to the
# opposite one to stay legible: on the dark theme's surface, and on the light one's.
_MID, _DEEP = 0.57, 0.83


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """One line: (N,) x and y, N at least 1, in the chart's own units; y is nan for a gap."""

    name: str
    x: Floats
    y: Floats


@dataclass(frozen=True, slots=True)
class Spot:
    """A point of a chart that is to be named, such as where a threshold lies."""

    x: float
    y: float
    text: str


@dataclass(frozen=True, slots=True)
class Span:
    """A share, or a difference of shares, with its interval; the number of its series' colour."""

    name: str
    value: float
    low: float
    high: float
    series: int


@dataclass(frozen=True, slots=True)
class ClassBars:
    """A class's scores (shares 0-1), the 95% interval of its recall, and its rows."""

    name: str
    n: int
    precision: float
    recall: float
    f1: float
    low: float
    high: float


def picture(image: NDArray[np.uint8]) -> str:
    """A grey (H, W) picture as a data URI of a PNG."""
    _, encoded = cv2.imencode(".png", image)
    return "data:image/png;base64," + base64.b64encode(encoded.tobytes()).decode()


def confusion(key: str, labels: Sequence[str], counts: NDArray[np.int64]) -> str:
    """A confusion matrix: (K, K) counts, rows true; shaded by their share of the row."""
    left, top, height = 66.0, 56.0, 39.0
    wide = (WIDTH - left - 36) / len(labels)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    body = [
        svg.text(left - 8, top - 8, "true ↓", "quiet", "end"),
        svg.text(WIDTH, top - 8, "rows", "quiet", "end"),
    ]
    for place, name in enumerate(labels):
        x, y = left + (place + 0.5) * wide, top + (place + 0.5) * height + 4
        body.append(svg.text(x - 3, top - 8, name, "value", turn=-38))
        body.append(svg.text(left - 8, y, name, "value", "end"))
        body.append(svg.text(WIDTH, y, f"{counts[place].sum():,}", "tick", "end"))
    for row, name in enumerate(labels):
        for column, other in enumerate(labels):
            count, share = int(counts[row, column]), float(shares[row, column])
            x, y = left + column * wide, top + row * height
            diagonal = " diagonal" if row == column else ""
            body.append(
                svg.hinted(
                    f"true {name}, predicted {other}: {count:,} of {counts[row].sum():,}, "
                    f"{share:.1%}",
                    svg.rect(x + 1, y + 1, wide - 2, height - 2, f"cell{diagonal}", share),
                    svg.text(
                        x + wide / 2,
                        y + height / 2 + 4,
                        str(count),
                        _tone(count, share),
                        "middle",
                    ),
                )
            )
    bottom = top + height * len(labels) + 20
    body += _scale(left, bottom)
    return svg.chart(key, (WIDTH, bottom + 6), "Confusion matrix", _confused(labels, counts), body)


def _tone(count: int, share: float) -> str:
    if not count:
        return "count none"
    return "count deep" if share > _DEEP else "count mid" if share > _MID else "count"


def _scale(left: float, y: float) -> list[str]:
    body = [svg.text(left, y, "predicted →", "quiet")]
    body.append(svg.text(262, y, "share of row: 0%", "tick", "end"))
    body += [svg.rect(268 + 16 * step, y - 9, 16, 10, "cell", step / 5) for step in range(6)]
    body.append(svg.text(370, y, "100%", "tick"))
    return body


def _confused(labels: Sequence[str], counts: NDArray[np.int64]) -> str:
    """The matrix in a sentence or two: how many are right, and the commonest mistake."""
    told = f"{np.trace(counts):,} of {counts.sum():,} rows lie on the diagonal."
    mistakes = counts * (1 - np.eye(len(labels), dtype=np.int64))
    if not mistakes.any():
        return told
    row, column = divmod(int(mistakes.argmax()), len(labels))
    return (
        f"{told} The commonest mistake: {labels[row]} taken for {labels[column]}, "
        f"{mistakes.max():,} times."
    )


def class_bars(key: str, classes: Sequence[ClassBars]) -> str:
    """Three bars per class: precision, recall with its interval, and F1."""
    row, bar = 46.0, 10.0
    plot = svg.Plot(76, 30, 276, row * len(classes), (0, 1), (0, 1))
    body = [
        *svg.legend(["precision", "recall, 95% interval", "F1"], plot.left),
        *plot.columns(_QUARTERS),
    ]
    for place, one in enumerate(classes):
        y = plot.top + row * place + 5
        body.append(svg.text(plot.left - 8, y + 14, one.name, "value", "end"))
        body.append(svg.text(plot.left - 8, y + 28, f"{one.n:,}", "tick", "end"))
        if not one.n:
            body.append(svg.text(plot.left + 8, y + 21, "no such row", "tick"))
            continue
        for number, value in enumerate((one.precision, one.recall, one.f1)):
            at = y + number * (bar + 2)
            width = plot.x(value) - plot.left
            body.append(svg.rect(plot.left, at, max(width, 1), bar, f"bar fill-{number}"))
            body.append(svg.text(WIDTH, at + 9, f"{value:.1%}", "small", "end"))
        body.append(svg.whisker(plot.x(one.low), plot.x(one.high), y + 1.5 * bar + 2))
    size = (WIDTH, plot.bottom + 20)
    return svg.chart(key, size, "Precision, recall and F1 by class", _weakest(classes), body)


def _weakest(classes: Sequence[ClassBars]) -> str:
    known = [one for one in classes if one.n]
    if not known:
        return "There is no row of any class."
    weakest = min(known, key=lambda one: one.recall)
    return (
        f"The lowest recall is that of {weakest.name}: {weakest.recall:.1%} of {weakest.n:,} rows."
    )


def reliability(key: str, bins: Reliability, chance: Chance) -> str:
    """Accuracy over confidence in the bins of the ECE, and below how many rows each has."""
    plot = svg.Plot(44, 10, 346, 250, (0, 1), (0, 1))
    size = len(bins.count)
    wide = plot.width / size
    hits = np.rint(np.nan_to_num(bins.accuracy) * bins.count).astype(np.int64)
    lows, highs = wilson_interval(hits, bins.count)
    body = [*plot.columns(_FIFTHS, None), *plot.rows(_FIFTHS)]
    for place in np.flatnonzero(bins.count).tolist():
        sure, right = float(bins.confidence[place]), float(bins.accuracy[place])
        x, middle = plot.x(place / size) + 1, plot.x((place + 0.5) / size)
        upper, lower = plot.y(max(sure, right)), plot.y(min(sure, right))
        body.append(
            svg.hinted(
                f"{bins.count[place]:,} rows: confidence {sure:.1%}, accuracy {right:.1%}",
                svg.rect(
                    x, plot.y(right), wide - 2, plot.bottom - plot.y(right), "bar soft fill-0"
                ),
                svg.rect(x, upper, wide - 2, lower - upper, "gap"),
                svg.line(x, plot.y(sure), x + wide - 2, plot.y(sure), "sure"),
                svg.stem(middle, plot.y(lows[place]), plot.y(highs[place])),
            )
        )
    body.append(svg.line(plot.x(0), plot.y(0), plot.x(1), plot.y(1), "ideal"))
    body.append(svg.text(plot.x(0.03), plot.y(0.92), f"ECE {bins.ece:.4f}", "value strong"))
    by_chance = f"by chance {chance.expected:.4f}, 95% limit {chance.at_most:.4f}"
    body.append(svg.text(plot.x(0.03), plot.y(0.86), by_chance, "small"))
    body.append(svg.text(plot.x(0.03), plot.y(0.79), "accuracy ↑", "quiet"))
    body += _histogram(bins.count, svg.Plot(44, 304, 346, 40, (0, 1), (0, bins.count.max())))
    told = (
        f"Accuracy in {size} equally wide bins of confidence, with 95% intervals. Expected "
        f"calibration error {bins.ece:.4f}; by chance alone a perfectly calibrated model would "
        f"show {chance.expected:.4f}, and in 95% of draws less than {chance.at_most:.4f}. Bars "
        "that end on the diagonal are well calibrated."
    )
    return svg.chart(key, (WIDTH, 378), "Reliability diagram", told, body)


def _histogram(count: Labels, plot: svg.Plot) -> list[str]:
    wide = plot.width / len(count)
    body = []
    for place, rows in enumerate(count.tolist()):
        x, y = plot.x(place / len(count)), plot.y(rows)
        body.append(svg.rect(x + 1, y, wide - 2, plot.bottom - y, "bar quiet"))
        if rows:
            body.append(svg.text(x + wide / 2 + 4, y - 4, f"{rows:,}", "small", turn=-90))
    body.append(svg.line(plot.x(0), plot.bottom, plot.x(1), plot.bottom, "axis"))
    for value in _FIFTHS:
        body.append(svg.text(plot.x(value), plot.bottom + 15, svg.percent(value), "tick", "middle"))
    body.append(svg.text(plot.left - 6, plot.bottom, "rows", "quiet", "end"))
    body.append(svg.text(plot.x(0.5), plot.bottom + 31, "confidence →", "quiet", "middle"))
    return body


def risk_coverage(
    key: str, curves: Sequence[Series], spots: Sequence[Spot], ideal: Series | None = None
) -> str:
    """Error among the answered rows over the share of rows answered.

    Args:
        key: of the ids.
        curves: x coverage and y risk, 0-1, as `metrics.risk_coverage` gives them.
        spots: the operating point of each curve, in the same order.
        ideal: what a perfect order of the same answers would give.
    """
    settled = [_settled(one) for one in curves]
    marks = svg.ticks(0, max([*(float(one.y.max()) for one in settled), 0.01]))
    many = len(curves) > 1
    plot = svg.Plot(44, 16 + 18 * many * len(curves), 346, 284, (0, 1), (0, marks[-1]))
    body = [*plot.columns(_FIFTHS), *plot.rows(marks)]
    body.append(svg.text(plot.x(0.02), plot.top + 14, "risk: error among answers ↑", "quiet"))
    name = "coverage: share of rows answered →"
    body.append(svg.text(plot.x(0.5), plot.bottom + 31, name, "quiet", "middle"))
    if ideal is not None:
        best = _settled(ideal)
        body.append(plot.path(best.x, best.y, "ideal"))
    for number, (one, spot) in enumerate(zip(settled, spots, strict=True)):
        x, y = plot.x(spot.x), plot.y(spot.y)
        body.append(plot.path(one.x, one.y, f"line stroke-{number % 8}"))
        if many:
            body += svg.legend_row(number, one.name, plot.left)
        else:
            body.append(svg.line(x, y, x, plot.bottom, "drop"))
            side, anchor = (-10, "end") if spot.x > 0.5 else (10, "start")
            body.append(svg.text(x + side, y - 10, spot.text, "value strong", anchor))
        body.append(svg.circle(x, y, 5, f"spot fill-{number % 8}"))
    told = "The surest rows are answered first. " + " ".join(
        f"{one.name}: {spot.text}." for one, spot in zip(curves, spots, strict=True)
    )
    return svg.chart(key, (WIDTH, plot.bottom + 38), "Risk-coverage curve", told, body)


def _settled(curve: Series) -> Series:
    """Without the first 1% of rows, where single ones toss the error about; at most 300 points."""
    first = min(int(np.searchsorted(curve.x, 0.01)), len(curve.x) - 1)
    kept = np.unique(np.linspace(first, len(curve.x) - 1, 300).astype(np.int64))
    return Series(curve.name, curve.x[kept], curve.y[kept])


def lines(key: str, title: str, curves: Sequence[Series], shares: bool = False) -> str:
    """Lines over epochs; `shares` writes the values as percentages."""
    x = np.concatenate([one.x for one in curves])
    y = np.concatenate([one.y for one in curves])
    known = y[np.isfinite(y)]
    marks = svg.ticks(float(known.min()), float(known.max())) if len(known) else [0.0, 1.0]
    first, last = float(x.min()), float(max(x.max(), x.min() + 1))
    plot = svg.Plot(48, 16 + 18 * len(curves), 342, 200, (first, last), (marks[0], marks[-1]))
    epochs = [mark for mark in svg.ticks(first, last) if first <= mark <= last and mark % 1 == 0]
    body = [
        *plot.columns(epochs, svg.plain),
        *plot.rows(marks, svg.percent if shares else svg.plain),
        svg.text(plot.left + plot.width / 2, plot.bottom + 31, "epoch →", "quiet", "middle"),
    ]
    ends = []
    for number, one in enumerate(curves):
        ends.append(
            f"{one.name}, last {svg.percent(one.y[-1]) if shares else svg.plain(one.y[-1])}"
        )
        body += svg.legend_row(number, ends[-1], plot.left)
        body.append(plot.path(one.x, one.y, f"line stroke-{number % 8}"))
        if np.isfinite(one.y[-1]):
            end = plot.x(float(one.x[-1])), plot.y(float(one.y[-1]))
            body.append(svg.circle(*end, 3.5, f"spot fill-{number % 8}"))
    return svg.chart(key, (WIDTH, plot.bottom + 38), title, "; ".join(ends) + ".", body)


def spans(key: str, title: str, rows: Sequence[Span], difference: bool = False) -> str:
    """Shares with their intervals, one below the other; a `difference` is in points against 0."""
    ends = [end for one in rows for end in (one.low, one.high)] + [0.0] * difference
    marks = svg.ticks(min(ends), max(ends), about=4)
    row = 42.0
    plot = svg.Plot(14, 4, 312, row * len(rows), (marks[0], marks[-1]), (0, 1))
    body = plot.columns(marks, svg.points if difference else svg.percent)
    if difference:
        body.append(svg.line(plot.x(0), plot.top, plot.x(0), plot.bottom, "axis"))
    told = []
    for place, one in enumerate(rows):
        y = plot.top + row * place
        shown = f"{100 * one.value:+.2f}".replace("-", "−") if difference else f"{one.value:.2%}"
        told.append(f"{one.name} {shown}")
        body.append(svg.text(0, y + 14, one.name, "value cased"))
        body.append(svg.whisker(plot.x(one.low), plot.x(one.high), y + 27))
        body.append(svg.circle(plot.x(one.value), y + 27, 5, f"spot fill-{one.series % 8}"))
        body.append(svg.text(WIDTH, y + 31, shown, "value strong", "end"))
    return svg.chart(key, (WIDTH, plot.bottom + 20), title, "; ".join(told) + ".", body)


def class_dots(key: str, models: Sequence[str], classes: Sequence[Sequence[ClassBars]]) -> str:
    """The recall of every class, with its interval, models below one another.

    Args:
        key: of the ids.
        models: M names.
        classes: K classes of each of the M models.
    """
    lane, apart = 13.0, 12.0
    row = lane * len(models) + apart
    top = 14 + 18.0 * len(models)
    plot = svg.Plot(76, top, 276, row * len(classes[0]), (0, 1), (0, 1))
    body = plot.columns(_QUARTERS)
    for number, name in enumerate(models):
        body += svg.legend_row(number, name, plot.left)
    for place, one in enumerate(classes[0]):
        y = plot.top + row * place
        middle = y + apart / 2 + lane * len(models) / 2
        body.append(svg.line(0, y, WIDTH, y, "grid"))
        body.append(svg.text(plot.left - 8, middle + 1, one.name, "value", "end"))
        body.append(svg.text(plot.left - 8, middle + 13, f"{one.n:,}", "tick", "end"))
        for number, each in enumerate(classes):
            at = y + apart / 2 + lane * (number + 0.5)
            if not each[place].n:
                continue
            body.append(svg.whisker(plot.x(each[place].low), plot.x(each[place].high), at))
            body.append(svg.circle(plot.x(each[place].recall), at, 4.5, f"spot fill-{number % 8}"))
            shown = f"{each[place].recall:.1%}"
            body.append(svg.text(WIDTH, at + 4, shown, "small", "end"))
    told = f"Recall with 95% intervals of {len(classes[0])} classes, for {', '.join(models)}."
    return svg.chart(key, (WIDTH, plot.bottom + 20), "Recall by class", told, body)
