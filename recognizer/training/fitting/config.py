"""The settings of a fitting as a file of TOML, for people to write and to keep.

    epochs = 20
    learning_rate = 0.1

    [network]
    name = "mini_xception"
    hidden = 64

    [augmentation]
    rotation = 5.0

or `augmentation = "gentle"`, one of `presets.PRESETS`. What is left out keeps its default; paths
are relative to the file. Importing this module imports TensorFlow.
"""

import json
import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from recognizer.training.fitting.hyperparameters import NO_PATHS, Fitting
from recognizer.training.networks import name_of, settings_of
from recognizer.training.presets import preset_as_table
from recognizer.training.settings import SettingsError, plain, read


def load(path: Path, assignments: Sequence[str] = ()) -> Fitting:
    """Read a fitting's settings from a file of TOML; paths become relative to the current folder.

    Args:
        path: the file.
        assignments: what to replace, see `with_assignments`.

    Raises:
        SettingsError: the file cannot be read or is not TOML, or a setting in it is unknown,
            of the wrong type or out of its range; the message names the file and the setting.
    """
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise SettingsError(f"The settings in {path} cannot be read: {why}.") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is not valid TOML: {error}.") from error
    try:
        how = read(Fitting, _with_paths(given, path.parent, Path()))
        if not assignments:
            _require_sense(how)
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from error
    return with_assignments(how, assignments) if assignments else how


def dump(how: Fitting, path: Path, heading: str = "") -> None:
    """Write all the settings as TOML; `load` gives the same ones back.

    Args:
        how: the settings.
        path: the file; its folder is made.
        heading: lines to put before them, as a comment.
    """
    data = _with_paths(to_plain(how), Path(), path.parent)
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
            `network.dropout=0.1`; quotes may be left out, and nothing is the empty text. Another
            network than that of the settings begins with its defaults, at random.

    Raises:
        SettingsError: an assignment that is none, or a setting that is not what it should be.
    """
    given = dict(map(_assigned, assignments))
    data = to_plain(how)
    if given.get("network.name", name_of(how.network)) != name_of(how.network):
        data |= {"network": {}, "start": ""}
    for name, value in given.items():
        table, dot, key = name.partition(".")
        inner = data.get(table)
        if dot and isinstance(inner, dict):
            inner[key] = value
        else:
            data[name] = preset_as_table(value) if name == "augmentation" else value
    return from_plain(data)


def _assigned(assignment: str) -> tuple[str, object]:
    """Name and value; what is no value of TOML is text."""
    name, equals, text = (part.strip() for part in assignment.partition("="))
    if not (name and equals):
        raise SettingsError(
            f'"{assignment}" sets nothing; expected NAME=VALUE, such as balance=0.5 or '
            "network.name=simple_cnn."
        )
    if not text:
        return name, ""
    try:
        given = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return name, text
    value = given.pop("value")
    usual = isinstance(value, bool | int | float | str | list) and not given
    return name, value if usual else text


def from_plain(given: Mapping[str, object]) -> Fitting:
    """Settings from tables as TOML or JSON gives them; SettingsError when they are not right."""
    how = read(Fitting, given)
    _require_sense(how)
    return how


def _require_sense(how: Fitting) -> None:
    """Settings that are right by themselves may make no sense together."""
    if how.distillation and not (how.soft_labels or how.teachers):
        raise SettingsError(
            f"distillation = {how.distillation:g} needs soft_labels, a file that "
            "`manage.py teach` writes, or teachers, folders of models."
        )
    if how.soft_labels and how.teachers:
        raise SettingsError(
            "soft_labels and teachers are two ways of teaching; set one of them only "
            "(--set soft_labels= or --set teachers=[])."
        )
    if len({Path(folder).resolve() for folder in how.teachers}) < len(how.teachers):
        raise SettingsError("A folder is named twice in teachers, and a teacher counts once.")
    if how.fer2013_weight == 1:
        raise SettingsError(
            "fer2013_weight = 1 leaves nothing of the loss to the eight emotions, which are what "
            "the product answers; set it below 1."
        )
    if how.small_epochs and how.small_epochs >= how.all_epochs:
        raise SettingsError(
            f"small_epochs = {how.small_epochs} leaves none of the {how.all_epochs} epochs "
            "(epochs and finish_epochs) at full size; the network would never see faces as it "
            "is served them. Set fewer, such as small_epochs = 0 (--set small_epochs=0)."
        )
    if how.finishes > 1 and not how.finish_epochs:
        raise SettingsError(
            f"finishes = {how.finishes} needs finish_epochs, the epochs of each; set them to 1 or "
            "more, or finishes = 1."
        )
    if how.patience and how.finish_epochs:
        raise SettingsError(
            f"patience = {how.patience} stops before the finish; set finish_epochs = 0 with it, "
            "or patience = 0."
        )


def _with_paths(given: dict[str, object], old: Path, new: Path) -> dict[str, object]:
    """Settings whose paths, relative to the folder `old`, become relative to `new`."""

    def moved(table: Mapping[str, object], names: Sequence[str]) -> dict[str, object]:
        paths = {name: table[name] for name in names if name in table}
        return {name: _moved(path, old, new) for name, path in paths.items()}

    changed = given | moved(given, ("start", "soft_labels", "teachers"))
    network = given.get("network")
    if isinstance(network, dict):
        changed["network"] = network | moved(network, ("weights",))
    return changed


def _moved(path: object, old: Path, new: Path) -> object:
    """A path, or a list of them; what is neither, or stays where it is, stays as it is."""
    if isinstance(path, list):
        return [_moved(one, old, new) for one in path]
    relative = isinstance(path, str) and path not in NO_PATHS and not Path(path).is_absolute()
    return os.path.relpath(old / str(path), new) if relative else path


def to_plain(how: Fitting) -> dict[str, object]:
    """All settings as tables; `from_plain` gives the same ones back."""
    network = {"name": name_of(how.network), **settings_of(how.network)}
    return plain(how) | {"network": network}


def _line(name: str, value: object) -> str:
    # Numbers, text, true, false and lists of them are written alike in JSON and in TOML.
    return f"{name} = {json.dumps(value, ensure_ascii=False)}"
