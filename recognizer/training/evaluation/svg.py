"""The few shapes that charts are made of, as SVG text; see `charts`.

Lengths are in the chart's own units. Colours, strokes and text sizes are classes of the page's
style sheet. There is no xmlns: inside HTML it is implied.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from recognizer.training.evaluation.metrics import Floats


def chart(
    key: str, size: tuple[float, float], title: str, description: str, body: Sequence[str]
) -> str:
    """The whole of a chart; `key` makes its ids unique on the page."""
    width, height = size
    key = escape(key)
    return (
        f'<svg class="chart" viewBox="0 0 {width:g} {height:g}" role="img" '
        f'aria-labelledby="{key}-title {key}-about"><title id="{key}-title">{escape(title)}</title>'
        f'<desc id="{key}-about">{escape(description)}</desc>{"".join(body)}</svg>'
    )


def hinted(hint: str, *shapes: str) -> str:
    """Shapes with a tooltip."""
    return f"<g><title>{escape(hint)}</title>{''.join(shapes)}</g>"


def text(
    x: float, y: float, content: str, kind: str = "", anchor: str = "start", turn: float = 0
) -> str:
    """One line whose baseline is at y; `turn` is in degrees, clockwise about its beginning."""
    turned = f' transform="rotate({turn:g} {x:.1f} {y:.1f})"' if turn else ""
    held = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}"{held}{turned}>{escape(content)}</text>'


def rect(
    x: float, y: float, width: float, height: float, kind: str, opacity: float | None = None
) -> str:
    """A rectangle; `opacity` is of its fill."""
    faded = "" if opacity is None else f' fill-opacity="{opacity:.3f}"'
    return (
        f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" '
        f'height="{max(height, 0):.1f}"{faded}/>'
    )


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def circle(x: float, y: float, radius: float, kind: str) -> str:
    return f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}"/>'


def whisker(x1: float, x2: float, y: float) -> str:
    """A horizontal interval with caps."""
    return _cased(f"M{x1:.1f} {y:.1f}H{x2:.1f}M{x1:.1f} {y - 3:.1f}v6M{x2:.1f} {y - 3:.1f}v6")


def stem(x: float, y1: float, y2: float) -> str:
    """A vertical interval."""
    return _cased(f"M{x:.1f} {y1:.1f}V{y2:.1f}")


def _cased(path: str) -> str:
    """A thin line on a casing, which parts it from a bar of any colour."""
    return f'<path class="casing" d="{path}"/><path class="whisker" d="{path}"/>'


def legend(names: Sequence[str], x: float, y: float = 14) -> list[str]:
    """Swatches of the first series' colours with their names, in one line."""
    body = []
    for number, name in enumerate(names):
        body += _swatch(number, name, x, y)
        x += 32 + 6.2 * len(name)
    return body


def legend_row(number: int, name: str, x: float) -> list[str]:
    """A swatch of one series' colour with its name, in the line of its number."""
    return _swatch(number, name, x, 14 + 18 * number)


def _swatch(number: int, name: str, x: float, y: float) -> list[str]:
    return [rect(x, y - 9, 10, 10, f"bar fill-{number % 8}"), text(x + 15, y, name, "value")]


def percent(value: float) -> str:
    """0.25 as "25%", with a decimal where it needs one."""
    return plain(100 * value) + "%"


def plain(value: float) -> str:
    """Up to four digits, and a true minus."""
    return f"{value:.4g}".replace("-", "−")


def points(value: float) -> str:
    """0.25 as "25" percentage points."""
    return plain(100 * value)


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers, evenly spaced, the first and last of which enclose low and high."""
    if not high > low:
        high = low + (abs(low) or 1.0)
    rough = (high - low) / about
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * times for times in (1, 2, 2.5, 5, 10) if unit * times >= 0.999 * rough)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(step * number, 10) for number in range(first, last + 1)]


@dataclass(frozen=True, slots=True)
class Plot:
    """A frame on the paper, and the range of the data that it shows."""

    left: float
    top: float
    width: float
    height: float
    across: tuple[float, float]
    up: tuple[float, float]

    @property
    def bottom(self) -> float:
        return self.top + self.height

    def x(self, value: float) -> float:
        low, high = self.across
        return self.left + self.width * (value - low) / (high - low)

    def y(self, value: float) -> float:
        low, high = self.up
        return self.bottom - self.height * (value - low) / (high - low)

    def columns(
        self, values: Sequence[float], show: Callable[[float], str] | None = percent
    ) -> list[str]:
        """Vertical lines of the grid, and below them their values."""
        body = []
        for value in values:
            x = self.x(value)
            body.append(line(x, self.top, x, self.bottom, "grid"))
            if show:
                body.append(text(x, self.bottom + 15, show(value), "tick", "middle"))
        return body

    def rows(self, values: Sequence[float], show: Callable[[float], str] = percent) -> list[str]:
        """Horizontal lines of the grid, and left of them their values."""
        body = []
        for value in values:
            y = self.y(value)
            body.append(line(self.left, y, self.left + self.width, y, "grid"))
            body.append(text(self.left - 6, y + 4, show(value), "tick", "end"))
        return body

    def path(self, x: Floats, y: Floats, kind: str) -> str:
        """A line through (N,) points, interrupted where one is nan."""
        parts, pen = [], "M"
        for across, up in zip(x.tolist(), y.tolist(), strict=True):
            if np.isnan(up):
                pen = "M"
                continue
            parts.append(f"{pen}{self.x(across):.1f} {self.y(up):.1f}")
            pen = "L"
        return f'<path class="{kind}" d="{"".join(parts)}"/>'
