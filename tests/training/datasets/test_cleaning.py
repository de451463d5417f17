import csv
import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recognizer.locks import locked
from recognizer.training.datasets import cleaning, fer2013
from recognizer.training.datasets.cleaning import Job, Limits, clean_fer2013, clean_folder, reason
from recognizer.training.datasets.faces import DatasetError
from recognizer.training.datasets.inspection import Findings, Sighting, find_faces, inspect
from recognizer.training.datasets.pictures import grey_square
from recognizer.training.datasets.result import BadParts
from tests.training.drawing import write_fer2013, write_ferplus
from tests.training.pictures import faceless, tight_crop, write_picture

GOOD = Sighting(score=0.99, side=0.8, off_centre=0.05)
LOOK = partial(find_faces, smallest=0.4, score=0.8)


@pytest.fixture(scope="module")
def face(astronaut: np.ndarray) -> np.ndarray:
    return tight_crop(astronaut)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path / "clean", Limits(), False, workers=1, report=lambda _: None)


@pytest.fixture
def pair(tmp_path: Path, face: np.ndarray) -> tuple[Path, Path]:
    """Five Training rows, the second and the fourth without a face, and a faceless held-out one."""
    shown = [face, faceless(), face[:, ::-1], np.full((48, 48), 128, np.uint8), face, faceless(1)]
    splits = ["Training"] * 5 + ["PublicTest"]
    folder = tmp_path / "source"
    folder.mkdir()
    write_fer2013(
        folder / "fer2013.csv",
        [("happy", split, image) for split, image in zip(splits, shown, strict=True)],
    )
    votes = [{"happy": 9, "sad": 1}, {"NF": 10}, {"sad": 8}, {"unknown": 9}, {"happy": 7}]
    write_ferplus(folder / "votes.csv", list(zip(splits, [*votes, {"happy": 10}], strict=True)))
    return folder / "fer2013.csv", folder / "votes.csv"


@pytest.mark.parametrize(
    ("finding", "why"),
    [
        ((GOOD,), ""),
        ((), "no face"),
        ("The file is empty.", "unreadable"),
        ((GOOD._replace(score=0.7),), "low score"),
        ((GOOD._replace(side=0.3),), "small face"),
        ((GOOD, GOOD), "several faces"),
        ((GOOD, GOOD._replace(side=0.3)), ""),
        ((GOOD._replace(off_centre=0.4),), "off centre"),
    ],
)
def test_every_reason_has_its_limit(finding: Any, why: str) -> None:
    assert reason(finding, Limits()) == why


def test_limits_can_be_loosened() -> None:
    assert reason((GOOD, GOOD), Limits(most_faces=2)) == ""
    assert reason((GOOD._replace(off_centre=0.4),), Limits(off_centre=0.5)) == ""


@pytest.mark.parametrize(
    "limits", [{"score": 0.2}, {"smallest": 0.01}, {"most_faces": 0}, {"off_centre": -1}]
)
def test_impossible_limits_are_refused(limits: dict[str, Any]) -> None:
    with pytest.raises(DatasetError):
        Limits(**limits)


def test_a_tight_crop_shows_its_face(face: np.ndarray) -> None:
    (found,) = LOOK(face)
    assert found.score > 0.9
    assert 0.5 < found.side < 1.2
    assert found.off_centre < 0.3
    assert LOOK(faceless()) == ()


def test_a_photo_is_measured_by_its_own_side(astronaut: np.ndarray) -> None:
    (found,) = find_faces(astronaut, smallest=0.1, score=0.8)
    assert found.side == pytest.approx(86 / 512, abs=0.03)
    assert found.off_centre == pytest.approx(np.hypot(223 - 256, 118 - 256) / 512, abs=0.03)


def test_rows_without_a_face_are_dropped(pair: tuple[Path, Path], job: Job) -> None:
    before = fer2013.read(*pair)
    clean_fer2013(*pair, job)
    after = fer2013.read(job.output / "fer2013.csv", job.output / "fer2013new.csv")
    kept = [0, 2, 4, 5]
    assert np.array_equal(after.images, before.images[kept])
    assert np.array_equal(after.votes, before.votes[kept])
    assert np.array_equal(after.named, before.named[kept])
    assert after.splits.tolist() == ["Training"] * 3 + ["PublicTest"]
    names = [row["Image name"] for row in read_csv(job.output / "fer2013new.csv")]
    assert names == ["fer0000000.png", "fer0000002.png", "fer0000004.png", "fer0000005.png"]


def test_a_row_that_cannot_be_read_is_skipped_when_asked(pair: tuple[Path, Path], job: Job) -> None:
    header, first, *rest = pair[0].read_text().splitlines()
    pair[0].write_text("\n".join([header, "9" + first[1:], *rest]))
    with pytest.raises(BadParts, match="row 1: emotion must be 0-6"):
        clean_fer2013(*pair, job)
    clean_fer2013(*pair, replace(job, bad="skip"))
    names = [row["Image name"] for row in read_csv(job.output / "fer2013new.csv")]
    assert names == ["fer0000002.png", "fer0000004.png", "fer0000005.png"]
    assert [row["name"] for row in read_csv(job.output / "dropped.csv")] == ["row 2", "row 4"]


def test_the_report_tells_what_was_dropped_and_why(pair: tuple[Path, Path], job: Job) -> None:
    lines: list[str] = []
    clean_fer2013(*pair, replace(job, report=lines.append))
    report = json.loads((job.output / "report.json").read_text())
    assert (report["judged"], report["not_judged"]) == (5, 1)
    assert (report["kept"], report["dropped"]) == (4, 2)
    assert report["reasons"] == {"no face": 2}
    training = report["splits"]["Training"]
    assert training["happy"] == {"kept": 2, "dropped": 0, "reasons": {}}
    assert training["not a face"] == {"kept": 0, "dropped": 1, "reasons": {"no face": 1}}
    assert any(line.split() == ["Training", "in", "all", "3", "2", "40.0%", "2"] for line in lines)
    dropped = read_csv(job.output / "dropped.csv")
    assert [(row["name"], row["class"]) for row in dropped] == [
        ("row 2", "not a face"),
        ("row 4", "unknown"),
    ]
    assert (job.output / "dropped-no-face.jpg").stat().st_size > 1000


def test_held_out_rows_are_dropped_only_when_told_so(pair: tuple[Path, Path], job: Job) -> None:
    clean_fer2013(*pair, replace(job, all_splits=True))
    after = fer2013.read(job.output / "fer2013.csv", job.output / "fer2013new.csv")
    assert set(after.splits.tolist()) == {"Training"}


def test_folders_keep_their_files_and_held_out_ones_are_not_judged(
    tmp_path: Path, job: Job, face: np.ndarray
) -> None:
    root = tmp_path / "set"
    write_picture(root / "train/happy/a.png", face)
    write_picture(root / "train/happy/b.png", faceless())
    write_picture(root / "test/happy/c.png", faceless())
    (root / "train/happy/d.png").write_text("no picture")
    (root / "test/happy/e.png").write_text("no picture")
    clean_folder(root, replace(job, bad="skip"))
    assert names_below(job.output) == ["test/happy/c.png", "train/happy/a.png"]
    copy = job.output / "train/happy/a.png"
    assert copy.read_bytes() == (root / "train/happy/a.png").read_bytes()
    why = {row["name"]: row["reason"] for row in read_csv(job.output / "dropped.csv")}
    assert why == {
        "test/happy/e.png": "unreadable",
        "train/happy/b.png": "no face",
        "train/happy/d.png": "unreadable",
    }


def test_stricter_limits_use_what_was_found_and_take_files_back(
    tmp_path: Path, job: Job, face: np.ndarray
) -> None:
    root = tmp_path / "set"
    write_picture(root / "happy/a.png", face)
    aside = np.roll(face, face.shape[1] // 8, axis=1)
    write_picture(root / "happy/b.png", aside)
    clean_folder(root, job)
    assert names_below(job.output) == ["happy/a.png", "happy/b.png"]
    findings = (job.output / "findings.jsonl").read_bytes()
    seen = [find_faces(picture, smallest=0.4, score=0.8) for picture in (face, aside)]
    places = [sightings[0].off_centre for sightings in seen]
    between = sum(places) / 2
    clean_folder(root, replace(job, limits=Limits(off_centre=between)))
    assert len(names_below(job.output)) == 1
    assert (job.output / "findings.jsonl").read_bytes() == findings
    assert (job.output / "dropped-off-centre.jpg").exists()
    clean_folder(root, job)
    assert names_below(job.output) == ["happy/a.png", "happy/b.png"]
    assert not (job.output / "dropped-off-centre.jpg").exists()


def test_limits_that_leave_nothing_are_an_error(tmp_path: Path, job: Job, face: np.ndarray) -> None:
    root = tmp_path / "set"
    write_picture(root / "happy/a.png", face)
    with pytest.raises(DatasetError, match=r"All 1 pictures would be dropped.*off centre.*loosen"):
        clean_folder(root, replace(job, limits=Limits(off_centre=0.0)))
    assert names_below(job.output) == []
    assert (job.output / "dropped-off-centre.jpg").exists()


def test_a_killed_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    seen: list[int] = []

    def look(image: np.ndarray) -> tuple[Sighting, ...]:
        seen.append(int(image[0, 0]))
        return (GOOD,)

    pictures = {f"row {value}": np.full((8, 8), value, np.uint8) for value in range(4)}
    path = tmp_path / "findings.jsonl"
    inspect({"row 0": pictures["row 0"]}, Findings(path, {"data": "a"}), look, 1)
    with path.open("a") as file:
        file.write('["row 1", [[0.99, 0.')
    findings = Findings(path, {"data": "a"})
    inspect(pictures, findings, look, 1)
    assert seen == [0, 1, 2, 3]
    assert Findings(path, {"data": "a"}).found == dict.fromkeys(pictures, (GOOD,))


def test_findings_of_other_settings_are_refused(tmp_path: Path) -> None:
    Findings(tmp_path / "findings.jsonl", {"data": "a"})
    with pytest.raises(DatasetError, match="other settings"):
        Findings(tmp_path / "findings.jsonl", {"data": "b"})


def test_a_damaged_journal_is_named(tmp_path: Path) -> None:
    Findings(tmp_path / "findings.jsonl", {"data": "a"})
    with (tmp_path / "findings.jsonl").open("a") as file:
        file.write("nonsense\n")
    with pytest.raises(DatasetError, match="damaged"):
        Findings(tmp_path / "findings.jsonl", {"data": "a"})


def test_two_processes_find_what_one_finds(tmp_path: Path, face: np.ndarray) -> None:
    # More than one process takes at a time, so that both have work.
    pictures = {f"row {row}": faceless(row) for row in range(70)} | {"row 69": face}
    one, two = (Findings(tmp_path / f"{name}.jsonl", {}) for name in ("one", "two"))
    inspect(pictures, one, LOOK, 1)
    inspect(pictures, two, LOOK, 2)
    assert two.found == one.found
    assert list(two.found) == list(pictures)


def test_a_folder_in_use_is_refused(pair: tuple[Path, Path], job: Job) -> None:
    with pytest.raises(DatasetError, match="in use"):
        clean_fer2013(*pair, replace(job, output=pair[0].parent))


def test_an_output_within_the_data_set_is_refused(
    tmp_path: Path, job: Job, face: np.ndarray
) -> None:
    write_picture(tmp_path / "set/happy/a.png", face)
    for output in (tmp_path / "set/clean", tmp_path / "set", tmp_path):
        with pytest.raises(DatasetError, match="one in the other"):
            clean_folder(tmp_path / "set", replace(job, output=output))


def test_a_folder_without_classes_is_refused(tmp_path: Path, job: Job, face: np.ndarray) -> None:
    write_picture(tmp_path / "set/a.png", face)
    with pytest.raises(DatasetError, match="class folders"):
        clean_folder(tmp_path / "set", job)


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def names_below(folder: Path) -> list[str]:
    """Files in class folders."""
    files = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    return sorted(file.as_posix() for file in files if len(file.parts) > 1)


def test_findings_are_not_taken_for_other_rows(pair: tuple[Path, Path], job: Job) -> None:
    whole = pair[0].read_text().splitlines()
    pair[0].write_text("\n".join([whole[0], "3,1 2 3,Training", *whole[1:]]) + "\n")
    clean_fer2013(pair[0], None, replace(job, bad="skip"))
    assert len(fer2013.read(job.output / "fer2013.csv").labels) == 4
    # The broken row is taken out: the same pictures have other numbers now.
    pair[0].write_text("\n".join(whole) + "\n")
    with pytest.raises(DatasetError, match="another data set"):
        clean_fer2013(pair[0], None, job)


def test_findings_are_not_taken_for_changed_pictures_of_the_same_length(
    tmp_path: Path, job: Job, face: np.ndarray
) -> None:
    small = grey_square(face, 48)
    for name, image in (("a", small), ("b", faceless())):
        write_picture(tmp_path / f"set/happy/{name}.bmp", image)
    one, two = (tmp_path / f"set/happy/{name}.bmp" for name in ("a", "b"))
    assert one.stat().st_size == two.stat().st_size
    clean_folder(tmp_path / "set", job)
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)
    with pytest.raises(DatasetError, match="another data set"):
        clean_folder(tmp_path / "set", job)


def test_where_nothing_stays_nothing_of_an_earlier_cleaning_does(
    pair: tuple[Path, Path], tmp_path: Path, job: Job, face: np.ndarray
) -> None:
    nothing = Limits(off_centre=0.0)
    clean_fer2013(*pair, job)
    with pytest.raises(DatasetError, match="none of an earlier cleaning is left"):
        clean_fer2013(*pair, replace(job, limits=nothing))
    assert not (job.output / "fer2013.csv").exists()
    assert not (job.output / "fer2013new.csv").exists()

    folder = replace(job, output=tmp_path / "clean folder")
    write_picture(tmp_path / "set/train/happy/a.png", face)
    write_picture(tmp_path / "set/test/happy/b.png", face)
    clean_folder(tmp_path / "set", folder)
    assert names_below(folder.output) == ["test/happy/b.png", "train/happy/a.png"]
    with pytest.raises(DatasetError, match="none of an earlier cleaning is left"):
        clean_folder(tmp_path / "set", replace(folder, limits=nothing))
    assert names_below(folder.output) == []


def test_a_place_that_another_process_cleans_into_is_refused(
    tmp_path: Path, job: Job, face: np.ndarray
) -> None:
    write_picture(tmp_path / "set/happy/a.png", face)
    clean_folder(tmp_path / "set", job)
    busy = locked(job.output / cleaning.LOCK, ValueError())
    with busy, pytest.raises(DatasetError, match="Another process is cleaning into"):
        clean_folder(tmp_path / "set", job)
