"""Reports as single HTML files: everything inlined, nothing fetched."""

import os
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.template.loader import render_to_string
from django.utils import timezone

from recognizer.training.datasets.outputs import whole_file


def check_path(path: Path) -> None:
    """Say before the work begins that a report could not be written; exit status 2."""
    try:
        problem = _problem(path)
    except OSError as error:
        problem = f"{error.strerror}. Name another file."
    if problem:
        raise CommandError(f"The report {path} cannot be written: {problem}", returncode=2)


def _problem(path: Path) -> str:
    if path.is_dir():
        return "it is a folder. Name a file, such as report.html."
    if path.suffix.casefold() not in (".html", ".htm"):
        # Or a slip of the hand would write it over a data set.
        return "its name must end in .html."
    if not path.parent.is_dir():
        return f"the folder {path.parent} does not exist. Make it first, or name another."
    # A draft is written beside it and takes its place.
    if not all(os.access(one, os.W_OK) for one in (path.parent, path) if one.exists()):
        return "there is no permission to write it. Name another place."
    return ""


def write(path: Path, template: str, context: dict[str, Any]) -> None:
    """Render a template into one file.

    Args:
        path: of the file; see `check_path`.
        template: of templates/reports; it puts `style_tokens` into its style sheet.
        context: what else it needs.

    Raises:
        CommandError: the file cannot be written.
    """
    made = timezone.now()
    page = render_to_string(template, {"style_tokens": _tokens(), "made": made, **context})
    try:
        with whole_file(path) as draft:
            draft.write_text(page, encoding="utf-8")
    except OSError as error:
        raise CommandError(f"The report {path} cannot be written: {error.strerror}.") from error


def _tokens() -> str:
    """The site's design tokens; on paper the light ones, whatever the screen shows."""
    css = (settings.BASE_DIR / "static" / "css" / "tokens.css").read_text(encoding="utf-8")
    return css.replace("@media (prefers-color-scheme", "@media screen and (prefers-color-scheme")
