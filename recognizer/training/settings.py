"""Plain data (a table of TOML or JSON) read strictly into a frozen dataclass, and back.

What a class allows is read off its fields and type hints; what its numbers may be, off LIMITS.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from typing import Any, Final, Literal, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")


class SettingsError(ValueError):
    """A setting is not what it should be; the message names it and says what was expected."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a setting may be.

    Attributes:
        low: smallest number.
        high: largest number.
        below: whether `high` itself is too large already.
        names: the words that a text may be, if not any.
        rising: whether no number of a list may be smaller than the one before.
        empty: whether a list of any length may have none.
    """

    low: float = 0.0
    high: float = math.inf
    below: bool = False
    names: tuple[str, ...] = ()
    rising: bool = False
    empty: bool = False

    def expected(self) -> str:
        if self.names:
            return "one of " + ", ".join(f'"{name}"' for name in self.names)
        if self.high == math.inf:
            return f"{self.low:g} or more"
        return f"{self.low:g} or more and {'below' if self.below else 'at most'} {self.high:.10g}"

    def hold(self, value: float) -> bool:
        return self.low <= value and (value < self.high if self.below else value <= self.high)


LARGEST_SEED: Final = 2**32 - 1
"""That NumPy and Keras take."""

SHARE: Final = Limits(high=1)
SHARE_BELOW_1: Final = Limits(high=1, below=True)
AT_LEAST_1: Final = Limits(low=1)
# A word means the same in every class. A number that is not named here: 0 or more.
LIMITS: Final[Mapping[str, Limits]] = {
    **dict.fromkeys(
        ("epochs", "finishes", "batch", "widths", "blocks", "squeeze", "stem", "dense"), AT_LEAST_1
    ),
    **dict.fromkeys(("dropout", "block_dropout", "momentum", "ema"), SHARE_BELOW_1),
    **dict.fromkeys(("label_smoothing", "shift"), SHARE_BELOW_1),
    **dict.fromkeys(
        ("fer2013_weight", "balance", "distillation", "flip", "lighting", "low_resolution"), SHARE
    ),
    **dict.fromkeys(("blur", "jpeg", "noise", "occlusion", "finish_augmentation"), SHARE),
    "seed": Limits(high=LARGEST_SEED),
    "covered": Limits(low=0.1, high=1, below=True),
    "rotation": Limits(high=180),
    "scale": Limits(low=0.1, high=10, rising=True),
    "teachers": Limits(empty=True),
    "smallest": AT_LEAST_1,  # And below the size of the pictures, where that is known.
    "small_size": Limits(low=16),
    # Without loss scaling float16 loses small gradients, so it is not offered.
    "mixed_precision": Limits(names=("auto", "float32", "mixed_bfloat16")),
}


def read(kind: type[T], given: Mapping[str, object], where: str = "") -> T:
    """Make a `kind`, a dataclass, of settings by name; what is not given keeps its default.

    Args:
        kind: its fields are int, float, bool, str, Literal, tuples of these, or dataclasses.
        given: as TOML or JSON gives it: lists for tuples, tables for dataclasses.
        where: put before the names in messages, as "network." is.

    Raises:
        SettingsError: an unknown setting, a wrong type, or a value out of its range.
    """
    known = _fields(kind)
    require_known(given, tuple(known), where)
    hints = get_type_hints(kind)
    values = {name: value_of(hints[name], value, where + name) for name, value in given.items()}
    missing = [
        where + name
        for name, field in known.items()
        if name not in given and field.default is MISSING and field.default_factory is MISSING
    ]
    if missing:
        raise SettingsError(f"{', '.join(missing)} must be given.")
    return kind(**values)


def plain(settings: object) -> dict[str, object]:
    """The settings of a dataclass as plain data; `read` gives the same dataclass back."""
    return {name: _plain_value(getattr(settings, name)) for name in _fields(type(settings))}


def require_known(given: Mapping[str, object], known: tuple[str, ...], where: str = "") -> None:
    """SettingsError when a setting has an unknown name."""
    unknown = [where + name for name in given if name not in known]
    if unknown:
        raise SettingsError(
            f"There is no setting {', '.join(unknown)}; there are {', '.join(known) or 'none'}."
        )


def require_table(value: object, name: str) -> Mapping[str, object]:
    """The value, which must be settings by name; SettingsError otherwise."""
    if not isinstance(value, Mapping):
        raise _wrong(name, f"a table, [{name}] in TOML", value)
    return value


def value_of(hint: Any, value: object, name: str) -> Any:
    """A value of the type that `hint` describes; SettingsError when it is none, or too much."""
    if isinstance(hint, type) and is_dataclass(hint):
        return read(hint, require_table(value, name), f"{name}.")
    if get_origin(hint) is tuple:
        return _tuple_of(hint, value, name)
    if get_origin(hint) is Literal:
        names = get_args(hint)
        if value not in names:
            raise _wrong(name, Limits(names=names).expected(), value)
        return value
    if hint is bool:
        if not isinstance(value, bool):
            raise _wrong(name, "true or false", value)
        return value
    limits = _limits_of(name)
    return _text_of(value, name, limits) if hint is str else _number_of(hint, value, name, limits)


def _text_of(value: object, name: str, limits: Limits) -> str:
    if not isinstance(value, str):
        raise _wrong(name, "text", value)
    if limits.names and value not in limits.names:
        raise _wrong(name, limits.expected(), value)
    return value


def _number_of(hint: Any, value: object, name: str, limits: Limits) -> float:
    word = {int: "a whole number", float: "a number"}[hint]
    # In Python true is 1, which nobody means.
    fitting = int if hint is int else int | float
    if isinstance(value, bool) or not isinstance(value, fitting):
        raise _wrong(name, word, value)
    if not math.isfinite(value) or not limits.hold(value):
        raise _wrong(name, f"{word}, {limits.expected()}", value)
    number: float = hint(value)
    return number


def _tuple_of(hint: Any, value: object, name: str) -> tuple[Any, ...]:
    parts = get_args(hint)
    any_length = len(parts) == 2 and parts[1] is Ellipsis
    if not isinstance(value, list | tuple):
        raise _wrong(name, "a list", value)
    if any_length and not value and not _limits_of(name).empty:
        raise _wrong(name, "a list of at least one value", value)
    if not any_length and len(value) != len(parts):
        raise _wrong(name, f"a list of {len(parts)} values", value)
    wanted = [parts[0]] * len(value) if any_length else list(parts)
    items = tuple(value_of(part, item, name) for part, item in zip(wanted, value, strict=True))
    if _limits_of(name).rising and list(items) != sorted(items):
        raise _wrong(name, "a list from the smallest to the largest", value)
    return items


def _limits_of(name: str) -> Limits:
    return LIMITS.get(name.rpartition(".")[2], Limits())


def _wrong(name: str, expected: str, value: object) -> SettingsError:
    shown = f'"{value}"' if isinstance(value, str) else json.dumps(value, default=str)
    return SettingsError(f"{name} must be {expected}, not {shown}.")


def _plain_value(value: object) -> object:
    if isinstance(value, tuple):
        return [_plain_value(item) for item in value]
    return plain(value) if is_dataclass(value) else value


def _fields(kind: Any) -> dict[str, Field[Any]]:
    return {field.name: field for field in fields(kind)}
