"""Augmentations by name, or from a file of TOML."""

import tomllib
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from recognizer.training.augmentation import Augmentation

PRESETS: Final = {
    "default": Augmentation(),
    "gentle": Augmentation().scaled(0.5),
    # Moves faces, and leaves their pixels as they are.
    "geometric": Augmentation(lighting=0, low_resolution=0, blur=0, jpeg=0, noise=0, occlusion=0),
    "none": Augmentation().scaled(0),
}


def named_augmentation(name: str) -> Augmentation:
    """A preset by its name, or the file of that path.

    The file gives any of `Augmentation`'s attributes, at its top or in a table `augmentation`,
    as in the settings of a fitting; what it leaves out keeps its default.

    Raises:
        ValueError: neither a preset nor a file that can be read, or a setting is unknown or
            impossible.
    """
    if name in PRESETS:
        return PRESETS[name]
    try:
        given = tomllib.loads(Path(name).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(
            f"{name} is neither a file nor a known augmentation: {', '.join(PRESETS)}."
        ) from None
    except OSError as error:
        raise ValueError(f"{name} cannot be read: {error.strerror}.") from error
    except ValueError as error:  # Not UTF-8, or not TOML.
        raise ValueError(f"{name} is not valid TOML: {error}.") from error
    table = given.get("augmentation", given)
    if not isinstance(table, dict):
        raise ValueError(f"{name}: augmentation must be a table, [augmentation].")
    known = asdict(Augmentation())
    for key, value in table.items():
        if key not in known:
            raise ValueError(f"{name}: there is no setting {key}; there are {', '.join(known)}.")
        known[key] = _checked(f"{name}: {key}", key, value)
    return Augmentation(**known)


def _checked(where: str, key: str, value: Any) -> Any:
    """The value as `Augmentation` takes it; ValueError when it can't be that."""
    if key == "scale":
        pair = isinstance(value, list) and len(value) == 2 and all(map(_is_number, value))
        if not pair or not 0 < value[0] <= value[1]:
            raise ValueError(f"{where} must be the smallest and largest zoom, [0.85, 1.2] say.")
        return float(value[0]), float(value[1])
    if key == "smallest":
        if type(value) is not int or value < 2:
            raise ValueError(f"{where} must be a whole number of pixels, 2 or more, not {value}.")
        return value
    most = 180 if key == "rotation" else 1
    if not _is_number(value) or not 0 <= value <= most:
        raise ValueError(f"{where} must lie in 0-{most}, not {value}.")
    return float(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
