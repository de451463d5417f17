from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from recognizer.training.datasets.backgrounds import read_backgrounds
from recognizer.training.datasets.faces import DatasetError


def save(path: Path, image: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image[..., ::-1])


def test_crops_come_from_beside_the_faces(tmp_path: Path, astronaut: NDArray[np.uint8]) -> None:
    save(tmp_path / "portrait.png", astronaut)
    found = read_backgrounds(tmp_path, 60, print)
    assert len(found) == 60
    assert found.crops.shape == (60, 48, 48)
    assert set(found.photos) == {0}
    face = cv2.cvtColor(astronaut[64:171, 182:265], cv2.COLOR_RGB2GRAY)
    eyes = cv2.resize(face, (48, 48), interpolation=cv2.INTER_AREA)[14:26]
    for crop in found.crops:
        assert cv2.matchTemplate(crop, eyes, cv2.TM_CCOEFF_NORMED).max() < 0.9


def test_every_photo_gives_as_many(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("one.png", "more/two.png"):
        save(tmp_path / name, rng.integers(0, 256, (200, 300, 3)).astype(np.uint8))
    found = read_backgrounds(tmp_path, 10, print)
    assert np.bincount(found.photos).tolist() == [5, 5]
    again = read_backgrounds(tmp_path, 10, print)
    np.testing.assert_array_equal(found.crops, again.crops)


def test_a_photo_that_cannot_be_read_is_named_and_left_out(tmp_path: Path) -> None:
    save(tmp_path / "wall.png", np.full((100, 100, 3), 90, np.uint8))
    (tmp_path / "broken.PNG").write_text("no photo")
    lines: list[str] = []
    assert len(read_backgrounds(tmp_path, 4, lines.append)) == 2
    (line,) = lines
    assert "broken.PNG" in line


def test_what_lies_beside_the_photos_changes_nothing(tmp_path: Path) -> None:
    save(tmp_path / "wall.png", np.full((100, 100, 3), 90, np.uint8))
    for name in ("notes.txt", "__pycache__/notes.pyc"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("no photo")
    lines: list[str] = []
    assert len(read_backgrounds(tmp_path, 4, lines.append)) == 4
    assert lines == []


def test_photos_need_no_names_of_photos(tmp_path: Path) -> None:
    save(tmp_path / "wall.png", np.full((100, 100, 3), 90, np.uint8))
    (tmp_path / "wall.png").rename(tmp_path / "wall")
    assert len(read_backgrounds(tmp_path, 4, print)) == 4


def test_a_folder_without_photos_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="is no folder"):
        read_backgrounds(tmp_path / "none", 4, print)
    with pytest.raises(DatasetError, match="no photo with room"):
        read_backgrounds(tmp_path, 4, print)
    save(tmp_path / "small.png", np.zeros((40, 40, 3), np.uint8))
    with pytest.raises(DatasetError, match="no photo with room"):
        read_backgrounds(tmp_path, 4, print)
