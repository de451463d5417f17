import numpy as np
import pytest

from recognizer.training.datasets.classes import CLASSES
from recognizer.training.datasets.exploring import KINDS, NO_MAJORITY, Exploration, explore, sample
from recognizer.training.datasets.faces import FER2013_LABELS, Faces
from recognizer.training.datasets.findings import findings
from recognizer.vision.emotions import EMOTIONS

Row = tuple[str, dict[str, int], str, int]
HAPPY, SAD = EMOTIONS.index("happy"), EMOTIONS.index("sad")


def make(rows: list[Row]) -> Faces:
    """Rows are (own label or "", votes, split, picture); equal numbers are equal pictures."""
    pictures = [np.random.default_rng(row[3]).integers(40, 200, (48, 48)) for row in rows]
    return Faces(
        images=np.array(pictures, np.uint8),
        labels=np.array([FER2013_LABELS.index(row[0]) if row[0] else -1 for row in rows]),
        votes=np.array([[row[1].get(name, 0) for name in CLASSES] for row in rows], np.int64),
        named=np.array([row[1].get("not_a_face", 0) < 10 for row in rows]),
        splits=np.array([row[2] for row in rows]),
        groups=np.full(len(rows), ""),
    )


ROWS: list[Row] = [
    ("happy", {"happy": 10}, "Training", 1),
    ("sad", {"happy": 8, "sad": 2}, "Training", 2),
    ("happy", {"happy": 5, "sad": 5}, "Training", 3),
    ("sad", {"not_a_face": 10}, "Training", 4),
    ("happy", {"happy": 10}, "Training", 1),
    ("happy", {"sad": 10}, "PublicTest", 1),
    ("sad", {"sad": 6, "neutral": 4}, "PublicTest", 5),
]


def found(rows: list[Row] = ROWS) -> Exploration:
    return explore(make(rows), np.full((len(rows), 2), 48))


def test_it_counts_each_class_in_each_split() -> None:
    classes = found().classes
    assert classes.splits == ("Training", "PublicTest")
    assert classes.counts[HAPPY].tolist() == [3, 0]
    assert classes.counts[SAD].tolist() == [0, 2]
    assert classes.counts[NO_MAJORITY].tolist() == [1, 0]
    assert classes.counts[KINDS.index("not_a_face")].tolist() == [1, 0]
    assert classes.counts.sum() == len(ROWS)


def test_it_counts_duplicates_within_and_across_splits() -> None:
    duplicates = found().duplicates
    # Two Training rows show what one held-out row shows, and one of the two is a repeat.
    assert duplicates.pairs.tolist() == [[1, 2], [1, 0]]
    assert duplicates.repeats == 2
    assert duplicates.contradicting == 1
    assert duplicates.own_contradicting == 0
    assert [group.tolist() for group in duplicates.groups] == [[0, 4, 5]]


def test_it_finds_held_out_pictures_that_are_almost_in_training() -> None:
    faces = make(ROWS)
    # The last row becomes the second one's photo, a little darker; both splits show the 6th.
    faces.images[6] = faces.images[1] // 4 * 3
    explored = explore(faces, np.full((len(ROWS), 2), 48))
    assert explored.duplicates.near.tolist() == [6]
    said = [finding.text for finding in findings(explored, 0)]
    assert "1 PublicTest image is almost the same as one in Training." in said
    assert found().duplicates.near.tolist() == []
    # A blank picture is like no other, and without Training there is nothing to be like.
    faces.images[:] = 7
    faces.images[6] = 8
    assert explore(faces, np.full((len(ROWS), 2), 48)).duplicates.near.tolist() == []
    held_out = faces.split("PublicTest")
    assert explore(held_out, np.full((2, 2), 48)).duplicates.near.tolist() == []


def test_it_measures_how_far_people_agree() -> None:
    agreement = found().agreement
    assert agreement is not None
    assert (agreement.agreed.count, agreement.agreed.whole) == (6, 7)
    assert agreement.emotional.count == 5
    assert agreement.top_share.tolist() == [0, 0, 0, 0, 1, 1, 0, 1, 0, 4]
    name, rows, share = agreement.per_class[0]
    assert (name, rows) == ("happy", 3)
    assert share == pytest.approx(28 / 30)


def test_it_compares_fer2013s_own_labels_with_the_majority() -> None:
    agreement = found().agreement
    assert agreement is not None
    assert (agreement.own.count, agreement.own.whole) == (3, 6)
    assert agreement.own_of_all.whole == 7
    happy, sad = FER2013_LABELS.index("happy"), FER2013_LABELS.index("sad")
    assert agreement.confusion[happy, HAPPY] == 2
    assert agreement.confusion[happy, SAD] == 1
    assert agreement.confusion[happy, NO_MAJORITY] == 1
    assert agreement.confusion[sad, SAD] == 1
    assert agreement.confusion.sum() == 7


def test_rows_of_one_answer_have_no_agreement_to_measure() -> None:
    single: list[Row] = [
        (name, {name: 10}, "Training", n) for n, name in enumerate(["happy", "sad"])
    ]
    assert found(single).agreement is None
    assert found(single).own_labels is None


def test_it_finds_non_faces() -> None:
    non_faces = found().non_faces
    assert np.flatnonzero(non_faces.rows).tolist() == [3]
    assert (non_faces.by_majority, non_faces.by_most, non_faces.unnamed) == (1, 1, 1)


def test_it_finds_blank_dark_and_bright_pictures() -> None:
    faces = make(ROWS)
    faces.images[0] = 128
    faces.images[1] = np.where(np.eye(48) > 0, 28, 8)
    faces.images[2] = np.where(np.eye(48) > 0, 0, 255)
    pictures = explore(faces, np.full((len(ROWS), 2), 48)).pictures
    assert np.flatnonzero(pictures.blank).tolist() == [0]
    assert np.flatnonzero(pictures.dark).tolist() == [1]
    assert np.flatnonzero(pictures.bright).tolist() == [2]
    assert pictures.means.sum() == pictures.deviations.sum() == len(ROWS)


def test_it_describes_the_sizes_in_the_files() -> None:
    sizes = np.array([[48, 48]] * 5 + [[20, 30], [640, 480]])
    pictures = explore(make(ROWS), sizes).pictures
    assert pictures.different_sizes == 3
    assert (pictures.sizes[0].name, pictures.sizes[0].count) == ("48 × 48", 5)
    assert (pictures.smallest, pictures.largest) == ((20, 30), (640, 480))
    assert (pictures.not_square, pictures.enlarged) == (2, 1)


def test_a_sample_is_the_same_for_the_same_seed() -> None:
    rows = np.arange(100) % 2 == 0
    first, again = (sample(rows, 5, np.random.default_rng(4)) for _ in range(2))
    assert np.array_equal(first, again)
    assert len(set(first.tolist())) == 5
    assert rows[first].all()
    assert sample(rows[:4], 5, np.random.default_rng(4)).tolist() == [0, 2]


def test_what_asks_for_a_change_is_said_first() -> None:
    said = findings(found(), skipped=3)
    problems = [finding.text for finding in said if finding.problem]
    assert problems[0] == "3 problems were skipped while reading."
    assert "1 held-out image is also in Training, pixel by pixel." in problems
    assert "1 picture is repeated with different emotions." in problems
    assert [finding.problem for finding in said] == sorted(
        (finding.problem for finding in said), reverse=True
    )


def test_a_data_set_without_held_out_rows_is_told_so() -> None:
    texts = [one.text for one in findings(found(ROWS[:4]), skipped=0)]
    assert "There are no rows held out to measure on (PublicTest)." in texts
