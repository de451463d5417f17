import tomllib
from pathlib import Path

import pytest

from recognizer.training import presets
from recognizer.training.augmentation import Augmentation
from recognizer.training.presets import PRESETS, named_augmentation
from recognizer.training.settings import SettingsError, read

CONFIGS = Path(presets.__file__).parent / "configs"


def test_presets_go_by_their_names() -> None:
    assert named_augmentation("default") == Augmentation()
    assert named_augmentation("gentle").covered < Augmentation().covered
    assert named_augmentation("geometric").rotation == Augmentation().rotation
    assert named_augmentation("strong").rotation > Augmentation().rotation
    assert named_augmentation("geometric").jpeg == 0
    assert named_augmentation("none").rotation == 0


@pytest.mark.parametrize("file", ["mini_xception", "small"])
def test_a_file_of_settings_does_that_names_a_preset(file: str) -> None:
    assert named_augmentation(str(CONFIGS / f"{file}.toml")) == PRESETS["gentle"]


@pytest.mark.parametrize("heading", ["", "[augmentation]\n"])
def test_a_file_changes_what_it_names(heading: str, tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(f"{heading}rotation = 5\nscale = [0.9, 1.1]\n")
    expected = Augmentation(rotation=5.0, scale=(0.9, 1.1))
    assert named_augmentation(str(tmp_path / "own.toml")) == expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("spin = 3", r"no setting augmentation\.spin; there are flip, rotation, "),
        ("flip = 2", r"augmentation\.flip = 2: input should be less than or equal to 1"),
        ("flip = true", r"augmentation\.flip = true: input should be a valid number"),
        ("rotation = nan", r"augmentation\.rotation = NaN: input should be a finite number"),
        ("scale = [1.2, 0.8]", r"augmentation\.scale = .*: input should go from the smallest to"),
        ("scale = [1]", r"augmentation\.scale = \[1\]: input has too few values"),
        ("flip =", "not valid TOML"),
        ("augmentation = 1", "must be a table"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(text: str, why: str, tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(text)
    with pytest.raises(ValueError, match=rf"own\.toml.*{why}"):
        named_augmentation(str(tmp_path / "own.toml"))


def test_the_limits_are_those_of_a_fitting(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    for possible in ("smallest = 1", "smallest = 64", "scale = [0.1, 10]", "shift = 0.99"):
        file.write_text(possible)
        assert named_augmentation(str(file)) == read(Augmentation, tomllib.loads(possible))
    for not_possible in (
        "smallest = 0", "scale = [0.05, 1.2]", "scale = [0.5, 20]", "shift = 1.0",
    ):  # fmt: skip
        file.write_text(not_possible)
        with pytest.raises(SettingsError, match=not_possible.partition(" ")[0]):
            named_augmentation(str(file))
        with pytest.raises(SettingsError):
            read(Augmentation, tomllib.loads(not_possible))


def test_an_unknown_name_gives_the_choice() -> None:
    with pytest.raises(ValueError, match="default, gentle"):
        named_augmentation("wild")
