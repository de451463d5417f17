"""The design tokens, light and dark, hold the contrast that WCAG 2.2 AA asks for."""

import re
from functools import cache

import pytest
from django.conf import settings

from recognizer.vision.emotions import EMOTIONS

TEXT, LINE = 4.5, 3.0
GROUNDS = ("page-bg", "surface", "sunken", "hover")
PAIRS = [
    *(
        (name, ground, TEXT)
        for name in ("text", "muted", "accent", "accent-hover", "warning")
        for ground in GROUNDS
    ),
    *(("uncertain", ground, TEXT) for ground in ("page-bg", "surface", "uncertain-soft")),
    ("on-accent", "accent", TEXT),
    ("on-accent", "accent-hover", TEXT),
    ("text", "accent-soft", TEXT),
    ("text", "warning-soft", TEXT),
    ("warning", "warning-soft", TEXT),
    ("photo-tag-text", "photo-tag", TEXT),
    ("photo-tag-text", "photo-tag-uncertain", TEXT),
    *(
        (name, ground, LINE)
        for name in ("line-strong", "accent", "uncertain")
        for ground in ("page-bg", "surface")
    ),
    *((f"emotion-{name}", ground, LINE) for name in EMOTIONS for ground in ("surface", "sunken")),
]


@cache
def tokens(theme: str) -> dict[str, str]:
    css = (settings.BASE_DIR / "static" / "css" / "tokens.css").read_text()
    light, dark = css.split("@media (prefers-color-scheme: dark)")
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", light))
    if theme == "dark":
        colours |= dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", dark))
    return colours


def luminance(colour: str) -> float:
    """Relative luminance, 0-1, by WCAG 2.2."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(first: str, second: str) -> float:
    dark, light = sorted((luminance(first), luminance(second)))
    return (light + 0.05) / (dark + 0.05)


def test_black_on_white_is_21_to_1() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_pair_of_tokens_can_be_told_apart(theme: str) -> None:
    colours = tokens(theme)
    too_close = {
        f"{name} on {ground}": round(contrast(colours[name], colours[ground]), 2)
        for name, ground, least in PAIRS
        if contrast(colours[name], colours[ground]) < least
    }
    assert too_close == {}
