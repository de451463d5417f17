import base64
import re
from collections.abc import Callable
from xml.etree import ElementTree as ET

import cv2
import numpy as np
import pytest

from recognizer.training.evaluation import charts, metrics, svg
from recognizer.training.evaluation.charts import ClassBars, Series, Span, Spot

NASTY = '<b>&"happy"</b>'
CLASSES = [
    ClassBars("happy", 40, 0.9, 0.8, 0.85, 0.65, 0.9),
    ClassBars(NASTY, 10, 0.5, 0.2, 0.3, 0.06, 0.5),
    ClassBars("contempt", 0, 0.0, 0.0, 0.0, 0.0, 1.0),
]
PROBABILITIES = np.array([[0.9, 0.1], [0.94, 0.06], [0.45, 0.55], [1.0, 0.0]])
BINS = metrics.reliability(PROBABILITIES, np.array([0, 1, 1, 0]))
CHANCE = metrics.Chance(0.01, 0.02)
CURVE = Series(NASTY, np.linspace(0.01, 1, 100), np.linspace(0, 0.2, 100))
COUNTS = np.array([[7, 2], [0, 1]])

CHARTS: dict[str, Callable[[], str]] = {
    "confusion": lambda: charts.confusion("k", [NASTY, "sad"], COUNTS),
    "class_bars": lambda: charts.class_bars("k", CLASSES),
    "reliability": lambda: charts.reliability("k", BINS, CHANCE),
    "risk_coverage": lambda: charts.risk_coverage("k", [CURVE], [Spot(0.8, 0.1, NASTY)], CURVE),
    "several curves": lambda: charts.risk_coverage("k", [CURVE] * 9, [Spot(0.2, 0.1, "a")] * 9),
    "lines": lambda: charts.lines("k", NASTY, [CURVE], shares=True),
    "spans": lambda: charts.spans("k", "t", [Span(NASTY, 0.8, 0.7, 0.9, 0)]),
    "differences": lambda: charts.spans("k", "t", [Span(NASTY, -0.01, -0.02, 0.01, 1)], True),
    "class_dots": lambda: charts.class_dots("k", [NASTY, "b"], [CLASSES, CLASSES]),
}


def parsed(chart: str) -> ET.Element:
    return ET.fromstring(chart)


def shapes(chart: str, tag: str, kind: str) -> list[ET.Element]:
    return [one for one in parsed(chart).iter(tag) if kind in one.get("class", "").split()]


def words(chart: str) -> list[str]:
    return [one.text or "" for one in parsed(chart).iter("text")]


@pytest.mark.parametrize("name", CHARTS)
def test_every_chart_is_well_formed_and_told_in_words(name: str) -> None:
    root = parsed(CHARTS[name]())
    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == "k-title k-about"
    assert [root[0].get("id"), root[1].get("id")] == ["k-title", "k-about"]
    assert root[0].text
    assert root[1].text


@pytest.mark.parametrize("name", sorted(set(CHARTS) - {"reliability"}))
def test_names_are_escaped(name: str) -> None:
    chart = CHARTS[name]()
    if name != "several curves":
        assert "&lt;b&gt;" in chart
    assert "<b>" not in chart


@pytest.mark.parametrize("name", CHARTS)
def test_colours_come_from_the_page_alone(name: str) -> None:
    chart = CHARTS[name]()
    assert not re.search(r"#[0-9a-f]{3}|rgb\(|style=|(?<!-)\bfill=|stroke=", chart)
    assert "http" not in chart


@pytest.mark.parametrize("name", CHARTS)
def test_everything_lies_on_the_paper(name: str) -> None:
    root = parsed(CHARTS[name]())
    width, height = map(float, root.get("viewBox", "").split()[2:])
    for one in root.iter():
        x, y = (float(one.get(axis) or one.get("c" + axis) or 0) for axis in "xy")
        assert 0 <= x <= width
        assert 0 <= y <= height
        assert "nan" not in ET.tostring(one, "unicode")


def test_a_class_has_three_bars_and_an_interval_unless_it_has_no_row() -> None:
    chart = charts.class_bars("k", CLASSES)
    swatches = 3
    assert len(shapes(chart, "rect", "bar")) == 3 * 2 + swatches
    assert len(shapes(chart, "path", "whisker")) == 2
    assert "no such row" in words(chart)


def test_a_bars_length_is_its_share() -> None:
    chart = charts.class_bars("k", CLASSES)
    recall = shapes(chart, "rect", "fill-1")[1:]  # The first is the legend's.
    lengths = [float(one.get("width", "0")) for one in recall]
    assert lengths[0] / lengths[1] == pytest.approx(0.8 / 0.2, rel=0.01)


def test_the_matrix_is_shaded_by_the_share_of_its_row() -> None:
    chart = charts.confusion("k", ["happy", "sad"], COUNTS)
    cells = shapes(chart, "rect", "cell")[:4]
    assert [float(one.get("fill-opacity", "")) for one in cells] == [0.778, 0.222, 0.0, 1.0]
    counts = [one.text for one in shapes(chart, "text", "count")]
    assert counts == ["7", "2", "0", "1"]
    assert [len(shapes(chart, "text", tone)) for tone in ("mid", "deep", "none")] == [1, 1, 1]


def test_the_matrix_tells_the_commonest_mistake() -> None:
    chart = charts.confusion("k", ["happy", "sad"], COUNTS)
    about = parsed(chart)[1].text or ""
    assert about.startswith("8 of 10 rows")
    assert "happy taken for sad, 2 times" in about


def test_a_matrix_without_a_mistake_tells_none() -> None:
    about = parsed(charts.confusion("k", ["a", "b"], np.eye(2, dtype=np.int64)))[1].text or ""
    assert "mistake" not in about


def test_the_reliability_diagram_has_a_bar_and_a_count_for_every_bin_with_rows() -> None:
    chart = charts.reliability("k", BINS, CHANCE)
    filled = int((BINS.count > 0).sum())
    assert filled == 3
    assert len(shapes(chart, "rect", "soft")) == filled
    assert len(shapes(chart, "path", "whisker")) == filled
    assert len(shapes(chart, "rect", "quiet")) == metrics.ECE_BINS
    assert f"ECE {BINS.ece:.4f}" in words(chart)
    assert "by chance 0.0100, 95% limit 0.0200" in words(chart)


def test_a_long_curve_is_thinned_and_its_restless_start_left_out() -> None:
    curve = Series("long", np.linspace(1e-4, 1, 10_000), np.append(1.0, np.full(9999, 0.1)))
    chart = charts.risk_coverage("k", [curve], [Spot(0.5, 0.1, "here")])
    drawn = shapes(chart, "path", "line")[0].get("d", "")
    assert drawn.count("L") < 300
    assert "10%" in words(chart)
    assert "100%" in words(chart)  # Of the coverage: the risk ends at 10%.
    assert words(chart).count("100%") == 1


def test_a_gap_interrupts_a_line() -> None:
    curve = Series("x", np.arange(4.0), np.array([1.0, np.nan, 2.0, 3.0]))
    drawn = shapes(charts.lines("k", "t", [curve]), "path", "line")[0].get("d", "")
    assert drawn.count("M") == 2


def test_a_single_epoch_is_a_point() -> None:
    chart = charts.lines("k", "t", [Series("x", np.array([1.0]), np.array([0.5]))])
    assert len(shapes(chart, "circle", "spot")) == 1


def test_a_curve_of_nothing_but_gaps_is_still_a_chart() -> None:
    parsed(charts.lines("k", "t", [Series("x", np.array([1.0, 2.0]), np.full(2, np.nan))]))


def test_differences_are_signed_points() -> None:
    chart = charts.spans("k", "t", [Span("a", -0.0123, -0.02, 0.01, 1)], difference=True)
    assert "−1.23" in words(chart)
    assert not [word for word in words(chart) if "%" in word]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0, 0.13, [0.0, 0.05, 0.1, 0.15]),
        (0.3, 0.3, [0.3, 0.4, 0.5, 0.6]),
        (-3, 8, [-5.0, -2.5, 0.0, 2.5, 5.0, 7.5, 10.0]),
    ],
)
def test_ticks_are_round_and_hold_the_range(low: float, high: float, expected: list[float]) -> None:
    marks = svg.ticks(low, high)
    assert marks[0] <= low
    assert marks[-1] >= high
    assert len(marks) <= 8
    assert marks == pytest.approx(expected)


def test_a_picture_is_a_data_uri_of_the_same_pixels() -> None:
    image = np.arange(48 * 48, dtype=np.uint8).reshape(48, 48)
    head, _, body = charts.picture(image).partition(",")
    assert head == "data:image/png;base64"
    raw = np.frombuffer(base64.b64decode(body), np.uint8)
    shown = cv2.imdecode(raw, cv2.IMREAD_GRAYSCALE)
    assert shown is not None
    assert np.array_equal(shown, image)
