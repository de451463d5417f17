from pathlib import Path

import cv2
import numpy as np
import pytest

from recognizer.training.datasets.classes import CLASSES
from recognizer.training.datasets.faces import DatasetError, majority
from recognizer.training.datasets.reading import read_dataset
from recognizer.training.datasets.result import BadParts
from recognizer.training.datasets.votes import VotedFace, scaled
from tests.training.drawing import draw_face
from tests.training.votes import write_votes


def ballot(**counts: int) -> tuple[int, ...]:
    return tuple(counts.get(name, 0) for name in CLASSES)


def export(folder: Path, faces: list[VotedFace]) -> Path:
    rng = np.random.default_rng(3)
    for face in faces:
        (folder / face.file).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / face.file), draw_face("sad", rng))
    write_votes(folder, faces)
    return folder


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    faces = [
        VotedFace("faces/a.png", ballot(happy=7, sad=3), "photo-1", "Training"),
        VotedFace("faces/b.png", ballot(unknown=4, not_a_face=6), "photo-2", "PublicTest"),
        VotedFace("c.png", ballot(contempt=12), "", "PrivateTest"),
    ]
    reading = read_dataset(export(tmp_path, faces))
    assert reading.faces.votes.tolist() == [list(face.votes) for face in faces]
    assert reading.faces.splits.tolist() == [face.split for face in faces]
    assert reading.faces.groups.tolist() == ["photo-1", "photo-2", ""]
    assert reading.faces.labels.tolist() == [-1, -1, -1]
    assert reading.faces.named.tolist() == [True, False, True]


def test_a_single_reviewer_counts_as_ten() -> None:
    assert scaled(ballot(happy=1)) == ballot(happy=10)
    assert scaled(ballot(happy=2, sad=1)) == ballot(happy=7, sad=3)
    assert scaled(ballot(happy=1, sad=1)) == ballot(happy=5, sad=5)
    assert scaled(ballot(happy=9, sad=8)) == ballot(happy=9, sad=8)


def test_a_single_reviewers_verdict_is_a_majority(tmp_path: Path) -> None:
    faces = read_dataset(export(tmp_path, [VotedFace("a.png", ballot(fear=1))])).faces
    assert majority(faces.votes).tolist() == [CLASSES.index("fear")]


def test_a_group_is_never_torn_apart(tmp_path: Path) -> None:
    groups = [f"owner-{number // 4}" for number in range(80)]
    faces = [VotedFace(f"{n}.png", ballot(sad=1), group) for n, group in enumerate(groups)]
    reading = read_dataset(export(tmp_path, faces))
    held_out = {groups[row] for row in np.flatnonzero(reading.faces.splits == "PublicTest")}
    learned = {groups[row] for row in np.flatnonzero(reading.faces.splits == "Training")}
    assert held_out
    assert learned
    assert not held_out & learned


def test_a_row_without_a_split_follows_its_group(tmp_path: Path) -> None:
    faces = [
        VotedFace(f"{number}.png", ballot(sad=1), f"g{number // 2}", split)
        for number, split in enumerate(["PublicTest", ""] * 8)
    ]
    reading = read_dataset(export(tmp_path, faces))
    assert set(reading.faces.splits.tolist()) == {"PublicTest"}


def test_as_further_images_they_are_training_but_for_what_they_hold_out(
    dataset: tuple[Path, Path], tmp_path: Path
) -> None:
    faces = [VotedFace(f"{number}.png", ballot(sad=1), f"g{number}") for number in range(20)]
    faces.append(VotedFace("held-out.png", ballot(sad=1), "x", "PublicTest"))
    reading = read_dataset(dataset[0], extra=[export(tmp_path, faces)])
    assert len(reading.faces) == 180
    assert set(reading.faces.splits[160:].tolist()) == {"Training"}
    assert any("holds out 1 of its faces" in note for note in reading.notes)


def test_nobody_who_is_held_out_comes_back_with_further_images(tmp_path: Path) -> None:
    first = [
        VotedFace("a.png", ballot(sad=1), "anna", "Training"),
        VotedFace("b.png", ballot(sad=1), "bert", "PublicTest"),
    ]
    later = [VotedFace(f"{name}.png", ballot(sad=1), name) for name in ("anna", "bert", "carl")]
    places = [tmp_path / "first", tmp_path / "later"]
    for place, faces in zip(places, (first, later), strict=True):
        place.mkdir()
        export(place, faces)
    reading = read_dataset(places[0], extra=[places[1]])
    assert reading.faces.groups.tolist() == ["anna", "bert", "anna", "carl"]
    assert reading.further == 2
    assert [Path(origin).name for origin in reading.origins[2:]] == ["anna.png", "carl.png"]
    assert any("1 further faces were left out" in note and "bert" in note for note in reading.notes)
    # Who draws sides of their own begins with all of them.
    together = read_dataset(places[0], extra=[places[1]], apart=False)
    assert together.faces.groups.tolist() == ["anna", "bert", "anna", "bert", "carl"]
    assert together.further == 3


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a.png,x,0,0,0,0,0,0,0,0,0", "row 1: every vote must be a whole number"),
        ("a.png,0,0,0,0,0,0,0,0,0,0", "row 1: expected 10 votes"),
        ("a.png,-1,0,0,0,2,0,0,0,0,0", "row 1: expected 10 votes"),
        ("../a.png,1,0,0,0,0,0,0,0,0,0", "row 1: file must be a path below the folder"),
        ("a.png,1000001,0,0,0,0,0,0,0,0,0", "row 1: expected at most 1,000,000 votes of a kind"),
        (f"a.png,{9 * 10**19},0,0,0,0,0,0,0,0,0", "row 1: expected at most 1,000,000 votes"),
        (f"{'a' * 300}.png,1,0,0,0,0,0,0,0,0,0", r"a\.png: The file cannot be read: File name"),
        ("gone.png,1,0,0,0,0,0,0,0,0,0", r"gone\.png: There is no such file"),
    ],
)
def test_a_bad_row_is_named(line: str, message: str, tmp_path: Path) -> None:
    export(tmp_path, [VotedFace("a.png", ballot(sad=1))])
    (tmp_path / "votes.csv").write_text(",".join(["file", *CLASSES]) + f"\n{line}\n")
    with pytest.raises(BadParts, match=message):
        read_dataset(tmp_path)


def test_a_group_in_two_splits_is_named_or_skipped(tmp_path: Path) -> None:
    export(tmp_path, [VotedFace(f"{name}.png", ballot(sad=1)) for name in "ab"])
    rows = "a.png,1,0,0,0,0,0,0,0,0,0,Training,g\nb.png,1,0,0,0,0,0,0,0,0,0,PublicTest,g\n"
    (tmp_path / "votes.csv").write_text(
        ",".join(["file", *CLASSES, "split", "group"]) + f"\n{rows}"
    )
    with pytest.raises(BadParts, match=r"b\.png: PublicTest, but others of its group 'g' are Tra"):
        read_dataset(tmp_path)
    assert read_dataset(tmp_path, bad="skip").origins == ("a.png",)


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    (tmp_path / "votes.csv").write_text("file,anger\n")
    with pytest.raises(DatasetError, match="lacks the columns contempt, disgust"):
        read_dataset(tmp_path)
