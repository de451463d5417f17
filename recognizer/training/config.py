"""The settings of a fitting as a file of TOML, for people to write and to keep.

    epochs = 20
    learning_rate = 0.1

    [network]
    name = "mini_xception"
    hidden = 64

    [augmentation]
    rotation = 10.0

What is left out keeps its default. Importing this module imports TensorFlow.
"""

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path

from recognizer.training.fitting import Fitting
from recognizer.training.networks import ARCHITECTURES, Network, name_of, network_from, settings_of
from recognizer.training.settings import SettingsError, plain, read, require_known, require_table


def load(path: Path) -> Fitting:
    """Read a fitting's settings from a file of TOML.

    Raises:
        SettingsError: the file cannot be read or is not TOML, or a setting in it is unknown,
            of the wrong type or out of its range; the message names the file and the setting.
    """
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"The settings in {path} cannot be read: {error}.") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is not valid TOML: {error}.") from error
    try:
        return from_plain(given)
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from error


def dump(how: Fitting, path: Path, heading: str = "") -> None:
    """Write all the settings as TOML; `load` gives the same ones back.

    Args:
        how: the settings.
        path: the file; its folder is made.
        heading: lines to put before them, as a comment.
    """
    data = to_plain(how)
    comment = [f"# {line}".rstrip() for line in heading.splitlines()]
    lines = [_line(name, value) for name, value in data.items() if not isinstance(value, dict)]
    for name, table in data.items():
        if isinstance(table, dict):
            lines += ["", f"[{name}]", *(_line(key, value) for key, value in table.items())]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*comment, *lines]) + "\n", encoding="utf-8")


def with_assignments(how: Fitting, assignments: Sequence[str]) -> Fitting:
    """The settings with some of them replaced.

    Args:
        how: the settings.
        assignments: each one NAME=VALUE as in a file of settings, `balance=0.5` or
            `network.dropout=0.1`; quotes may be left out. Another network than that of the
            settings begins with its defaults.

    Raises:
        SettingsError: an assignment that is none, or a setting that is not what it should be.
    """
    given = dict(map(_assigned, assignments))
    data = to_plain(how)
    if given.get("network.name", name_of(how.network)) != name_of(how.network):
        data["network"] = {}
    for name, value in given.items():
        table, dot, key = name.partition(".")
        inner = data.get(table)
        if dot and isinstance(inner, dict):
            inner[key] = value
        else:
            data[name] = value
    return from_plain(data)


def _assigned(assignment: str) -> tuple[str, object]:
    """Name and value; what is no value of TOML is text."""
    name, equals, text = (part.strip() for part in assignment.partition("="))
    if not (name and equals and text):
        raise SettingsError(
            f'"{assignment}" sets nothing; expected NAME=VALUE, such as balance=0.5 or '
            "network.name=simple_cnn."
        )
    try:
        given = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return name, text
    value = given.pop("value")
    usual = isinstance(value, bool | int | float | str | list) and not given
    return name, value if usual else text


def from_plain(given: Mapping[str, object]) -> Fitting:
    """Settings from tables as TOML or JSON gives them; SettingsError when they are not right."""
    if "network" not in given:
        return read(Fitting, given)
    require_known(given, tuple(field.name for field in fields(Fitting)))
    others = {name: value for name, value in given.items() if name != "network"}
    return replace(read(Fitting, others), network=_network(given["network"]))


def to_plain(how: Fitting) -> dict[str, object]:
    """All settings as tables; `from_plain` gives the same ones back."""
    network = {"name": name_of(how.network), **settings_of(how.network)}
    return plain(how) | {"network": network}


def _network(given: object) -> Network:
    table = require_table(given, "network")
    name = table.get("name")
    if not isinstance(name, str):
        known = ", ".join(sorted(ARCHITECTURES))
        raise SettingsError(f"network.name must be the name of an architecture: {known}.")
    settings = {key: value for key, value in table.items() if key != "name"}
    return network_from(name, settings, "network.")


def _line(name: str, value: object) -> str:
    # Numbers, text, true, false and lists of them are written alike in JSON and in TOML.
    return f"{name} = {json.dumps(value, ensure_ascii=False)}"
