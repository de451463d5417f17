"""Ways to do the same thing, measured side by side, and the table of what came out."""

import re
import statistics
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

_MARK = re.compile(r"^<!-- (\w+) -->$", re.MULTILINE)

Way = Callable[[], int]
"""Does the work, and gives how many things it found or read."""


class Table:
    """What is printed as it is measured, and written as Markdown at the end.

    Each section stands in the file below a mark of its own, so that some can be measured anew
    and the others stay.
    """

    def __init__(self, machine: str) -> None:
        """Begin with what the numbers are of."""
        print(machine)
        self._machine = machine
        self._sections: dict[str, list[str]] = {}
        self._lines: list[str] = []

    def section(self, name: str) -> None:
        """What comes now belongs to this section."""
        self._lines = self._sections[name] = []

    def title(self, text: str) -> None:
        print(f"\n{text}")
        self._lines += ["", f"## {text}", ""]

    def head(self, *cells: str) -> None:
        self._lines += [_row(cells), _row(["---", *["---:"] * (len(cells) - 1)])]
        print("  ".join(_padded(cells)))

    def row(self, *cells: str) -> None:
        self._lines.append(_row(cells))
        print("  ".join(_padded(cells)))

    def note(self, text: str) -> None:
        print(text)
        self._lines += ["", text]

    def check(self, path: Path, measured: Collection[str], order: Sequence[str]) -> None:
        """May these sections replace theirs in the file? Asked before they are measured.

        Raises:
            ValueError: sections would stay that were measured on another machine or with other
                versions.
        """
        if set(measured) == set(order) or not path.exists():
            return
        if self._machine not in path.read_text(encoding="utf-8").splitlines():
            raise ValueError(
                f"{path.name} was measured on another machine or with other versions. Measure "
                "every section (without --only)."
            )

    def write(self, path: Path, head: str, order: Sequence[str]) -> None:
        """Put the sections into the file, in that order, in place of what they said before.

        Raises:
            ValueError: see `check`.
        """
        sections = {name: "\n".join(lines).strip() for name, lines in self._sections.items()}
        self.check(path, sections, order)
        if set(sections) != set(order) and path.exists():
            _, *pairs = _MARK.split(path.read_text(encoding="utf-8"))
            kept = zip(pairs[::2], pairs[1::2], strict=True)
            sections = {name: text.strip() for name, text in kept} | sections
        parts = [f"<!-- {name} -->\n\n{sections[name]}" for name in order if name in sections]
        path.write_text("\n\n".join([head.strip(), self._machine, *parts]) + "\n", encoding="utf-8")


def compare(table: Table, ways: Mapping[str, Way], rounds: int) -> dict[str, float]:
    """Let the ways take turns, and put down the median of each; the first way is the measure.

    Whatever else the machine does falls on all of them alike, which is why the ratios mean
    something and the times little.

    Returns:
        The medians, in seconds.
    """
    found = {name: way() for name, way in ways.items()}  # also loads what is loaded on first use
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            seconds[name].append(timed(way))
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    measure = next(iter(medians.values()))
    for name, median in medians.items():
        row = (f"{median * 1000:.1f} ms", f"{median / measure:.2f}x", f"{found[name]}")
        table.row(name, *row)
    return medians


def timed(way: Callable[[], object]) -> float:
    """Seconds that it takes once."""
    started = time.perf_counter()
    way()
    return time.perf_counter() - started


def line_through(x: Sequence[float], y: Sequence[float]) -> tuple[float, float, float]:
    """Slope, intercept and R² of the least-squares line."""
    slope, intercept = np.polyfit(x, y, 1)
    left = np.subtract(y, np.polyval([slope, intercept], x))
    spread = np.subtract(y, np.mean(y))
    return float(slope), float(intercept), 1 - float((left @ left) / (spread @ spread))


def multiply_rate(threads: int, side: int = 2048, rounds: int = 5) -> float:
    """Multiply-accumulates per second of NumPy's float32 matrix product, at its best.

    The threads are those that the environment gave NumPy when it was loaded.
    """
    rng = np.random.default_rng(0)
    a = rng.random((side, side), np.float32)
    best = min(timed(lambda: a @ a) for _ in range(rounds))
    print(f"NumPy's float32 product, {threads} threads: {side**3 / best / 1e9:.0f} GMAC/s")
    return side**3 / best


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _padded(cells: Sequence[str]) -> list[str]:
    return [f"{cells[0]:34}", *(f"{cell:>12}" for cell in cells[1:])]
