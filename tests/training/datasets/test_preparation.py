from dataclasses import replace

import numpy as np

from recognizer.training.datasets.faces import Faces
from recognizer.training.datasets.preparation import epoch_order, prepare, sampling_weights
from recognizer.vision.emotions import EMOTIONS

HAPPY, SAD = EMOTIONS.index("happy"), EMOTIONS.index("sad")
NF = 9


def make(
    pictures: list[int], votes: list[dict[int, int]], named: list[bool] | None = None
) -> Faces:
    """Faces whose pictures are told apart by one grey level."""
    count = len(pictures)
    table = np.zeros((count, 10), np.int64)
    for row, counts in enumerate(votes):
        for column, number in counts.items():
            table[row, column] = number
    return Faces(
        images=np.stack([np.full((48, 48), grey, np.uint8) for grey in pictures]),
        labels=np.zeros(count, np.int64),
        votes=table,
        named=np.array(named or [True] * count),
        splits=np.array(["Training"] * count),
        groups=np.full(count, ""),
    )


def test_rows_that_leak_into_the_held_out_set_are_left_out() -> None:
    training = make([1, 2, 3], [{HAPPY: 10}] * 3)
    prepared = prepare(training, make([2], [{HAPPY: 10}]).images)
    assert [int(image[0, 0]) for image in prepared.images] == [1, 3]
    assert prepared.left_out["identical to a held-out image"] == 1


def test_non_faces_are_left_out() -> None:
    training = make([1, 2, 3], [{HAPPY: 10}, {NF: 6, HAPPY: 4}, {NF: 10}], [True, True, False])
    prepared = prepare(training, make([9], [{HAPPY: 10}]).images)
    assert len(prepared) == 1
    assert prepared.left_out["not a face"] == 2


def test_votes_of_identical_images_are_added_up() -> None:
    training = make([5, 6, 5], [{HAPPY: 10}, {SAD: 10}, {SAD: 10}])
    prepared = prepare(training, make([9], [{HAPPY: 10}]).images)
    assert len(prepared) == 2
    assert prepared.ferplus[0, HAPPY] == prepared.ferplus[0, SAD] == 0.5


def test_every_target_is_a_distribution() -> None:
    training = make([1, 2], [{HAPPY: 7, SAD: 3}, {HAPPY: 1, SAD: 1}])
    prepared = prepare(training, make([9], [{HAPPY: 10}]).images)
    assert np.allclose(prepared.ferplus.sum(axis=1), 1)


def test_full_balance_shows_every_emotion_as_often() -> None:
    training = make([*range(1, 11)], [{HAPPY: 10}] * 7 + [{SAD: 10}] * 2 + [{HAPPY: 5, SAD: 5}])
    prepared = prepare(training, make([99], [{HAPPY: 10}]).images)
    shown = {
        balance: sampling_weights(prepared, balance) @ prepared.ferplus[:, [HAPPY, SAD]]
        for balance in (0.0, 0.5, 1.0)
    }
    assert np.allclose(shown[0.0], [7.5, 2.5])
    assert shown[0.5][0] / shown[0.5][1] > shown[1.0][0] / shown[1.0][1]
    assert np.allclose(sampling_weights(prepared, 1.0)[:9], [10 / 15] * 7 + [10 / 5] * 2)


def test_an_epoch_shows_each_row_as_often_as_its_weight() -> None:
    weights = np.array([0.2, 1.0, 2.6, 0.0])
    counts = np.array(
        [
            np.bincount(epoch_order(weights, np.random.default_rng(seed)), minlength=4)
            for seed in range(400)
        ]
    )
    assert (counts >= np.floor(weights)).all()
    assert (counts <= np.ceil(weights)).all()
    assert np.allclose(counts.mean(axis=0), weights, atol=0.08)


def test_groups_that_show_the_same_image_become_one() -> None:
    alone = make([1, 2, 3, 1, 4, 5], [{HAPPY: 10}] * 6)
    nothing = alone.images[:0]
    # Anna's first picture is Bea's last one, too; the fifth belongs to nobody.
    rows = replace(alone, groups=np.array(["anna", "anna", "bea", "bea", "", "cleo"]))
    prepared = prepare(rows, nothing)
    assert prepared.groups is not None
    assert len(prepared) == len(prepared.groups) == 5
    anna, annas_other, bea, nobody, cleo = prepared.groups.tolist()
    assert anna == annas_other == bea
    assert len({anna, nobody, cleo}) == 3
    left = prepare(rows, rows.images[5:])
    assert left.groups is not None
    assert len(left.groups) == 4
    assert prepare(alone, nothing).groups is None
