"""A progress bar on stderr, where there is a terminal to see it."""

from collections.abc import Iterable
from typing import TypeVar, cast

from tqdm import tqdm

T = TypeVar("T")


def bar(items: Iterable[T], name: str, unit: str, total: int | None = None) -> Iterable[T]:
    """The same items, counted on stderr while they are taken; nothing where it is no terminal."""
    counted = tqdm(items, name, total, leave=False, disable=None, unit=f" {unit}")
    return cast(Iterable[T], counted)
