import numpy as np
import pytest

from recognizer.training.reviews.ways import (
    NothingLearned,
    Way,
    losses_of,
    too_many,
    way_of,
    worth_trying,
)
from recognizer.vision.classification import softmax


def test_a_way_is_measured_by_what_reviewers_said() -> None:
    rng = np.random.default_rng(0)
    said, votes = rng.normal(size=(50, 8)), rng.dirichlet(np.ones(8), 50).astype(np.float32)
    losses = losses_of(said, votes)
    np.testing.assert_allclose(losses, -(votes * np.log(softmax(said))).sum(axis=1), rtol=1e-6)
    way = way_of(0.4, losses, said.argmax(axis=1), np.arange(50) < 5, votes)
    right = (said.argmax(axis=1) == votes.argmax(axis=1)).mean()
    assert (way.share, way.called_none) == (0.4, 0.1)
    assert (way.loss, way.accuracy) == pytest.approx((losses.mean(), right))


def test_a_longer_way_must_be_better_beyond_doubt() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 400)
    ways = [Way(share, 0.0, 0.0) for share in (0.0, 0.2, 0.4)]

    def tried(*means: float) -> list[float]:
        signs = (0, 1, -1)
        losses = {
            way.share: mean + sign * noise
            for way, mean, sign in zip(ways, means, signs, strict=True)
        }
        return [way.share for way in worth_trying(ways, losses)]

    assert tried(1.0, 0.5, 0.1) == [0.0, 0.2, 0.4]
    # A difference of a hundredth, of which the standard error is as large.
    assert tried(1.0, 0.5, 0.491) == [0.0, 0.2]
    with pytest.raises(NothingLearned, match="does better than the old one"):
        tried(1.0, 1.2, 1.1)


def test_faces_of_one_person_prove_less() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 20)
    losses = {0.0: np.full(400, 0.509), 0.2: 0.5 + np.repeat(noise - noise.mean(), 20)}
    ways = [Way(share, 0.0, 0.0) for share in losses]
    # Of 400 people the standard error is a two-hundredth, of twenty a forty-fifth.
    assert [way.share for way in worth_trying(ways, losses)] == [0.0, 0.2]
    with pytest.raises(NothingLearned, match="does better than the old one"):
        worth_trying(ways, losses, np.repeat(np.arange(20), 20))


def test_a_way_that_calls_more_faces_none_is_not_gone() -> None:
    losses = {share: np.full(100, 1 - share) + 0.01 * np.arange(100) for share in (0.0, 0.2, 0.4)}

    def tried(*called_none: float) -> list[float]:
        ways = [Way(share, 0.0, 0.0, none) for share, none in zip(losses, called_none, strict=True)]
        return [way.share for way in worth_trying(ways, losses)]

    assert tried(0.0, 0.0, 0.01) == [0.0, 0.2, 0.4]
    assert tried(0.0, 0.0, 0.02) == [0.0, 0.2]
    assert tried(0.5, 0.0, 0.0) == [0.0, 0.2, 0.4]
    with pytest.raises(NothingLearned, match="takes more of them for no face"):
        tried(0.0, 0.02, 0.02)


def test_one_face_more_may_be_called_none() -> None:
    assert not too_many(0, 1, 30)
    assert too_many(0, 2, 30)
    assert not too_many(10, 15, 1000)
    assert too_many(10, 16, 1000)
    assert not too_many(10, 0, 1000)
