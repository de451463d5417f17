"""Plain data (a table of TOML or JSON) read strictly into a frozen dataclass, and back.

What a setting may be stands in its type: `Share`, pydantic's `PositiveInt`, a `Literal`.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Annotated, Any, ClassVar, Final, TypeVar, get_type_hints

from pydantic import ConfigDict, Field, PositiveInt, TypeAdapter, ValidationError

T = TypeVar("T")

LARGEST_SEED: Final = 2**32 - 1
"""That NumPy and Keras take."""

Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]
Share = Annotated[float, Field(ge=0, le=1)]
ShareBelow1 = Annotated[float, Field(ge=0, lt=1)]
# TOML and JSON have lists only, which strictly are no tuples.
Texts = Annotated[tuple[str, ...], Field(strict=False)]
Widths = Annotated[tuple[PositiveInt, ...], Field(strict=False, min_length=1)]

_IN_TOML: Final = {
    "tuple_type": "Input should be a list",
    "dataclass_type": "Input should be a table",
    "too_short": "Input should not be empty",
}
"""What pydantic says of Python's types, in the words of those who write TOML."""


class SettingsError(ValueError):
    """A setting is not what it should be; the message names it and says what was expected."""


class Settings:
    """What the dataclasses that `read` makes inherit; constructing one checks nothing.

    Text is no number and true is no 1, as nobody means that; a whole number does for a float.
    """

    __slots__ = ()
    __pydantic_config__: ClassVar = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


def read(kind: type[T], given: Mapping[str, object], where: str = "") -> T:
    """Make a `kind`, a dataclass, of settings by name; what is not given keeps its default.

    Args:
        kind: what its fields may be, their types say.
        given: as TOML or JSON gives it: lists for tuples, tables for dataclasses.
        where: put before the names in messages, as "network." is.

    Raises:
        SettingsError: an unknown setting, a wrong type, or a value out of its range; all that is
            wrong, a sentence each.
    """
    try:
        # As JSON, in which a table does for a dataclass and a date is text, even strictly.
        return TypeAdapter(kind).validate_json(json.dumps(given, default=str))
    except ValidationError as error:
        wrong = error.errors(include_url=False)
        raise SettingsError(" ".join(_sentence(kind, one, where) for one in wrong)) from None


def plain(settings: Any) -> dict[str, object]:
    """The settings of a dataclass as plain data; `read` gives the same dataclass back."""
    data: dict[str, object] = json.loads(json.dumps(asdict(settings)))
    return data


def _sentence(kind: type, wrong: Any, where: str) -> str:
    """What pydantic found wrong, with the setting's whole name."""
    place, cause = wrong["loc"], wrong.get("ctx", {}).get("error")
    if isinstance(cause, SettingsError):
        return str(cause)
    name = where + ".".join(part for part in place if isinstance(part, str))
    if wrong["type"] == "unexpected_keyword_argument":
        return f"There is no setting {name}; there are {', '.join(_known(kind, place[:-1]))}."
    shown = json.dumps(wrong["input"], ensure_ascii=False, default=str)
    said = str(cause or _IN_TOML.get(wrong["type"], wrong["msg"]))
    return f"{name} = {shown}: {said[0].lower()}{said[1:]}."


def _known(kind: Any, place: tuple[str, ...]) -> list[str]:
    for name in place:
        kind = get_type_hints(kind)[name]
    return [field.name for field in fields(kind)]
