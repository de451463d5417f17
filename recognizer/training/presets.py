"""Augmentations by name, or from a file of TOML."""

import tomllib
from pathlib import Path
from typing import Final

from recognizer.training.augmentation import Augmentation
from recognizer.training.settings import SettingsError, plain, read

PRESETS: Final = {
    "default": Augmentation(),
    "gentle": Augmentation(
        low_resolution=0.12, blur=0.08, noise=0.08, occlusion=0.15, covered=0.35
    ),
    # Moves faces further and spoils more of them, but covers less of each.
    "strong": Augmentation(
        rotation=14.0,
        scale=(0.85, 1.2),
        shift=0.08,
        lighting=0.5,
        low_resolution=0.25,
        jpeg=0.25,
        noise=0.15,
        covered=0.35,
    ),
    # Moves faces, and leaves their pixels as they are.
    "geometric": Augmentation(lighting=0, low_resolution=0, blur=0, jpeg=0, noise=0, occlusion=0),
    "none": Augmentation().scaled(0),
}


def named_augmentation(name: str) -> Augmentation:
    """A preset by its name, or the file of that path.

    The file gives any of `Augmentation`'s attributes, at its top or in a table `augmentation`; a
    preset's name may stand there, too, as in the settings of a fitting. What it leaves out keeps
    its default.

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
    try:
        table = preset_as_table(given.get("augmentation", given))
        if not isinstance(table, dict):
            raise SettingsError("augmentation must be a table, [augmentation] in TOML.")
        return read(Augmentation, table, "augmentation.")
    except SettingsError as error:
        raise SettingsError(f"{name}: {error}") from error


def preset_as_table(given: object) -> object:
    """A preset's name as its settings by name; what is no text stays as it is.

    Raises:
        SettingsError: there is no preset of that name.
    """
    if not isinstance(given, str):
        return given
    if given not in PRESETS:
        known = ", ".join(f'"{name}"' for name in PRESETS)
        raise SettingsError(f'augmentation must be a table or one of {known}, not "{given}".')
    return plain(PRESETS[given])
