"""Plain data (a table of TOML or JSON) read strictly into a frozen dataclass, and back.

What a setting may be stands in its type: `Share`, pydantic's `PositiveInt`, a `Literal`.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Annotated, Any, ClassVar, Final, TypeVar, get_type_hints

from pydantic import ConfigDict, Field, PositiveInt, TypeAdapter, ValidationError

T = TypeVar("T")

LARGEST_SEED: Final = 2**32 - 1
"""That NumPy and Keras take."""

Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]
Share = Annotated[float, Field(ge=0, le=1)]
ShareBelow1 = Annotated[float, Field(ge=0, lt=1)]
Widths = Annotated[tuple[PositiveInt, ...], Field(min_length=1)]

_IN_TOML: Final = {
    "tuple_type": "Input should be a list",
    "dataclass_type": "Input should be a table",
    "too_short": "Input should not be empty",
    "too_long": "Input has too many values",
    "missing": "Input has too few values",
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
        # As JSON, in which a table does for a dataclass and a list for a tuple, even strictly.
        return TypeAdapter(kind).validate_json(json.dumps(given, default=_refuse))
    except ValidationError as error:
        wrong = error.errors(include_url=False)
        raise SettingsError(" ".join(_sentences(kind, wrong, where))) from None


def _refuse(value: object) -> object:
    raise SettingsError(f"{value} is a date or a time, and no setting is; put text in quotes.")


def plain(settings: Any) -> dict[str, object]:
    """The settings of a dataclass as plain data; `read` gives the same dataclass back."""
    data: dict[str, object] = json.loads(json.dumps(asdict(settings)))
    return data


def _sentences(kind: type, found: Sequence[Any], where: str) -> Iterator[str]:
    """What pydantic found wrong, each with the setting's whole name."""
    unknown: dict[tuple[str, ...], list[str]] = {}
    for wrong in found:
        place, cause = wrong["loc"], wrong.get("ctx", {}).get("error")
        name = where + ".".join(part for part in place if isinstance(part, str))
        if isinstance(cause, SettingsError):
            yield str(cause)
        elif wrong["type"] == "unexpected_keyword_argument":
            unknown.setdefault(place[:-1], []).append(name)
        elif wrong["type"] == "json_invalid":
            yield "There is text in the settings that is not UTF-8."
        elif wrong["type"] != "too_short" or not wrong["input"]:
            # Else pydantic has dropped wrong values of a list, each of which it names.
            said = str(cause or _IN_TOML.get(wrong["type"], wrong["msg"]))
            yield f"{name} = {shown(wrong['input'])}: {said[0].lower()}{said[1:]}."
    for place, names in unknown.items():
        known = ", ".join(_known(kind, place))
        yield f"There is no setting {', '.join(names)}; there are {known}."


def shown(value: object) -> str:
    """A setting's value as TOML has it."""
    return json.dumps(value, ensure_ascii=False, default=str)


def _known(kind: Any, place: tuple[str, ...]) -> list[str]:
    for name in place:
        kind = get_type_hints(kind)[name]
    return [field.name for field in fields(kind)]
