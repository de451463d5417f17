from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from recognizer.training.datasets import faces as words
from recognizer.training.datasets.classes import CLASSES, class_index
from recognizer.training.datasets.faces import (
    FER2013_LABELS,
    NOT_A_FACE,
    DatasetError,
    Faces,
    majority,
)
from recognizer.training.datasets.packing import Packing, pack
from recognizer.training.datasets.reading import (
    LAYOUTS,
    Reading,
    read_dataset,
    training_and_held_out,
)
from recognizer.training.datasets.result import BadParts
from recognizer.vision.emotions import EMOTIONS
from tests.training.drawing import draw_face, write_fer2013, write_ferplus

RNG = np.random.default_rng(5)
FERPLUS = {name: {"happy": "happiness", "sad": "sadness"}.get(name, name) for name in EMOTIONS}


def put(path: Path, image: NDArray[np.uint8] | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), draw_face("happy", RNG) if image is None else image)


def emotions(reading: Reading) -> list[str]:
    return [CLASSES[one] for one in majority(reading.faces.votes)]


def test_it_reads_split_folders_with_anybodys_class_names(tmp_path: Path) -> None:
    put(tmp_path / "train/Angry/1.png")
    put(tmp_path / "train/happiness/2.jpg")
    put(tmp_path / "test/Sadness/3.png")
    reading = read_dataset(tmp_path)
    assert reading.faces.images.shape == (3, 48, 48)
    assert reading.faces.images.dtype == np.uint8
    assert emotions(reading) == ["sad", "anger", "happy"]
    assert reading.faces.splits.tolist() == ["PublicTest", "Training", "Training"]
    assert [FER2013_LABELS[label] for label in reading.faces.labels] == ["sad", "anger", "happy"]
    assert (reading.faces.votes.sum(axis=1) == 10).all()
    assert reading.origins[1] == str(Path("train/Angry/1.png"))


def test_votes_of_other_rows_are_suspected(tmp_path: Path) -> None:
    shown = [FER2013_LABELS[row % 7] for row in range(140)]
    image = draw_face("happy", RNG)
    write_fer2013(tmp_path / "f.csv", [(emotion, "Training", image) for emotion in shown])
    notes = {}
    for name, rows in (("own", shown), ("turned", shown[::-1]), ("few", shown[:99])):
        write_ferplus(tmp_path / f"{name}.csv", [("Training", {FERPLUS[one]: 9}) for one in rows])
        if name == "few":
            write_fer2013(tmp_path / "f.csv", [(one, "Training", image) for one in shown[1:100]])
        notes[name] = read_dataset(tmp_path / "f.csv", ferplus=tmp_path / f"{name}.csv").notes
    assert notes["own"] == notes["few"] == ()
    (note,) = notes["turned"]
    assert note.startswith("WARNING: the votes in turned.csv and FER-2013's own labels agree on")


def test_a_tar_archive_is_to_be_unpacked(tmp_path: Path) -> None:
    (tmp_path / "fer2013.tar.gz").write_bytes(b"anything")
    with pytest.raises(DatasetError, match="an archive of several files; unpack it"):
        read_dataset(tmp_path / "fer2013.tar.gz")


def test_validation_alone_is_held_out(tmp_path: Path) -> None:
    put(tmp_path / "train/happy/1.png")
    put(tmp_path / "val/happy/2.png")
    assert read_dataset(tmp_path).faces.splits.tolist() == ["Training", "PublicTest"]


def test_beside_validation_the_test_folder_stays_untouched(tmp_path: Path) -> None:
    for split in ("test", "train", "validation"):
        put(tmp_path / split / "happy/1.png")
    reading = read_dataset(tmp_path)
    assert reading.faces.splits.tolist() == ["PrivateTest", "Training", "PublicTest"]
    assert "test is PrivateTest" in reading.notes[0]


def test_plain_class_folders_are_all_training(tmp_path: Path) -> None:
    put(tmp_path / "joy/1.png")
    put(tmp_path / "contempt/2.png")
    reading = read_dataset(tmp_path)
    assert set(reading.faces.splits.tolist()) == {"Training"}
    assert emotions(reading) == ["contempt", "happy"]
    assert reading.faces.labels.tolist() == [-1, FER2013_LABELS.index("happy")]


def test_a_folder_around_the_data_set_is_looked_through(tmp_path: Path) -> None:
    put(tmp_path / "archive/faces/happy/1.png")
    (tmp_path / "archive/__MACOSX").mkdir()
    assert len(read_dataset(tmp_path).faces) == 1


def test_non_faces_may_have_a_folder_of_their_own(tmp_path: Path) -> None:
    put(tmp_path / "happy/1.png")
    put(tmp_path / "Not a face/2.png")
    faces = read_dataset(tmp_path).faces
    assert faces.votes[0, NOT_A_FACE] == 10
    assert faces.named.tolist() == [False, True]


def test_it_holds_out_whole_characters_of_ferg_db(tmp_path: Path) -> None:
    for character in ("aia", "bonnie", "jules", "malcolm", "mery", "ray"):
        for emotion in ("joy", "sadness"):
            put(tmp_path / character / f"{character}_{emotion}" / f"{character}_1.png")
    reading = read_dataset(tmp_path)
    held_out = reading.faces.splits == "PublicTest"
    assert held_out.sum() == 2
    assert len(set(reading.faces.groups[held_out])) == 1
    assert emotions(reading)[:2] == ["happy", "sad"]
    assert any("Held out whole" in note for note in reading.notes)


@pytest.mark.parametrize(
    ("name", "emotion"),
    [
        ("Angry", "anger"),
        ("disgusted", "disgust"),
        ("FEARFUL", "fear"),
        ("happiness", "happy"),
        ("neutrality", "neutral"),
        ("sadness", "sad"),
        ("surprised", "surprise"),
        ("Can't tell", "unknown"),
        ("non-face", "not_a_face"),
    ],
)
def test_synonyms_are_understood(name: str, emotion: str) -> None:
    assert class_index(name) == CLASSES.index(emotion)


def test_all_seven_digits_are_fer2013s(tmp_path: Path) -> None:
    for digit in range(7):
        put(tmp_path / "train" / str(digit) / "1.png")
    reading = read_dataset(tmp_path)
    assert emotions(reading) == list(FER2013_LABELS)
    assert "FER-2013's order" in reading.notes[0]


def test_digits_of_another_order_are_refused(tmp_path: Path) -> None:
    for digit in range(1, 8):
        put(tmp_path / "train" / str(digit) / "1.png")
    with pytest.raises(BadParts, match="7 problems") as error:
        read_dataset(tmp_path)
    assert "digits only as FER-2013's 0-6" in str(error.value)


def test_images_of_any_size_and_colour_become_grey_squares(tmp_path: Path) -> None:
    colourful = RNG.integers(0, 256, (96, 128, 3), dtype=np.uint8)
    put(tmp_path / "happy/large.png", colourful)
    put(tmp_path / "happy/small.png", np.full((20, 20), 90, np.uint8))
    reading = read_dataset(tmp_path, size=64)
    grey = cv2.cvtColor(colourful, cv2.COLOR_BGR2GRAY)
    middle = cv2.resize(grey[:, 16:112], (64, 64), interpolation=cv2.INTER_AREA)
    assert np.array_equal(reading.faces.images[0], middle)
    assert any("1 of 2 images" in note and "not square" in note for note in reading.notes)
    assert (reading.faces.images[1] == 90).all()
    assert reading.sizes.tolist() == [[128, 96], [20, 20]]


def test_a_size_out_of_range_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="8-512"):
        read_dataset(tmp_path, size=4)


def broken(folder: Path) -> None:
    put(folder / "train/happy/1.png")
    put(folder / "test/happy/2.png")
    (folder / "train/happy/broken.png").write_bytes(b"\x89PNG not really")
    put(folder / "train/bored/1.png")
    put(folder / "train/bored/2.png")
    (folder / "train/sad").mkdir()


def test_all_problems_are_named_and_counted_at_once(tmp_path: Path) -> None:
    broken(tmp_path)
    with pytest.raises(BadParts, match="3 problems") as error:
        read_dataset(tmp_path)
    assert f"{tmp_path / 'train/bored'}: unknown class with 2 files" in str(error.value)
    assert f"{tmp_path / 'train/sad'}: an empty class" in str(error.value)
    assert f"{tmp_path / 'train/happy/broken.png'}: The image is damaged" in str(error.value)


def test_a_broken_image_is_named(tmp_path: Path) -> None:
    put(tmp_path / "happy/1.png")
    (tmp_path / "happy/broken.png").write_bytes(b"\x89PNG not really")
    with pytest.raises(BadParts, match=r"broken\.png: The image is damaged"):
        read_dataset(tmp_path)


def test_problems_are_skipped_when_asked(tmp_path: Path) -> None:
    broken(tmp_path)
    reading = read_dataset(tmp_path, bad="skip")
    assert len(reading.faces) == len(reading.origins) == len(reading.sizes) == 2
    assert [Path(problem.path).name for problem in reading.problems] == [
        "bored",
        "sad",
        "broken.png",
    ]


def test_nothing_but_broken_images_is_refused_even_then(tmp_path: Path) -> None:
    (tmp_path / "happy").mkdir()
    (tmp_path / "happy/1.png").write_text("hello")
    with pytest.raises(DatasetError, match="no image that can be read"):
        read_dataset(tmp_path, bad="skip")


def test_images_outside_of_a_class_are_named(tmp_path: Path) -> None:
    put(tmp_path / "train/happy/1.png")
    put(tmp_path / "train/loose.png")
    with pytest.raises(BadParts, match=r"1 outside of every class, such as loose\.png"):
        read_dataset(tmp_path)


@pytest.mark.parametrize(
    "inside",
    ["train/happy/1.png", "happy/1.png", "aia/aia_joy/1.png"],
    ids=["split", "flat", "ferg"],
)
def test_images_beside_the_folders_are_named(tmp_path: Path, inside: str) -> None:
    put(tmp_path / inside)
    put(tmp_path / "loose.png")
    with pytest.raises(BadParts, match=r"1 outside of every class, such as loose\.png"):
        read_dataset(tmp_path)
    reading = read_dataset(tmp_path, bad="skip")
    assert len(reading.faces) == len(reading.problems) == 1


def test_the_sheets_of_a_cleaning_are_no_part_of_the_data_set(tmp_path: Path) -> None:
    put(tmp_path / "happy/1.png")
    put(tmp_path / "dropped-no-face.jpg")
    assert len(read_dataset(tmp_path).faces) == 1


def test_linked_folders_are_followed_and_circles_are_not(tmp_path: Path) -> None:
    put(tmp_path / "set/happy/1.png")
    put(tmp_path / "elsewhere/2.png")
    put(tmp_path / "elsewhere/deep/3.png")
    (tmp_path / "set/happy/more").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/back").symlink_to(tmp_path / "set/happy")
    (tmp_path / "elsewhere/deep/self").symlink_to(tmp_path / "elsewhere/deep")
    origins = read_dataset(tmp_path / "set").origins
    assert origins == ("happy/1.png", "happy/more/2.png", "happy/more/deep/3.png")


def test_an_unknown_layout_is_told_which_ones_there_are(tmp_path: Path) -> None:
    put(tmp_path / "holidays/1.png")
    (tmp_path / "fer2013.csv").write_text("")
    with pytest.raises(DatasetError) as error:
        read_dataset(tmp_path)
    assert all(layout in str(error.value) for layout in LAYOUTS)
    assert str(tmp_path / "fer2013.csv") in str(error.value)


def test_a_missing_source_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no such file or folder"):
        read_dataset(tmp_path / "nowhere")


def test_fer2013_with_ferplus_is_what_it_was(
    dataset: tuple[Path, Path], faces: words.Faces
) -> None:
    reading = read_dataset(dataset[0], ferplus=dataset[1])
    assert np.array_equal(reading.faces.images, faces.images)
    assert np.array_equal(reading.faces.votes, faces.votes)
    assert reading.origins[0] == "fer2013.csv, row 1"


def test_fer2013_without_ferplus_votes_for_its_own_labels(dataset: tuple[Path, Path]) -> None:
    reading = read_dataset(dataset[0])
    assert emotions(reading)[:4] == ["happy", "neutral", "sad", "surprise"]
    assert (reading.faces.votes.max(axis=1) == 10).all()
    assert reading.faces.named.all()


def test_a_fer2013_row_that_is_skipped_keeps_the_votes_in_line(
    dataset: tuple[Path, Path], tmp_path: Path
) -> None:
    header, first, second, *rest = dataset[0].read_text().splitlines()
    file = tmp_path / "fer2013.csv"
    file.write_text("\n".join([header, first, "9" + second[1:], *rest]))
    reading = read_dataset(file, ferplus=dataset[1], bad="skip")
    assert len(reading.faces) == 159
    assert reading.origins[1] == "fer2013.csv, row 3"
    assert reading.faces.votes[1, EMOTIONS.index("sad")] == 8
    assert str(reading.problems[0]).startswith("fer2013.csv, row 2: emotion must be 0-6")


def test_the_challenges_own_spaces_after_commas_are_read(
    dataset: tuple[Path, Path], tmp_path: Path
) -> None:
    file = tmp_path / "icml.csv"
    file.write_text(dataset[0].read_text().replace(",", ", "))
    assert len(read_dataset(file).faces) == 160


def test_ferplus_does_not_belong_to_a_folder(tmp_path: Path) -> None:
    put(tmp_path / "happy/1.png")
    with pytest.raises(DatasetError, match="belong to the rows of a FER-2013 file"):
        read_dataset(tmp_path, ferplus=tmp_path / "fer2013new.csv")


def test_further_images_are_added_to_training_only(
    dataset: tuple[Path, Path], tmp_path: Path
) -> None:
    put(tmp_path / "a/train/fear/1.png")
    put(tmp_path / "a/test/fear/2.png")
    put(tmp_path / "b/disgust/3.png")
    reading = read_dataset(dataset[0], extra=[tmp_path / "a", tmp_path / "b"])
    assert len(reading.faces) == 162
    assert emotions(reading)[160:] == ["fear", "disgust"]
    assert set(reading.faces.splits[160:].tolist()) == {"Training"}
    assert reading.origins[161] == str(tmp_path / "b/disgust/3.png")
    assert any("held out by its own data set" in note for note in reading.notes)


def test_what_is_wrong_with_several_data_sets_is_told_in_one_go(
    dataset: tuple[Path, Path], tmp_path: Path
) -> None:
    put(tmp_path / "a/fear/1.png")
    (tmp_path / "a/fear/broken.png").write_text("no image")
    put(tmp_path / "b/disgust/2.png")
    (tmp_path / "b/sad").mkdir()
    places = [tmp_path / "a", tmp_path / "b"]
    with pytest.raises(BadParts, match=r"(?s)broken\.png.*sad") as refused:
        read_dataset(dataset[0], extra=places)
    assert refused.value.only
    # One that skipping does not mend.
    with pytest.raises(BadParts, match=r"(?s)broken\.png.*sad.*nowhere") as refused:
        read_dataset(dataset[0], extra=[*places, tmp_path / "nowhere"])
    assert not refused.value.only
    with pytest.raises(DatasetError, match="nowhere") as unread:
        read_dataset(dataset[0], extra=[tmp_path / "nowhere"])
    assert not isinstance(unread.value, BadParts)


def test_a_data_set_that_is_named_twice_is_refused(
    dataset: tuple[Path, Path], tmp_path: Path
) -> None:
    put(tmp_path / "a/fear/1.png")
    again = tmp_path / "b/../a"
    (tmp_path / "b").mkdir()
    with pytest.raises(DatasetError, match=r"more than once: \S*/a\. Name it once"):
        read_dataset(dataset[0], extra=[tmp_path / "a", again])
    with pytest.raises(DatasetError, match=r"more than once: \S*fer2013\.csv"):
        read_dataset(dataset[0], extra=[dataset[0]])


def test_a_data_set_without_held_out_rows_cannot_be_trained_on(tmp_path: Path) -> None:
    put(tmp_path / "happy/1.png")
    with pytest.raises(DatasetError, match=r"no PublicTest rows; it holds Training.*test/<class>"):
        training_and_held_out(read_dataset(tmp_path))


def test_a_data_set_without_training_rows_cannot_be_trained_on(tmp_path: Path) -> None:
    put(tmp_path / "test/happy/1.png")
    with pytest.raises(DatasetError, match="no Training rows"):
        training_and_held_out(read_dataset(tmp_path))


def test_a_packed_data_set_is_read_as_what_was_packed(
    dataset: tuple[Path, Path], faces: Faces, tmp_path: Path
) -> None:
    pack(faces, tmp_path / "packed", Packing(shards=2))
    reading = read_dataset(tmp_path / "packed")
    assert np.array_equal(reading.faces.images, faces.images)
    assert np.array_equal(reading.faces.votes, faces.votes)
    further = read_dataset(dataset[0], ferplus=dataset[1], extra=[tmp_path / "packed"])
    assert len(further.faces) == len(faces) + len(faces.split("Training"))


def test_a_link_to_a_folder_above_brings_no_other_class_in(tmp_path: Path) -> None:
    put(tmp_path / "train/happy/1.png")
    put(tmp_path / "train/sad/2.png")
    put(tmp_path / "test/sad/3.png")
    (tmp_path / "train/happy/up").symlink_to(tmp_path / "train")
    (tmp_path / "train/happy/top").symlink_to(tmp_path)
    origins = read_dataset(tmp_path).origins
    assert origins == ("test/sad/3.png", "train/happy/1.png", "train/sad/2.png")


def test_a_linked_class_brings_no_other_class_in(tmp_path: Path) -> None:
    put(tmp_path / "pool/happy/1.png")
    put(tmp_path / "set/sad/2.png")
    (tmp_path / "set/happy").symlink_to(tmp_path / "pool/happy")
    (tmp_path / "pool/happy/up").symlink_to(tmp_path / "set")
    assert read_dataset(tmp_path / "set").origins == ("happy/1.png", "sad/2.png")


def test_a_class_that_cannot_be_looked_into_is_named_or_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As root may look into everything, the refusal is the test's.
    closed, listed = tmp_path / "sad", tmp_path / "fear"
    for place in ("happy/1.png", "sad/2.png", "fear/3.png", "happy/closed/4.png"):
        put(tmp_path / place)
    closed_too = tmp_path / "happy/closed"
    iterdir, is_dir, is_file = Path.iterdir, Path.is_dir, Path.is_file

    def refused(path: Path) -> object:
        raise PermissionError(13, "Permission denied", str(path))

    def look(path: Path) -> object:
        return refused(path) if path in (closed, closed_too) else iterdir(path)

    monkeypatch.setattr(Path, "iterdir", look)
    for name, real in (("is_dir", is_dir), ("is_file", is_file)):

        def ask(path: Path, real: Callable[[Path], bool] = real) -> object:
            return refused(path) if path.parent == listed else real(path)

        monkeypatch.setattr(Path, name, ask)
    with pytest.raises(BadParts) as error:
        read_dataset(tmp_path)
    assert "sad: The folder cannot be read: Permission denied." in str(error.value)
    assert "fear/3.png: The file cannot be read: Permission denied." in str(error.value)
    assert read_dataset(tmp_path, bad="skip").origins == ("happy/1.png",)
