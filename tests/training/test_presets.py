from pathlib import Path

import pytest

from recognizer.training.augmentation import Augmentation
from recognizer.training.presets import named_augmentation


def test_presets_go_by_their_names() -> None:
    assert named_augmentation("default") == Augmentation()
    assert named_augmentation("gentle") == Augmentation().scaled(0.5)
    assert named_augmentation("geometric").rotation == Augmentation().rotation
    assert named_augmentation("geometric").jpeg == 0
    assert named_augmentation("none").rotation == 0


@pytest.mark.parametrize("heading", ["", "[augmentation]\n"])
def test_a_file_changes_what_it_names(heading: str, tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(f"{heading}rotation = 5\nscale = [0.9, 1.1]\n")
    expected = Augmentation(rotation=5.0, scale=(0.9, 1.1))
    assert named_augmentation(str(tmp_path / "own.toml")) == expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("spin = 3", "no setting spin"),
        ("flip = 2", "flip must lie in 0-1"),
        ("flip = true", "flip must lie in 0-1"),
        ("rotation = nan", "rotation must lie in 0-180"),
        ("scale = [1.2, 0.8]", "zoom"),
        ("smallest = 1", "whole number"),
        ("flip =", "not valid TOML"),
        ("augmentation = 1", "must be a table"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(text: str, why: str, tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(text)
    with pytest.raises(ValueError, match=why):
        named_augmentation(str(tmp_path / "own.toml"))


def test_an_unknown_name_gives_the_choice() -> None:
    with pytest.raises(ValueError, match="default, gentle"):
        named_augmentation("wild")
