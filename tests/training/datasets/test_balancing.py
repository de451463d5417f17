from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from recognizer.training.augmentation import Augmentation, augment
from recognizer.training.datasets import balancing
from recognizer.training.datasets.balancing import Balance, balance_fer2013, balance_folder
from recognizer.training.datasets.faces import DatasetError
from recognizer.training.datasets.result import BadParts
from tests.training.drawing import draw_face, write_fer2013, write_ferplus
from tests.training.pictures import faceless, read_grey, tight_crop, write_picture


def ignore(_: str) -> None:
    """What is reported is not of interest."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Seven happy and two sad pictures to learn from, one happy picture held out."""
    rng = np.random.default_rng(0)
    for number in range(7):
        write_picture(tmp_path / f"set/train/happy/h{number}.png", draw_face("happy", rng))
    for number in range(2):
        write_picture(tmp_path / f"set/train/sad/s{number}.png", draw_face("sad", rng))
    write_picture(tmp_path / "set/test/happy/held-out.png", draw_face("happy", rng))
    return tmp_path / "set"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def originals(root: Path, label: str) -> list[np.ndarray]:
    return [read_grey(path) for path in (root / "train" / label).iterdir()]


def is_among(image: np.ndarray, images: list[np.ndarray]) -> bool:
    return any(np.array_equal(image, one) for one in images)


def test_every_class_has_as_many_pictures_as_wanted(root: Path, tmp_path: Path) -> None:
    balance_folder(root, tmp_path / "out", Balance(per_class=5), ignore)
    happy, sad = (tmp_path / "out/train" / label for label in ("happy", "sad"))
    assert len(names(happy)) == 5
    assert set(names(happy)) < {f"h{number}.png" for number in range(7)}
    assert len(names(sad)) == 5
    for path in [*happy.iterdir(), *sad.iterdir()]:
        assert read_grey(path).shape == (48, 48)


def test_copies_are_named_after_their_originals(root: Path, tmp_path: Path) -> None:
    balance_folder(root, tmp_path / "out", Balance(per_class=6), ignore)
    assert names(tmp_path / "out/train/sad") == [
        "s0-copy1.png",
        "s0-copy2.png",
        "s0.png",
        "s1-copy1.png",
        "s1-copy2.png",
        "s1.png",
    ]


def test_originals_stay_as_they_are_and_copies_vary(root: Path, tmp_path: Path) -> None:
    balance_folder(root, tmp_path / "out", Balance(per_class=6), ignore)
    for path in (tmp_path / "out/train/sad").iterdir():
        assert is_among(read_grey(path), originals(root, "sad")) == ("copy" not in path.name)


def test_a_share_of_the_originals_is_varied(root: Path, tmp_path: Path) -> None:
    balance_folder(root, tmp_path / "out", Balance(per_class=7, untouched=0.43), ignore)
    varied = [name for name in names(tmp_path / "out/train/happy") if "-varied" in name]
    assert len(varied) == 4
    for path in (tmp_path / "out/train/happy").iterdir():
        assert is_among(read_grey(path), originals(root, "happy")) == ("varied" not in path.name)


def test_without_strength_copies_are_exact_or_mirrored(root: Path, tmp_path: Path) -> None:
    balance_folder(root, tmp_path / "out", Balance(per_class=12, strength=0), ignore)
    exact = originals(root, "sad")
    mirrored = [image[:, ::-1] for image in exact]
    for path in (tmp_path / "out/train/sad").iterdir():
        assert is_among(read_grey(path), exact + mirrored)


def test_more_strength_takes_copies_further_away(root: Path, tmp_path: Path) -> None:
    turning = Augmentation(0, 20, (0.8, 1.2), 0.1, 0, 0, 16, 0, 0, 0, 0)
    distances = []
    for strength in (0.1, 1.0):
        how = Balance(per_class=12, augmentation=turning, strength=strength)
        balance_folder(root, tmp_path / f"out-{strength}", how, ignore)
        exact = {path.stem: read_grey(path).astype(int) for path in (root / "train/sad").iterdir()}
        distances.append(
            np.mean(
                [
                    np.abs(read_grey(path) - exact[path.stem[:2]]).mean()
                    for path in (tmp_path / f"out-{strength}/train/sad").glob("*-copy*")
                ]
            )
        )
    assert distances[1] > 2 * distances[0]


def test_the_held_out_split_is_copied_untouched(root: Path, tmp_path: Path) -> None:
    balance_folder(root, tmp_path / "out", Balance(per_class=3), ignore)
    assert names(tmp_path / "out/test/happy") == ["held-out.png"]
    copy = tmp_path / "out/test/happy/held-out.png"
    assert copy.read_bytes() == (root / "test/happy/held-out.png").read_bytes()


def test_plain_class_folders_are_balanced_whole(root: Path, tmp_path: Path) -> None:
    balance_folder(root / "train", tmp_path / "out", Balance(per_class=3), ignore)
    assert len(names(tmp_path / "out/happy")) == len(names(tmp_path / "out/sad")) == 3


def test_the_seed_decides_everything(root: Path, tmp_path: Path) -> None:
    def made(folder: str, seed: int) -> dict[str, bytes]:
        balance_folder(root, tmp_path / folder, Balance(per_class=4, seed=seed), ignore)
        return {path.name: path.read_bytes() for path in (tmp_path / folder).rglob("*.png")}

    first = made("one", 1)
    assert made("again", 1) == first
    assert made("other", 2) != first


def test_pictures_of_one_name_keep_apart(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    write_picture(tmp_path / "set/sad/a.png", draw_face("sad", rng))
    write_picture(tmp_path / "set/sad/a.bmp", draw_face("sad", rng))
    write_picture(tmp_path / "set/sad/a-copy1.png", draw_face("sad", rng))
    balance_folder(tmp_path / "set", tmp_path / "out", Balance(per_class=9), ignore)
    assert len(names(tmp_path / "out/sad")) == 9


def test_the_detector_cuts_faces_out_and_names_what_has_none(
    tmp_path: Path, astronaut: np.ndarray
) -> None:
    write_picture(tmp_path / "set/happy/portrait.png", astronaut)
    write_picture(tmp_path / "set/happy/crop.png", tight_crop(astronaut))
    write_picture(tmp_path / "set/happy/nobody.png", faceless())
    said: list[str] = []
    how = Balance(per_class=2, size=64, detect=True)
    balance_folder(tmp_path / "set", tmp_path / "out", how, said.append)
    assert names(tmp_path / "out/happy") == ["crop.png", "portrait.png"]
    # Cut out of the photo and out of the tight crop, the face fills the picture alike.
    crop, portrait = (read_grey(path) for path in sorted((tmp_path / "out/happy").iterdir()))
    assert portrait.shape == (64, 64)
    assert np.corrcoef(crop.ravel(), portrait.ravel())[0, 1] > 0.7


def test_a_picture_without_a_face_is_named(tmp_path: Path, astronaut: np.ndarray) -> None:
    write_picture(tmp_path / "set/happy/portrait.png", astronaut)
    write_picture(tmp_path / "set/happy/nobody.png", faceless())
    (tmp_path / "set/happy/broken.png").write_text("no picture")
    said: list[str] = []
    how = Balance(per_class=3, detect=True)
    balance_folder(tmp_path / "set", tmp_path / "out", how, said.append, "skip")
    assert "Skipped happy/nobody.png: MTCNN finds no face in it." in said
    assert f"Skipped {tmp_path}/set/happy/broken.png: This is not an image." in said
    assert names(tmp_path / "out/happy") == [
        "portrait-copy1.png",
        "portrait-copy2.png",
        "portrait.png",
    ]


def test_a_class_without_any_usable_picture_is_an_error(tmp_path: Path) -> None:
    write_picture(tmp_path / "set/sad/nobody.png", faceless())
    how = Balance(per_class=1, detect=True)
    with pytest.raises(DatasetError, match="sad"):
        balance_folder(tmp_path / "set", tmp_path / "out", how, ignore)


def test_wide_pictures_give_their_middle_unsqueezed(tmp_path: Path) -> None:
    square = draw_face("sad", np.random.default_rng(0))
    write_picture(tmp_path / "set/sad/wide.png", np.pad(square, ((0, 0), (30, 30))))
    balance_folder(tmp_path / "set", tmp_path / "out", Balance(per_class=1), ignore)
    assert np.array_equal(read_grey(tmp_path / "out/sad/wide.png"), square)


def test_two_folders_of_one_class_become_one(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for folder in ("train/angry", "training/anger"):
        write_picture(tmp_path / "set" / folder / "a.png", draw_face("anger", rng))
    balance_folder(tmp_path / "set", tmp_path / "out", Balance(per_class=2), ignore)
    assert names(tmp_path / "out") == ["balance.json", "train"]
    assert names(tmp_path / "out/train/angry") == ["a-2.png", "a.png"]


def test_a_killed_run_goes_on_after_the_last_class_with_the_same_result(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def made(folder: Path) -> dict[str, bytes]:
        files = (path for path in folder.rglob("*") if path.is_file())
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}

    def varied(until: int | None = None) -> int:
        """How many pictures a run varies; it is killed at that one."""
        tried: list[int] = []

        def count(*arguments: Any) -> np.ndarray:
            tried.append(1)
            if len(tried) == until:
                raise Killed
            return augment(*arguments)

        with monkeypatch.context() as patch:
            patch.setattr(balancing, "augment", count)
            with suppress(Killed):
                balance_folder(root, output, Balance(per_class=10), ignore)
        return len(tried)

    output = tmp_path / "unbroken"
    unbroken = varied()
    output = tmp_path / "out"
    assert varied(until=unbroken) == unbroken
    assert not output.exists()
    assert 0 < varied() < unbroken
    assert made(output) == made(tmp_path / "unbroken")
    assert names(tmp_path) == ["out", "set", "unbroken"]


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """Own label sad, but happy by its votes; and a row that nobody could tell."""
    rng = np.random.default_rng(0)
    rows = [("sad", "Training"), ("sad", "Training"), ("happy", "Training")]
    rows += [("sad", "PublicTest"), ("sad", "PrivateTest")]
    votes = [{"happy": 10}, {"unknown": 10}, {"happy": 10}, {"sad": 10}, {"fear": 10}]
    write_fer2013(
        tmp_path / "fer2013.csv", [(own, split, draw_face(own, rng)) for own, split in rows]
    )
    splits = [split for _, split in rows]
    write_ferplus(tmp_path / "votes.csv", list(zip(splits, votes, strict=True)))
    return tmp_path / "fer2013.csv", tmp_path / "votes.csv"


def test_rows_go_where_their_votes_say(pair: tuple[Path, Path], tmp_path: Path) -> None:
    said: list[str] = []
    balance_fer2013(*pair, tmp_path / "out", Balance(per_class=2), said.append)
    made = {path.relative_to(tmp_path / "out").as_posix() for path in tmp_path.rglob("*.png")}
    assert made == {
        "train/happy/row-00001.png",
        "train/happy/row-00003.png",
        "validation/sad/row-00004.png",
        "test/fear/row-00005.png",
    }
    assert said[-1] == (
        "2 held-out rows were written as they are. Left out: 1 rows without an emotion, 0 Training "
        "rows that are identical to a held-out one."
    )


def test_rows_go_where_their_own_label_says(pair: tuple[Path, Path], tmp_path: Path) -> None:
    balance_fer2013(*pair, tmp_path / "out", Balance(per_class=2), ignore, own_labels=True)
    assert names(tmp_path / "out/train/sad") == ["row-00001.png", "row-00002.png"]
    assert names(tmp_path / "out/train/happy") == ["row-00003-copy1.png", "row-00003.png"]


def test_a_row_that_cannot_be_read_is_skipped_when_asked(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    header, first, *rest = pair[0].read_text().splitlines()
    pair[0].write_text("\n".join([header, "9" + first[1:], *rest]))
    with pytest.raises(BadParts, match="row 1: emotion must be 0-6"):
        balance_fer2013(*pair, tmp_path / "out", Balance(per_class=1), ignore)
    said: list[str] = []
    balance_fer2013(*pair, tmp_path / "out", Balance(per_class=1), said.append, bad="skip")
    assert "1 problems were skipped." in said
    assert names(tmp_path / "out/train/happy") == ["row-00003.png"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"per_class": 0},
        {"strength": 1.5},
        {"untouched": -0.1},
        {"size": 8},
        {"size": 16},
        {"seed": -1},
    ],
)
def test_impossible_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(DatasetError):
        Balance(**{"per_class": 5, **wrong})


def test_a_folder_in_use_is_refused(root: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="in use"):
        balance_folder(root, tmp_path, Balance(per_class=1), ignore)
    with pytest.raises(DatasetError, match="outside"):
        balance_folder(root, root / "out", Balance(per_class=1), ignore)


@pytest.mark.parametrize("ending", ["png", "bmp"])
def test_pictures_that_are_held_out_too_are_not_copied(
    ending: str, root: Path, tmp_path: Path
) -> None:
    """Another file may show the same pixels."""
    write_picture(root / f"train/happy/leak.{ending}", read_grey(root / "test/happy/held-out.png"))
    lines: list[str] = []
    balance_folder(root, tmp_path / "out", Balance(per_class=20), lines.append)
    assert not list((tmp_path / "out" / "train").rglob("leak*"))
    assert any("1 files to learn from" in line for line in lines)


def test_a_line_of_pixels_is_searched_at_no_great_length(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched: list[tuple[int, ...]] = []

    class Detector:
        def detect(self, image: np.ndarray) -> list[object]:
            searched.append(image.shape)
            return []

    monkeypatch.setattr(balancing, "MTCNN", Detector)
    write_picture(tmp_path / "set/happy/thin.png", np.zeros((1, 8000), np.uint8))
    with pytest.raises(DatasetError, match="no picture that can be used"):
        balance_folder(
            tmp_path / "set", tmp_path / "out", Balance(per_class=1, detect=True), ignore
        )
    assert max(searched[0]) <= 2 * 8000


@pytest.mark.parametrize("option", [["--labels", "ferplus"], ["--ferplus", "votes.csv"]])
def test_votes_of_rows_do_not_belong_to_a_folder(
    root: Path, tmp_path: Path, option: list[str]
) -> None:
    given = [str(root), str(tmp_path / "out"), "--per-class", "3", *option]
    with pytest.raises(CommandError, match=rf"^{option[0]} is about the rows of FER-2013"):
        call_command("dataset", "balance", *given)
