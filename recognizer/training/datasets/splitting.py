"""Draw held-out rows at random without tearing apart what belongs together."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from recognizer.training.datasets.faces import DatasetError

HELD_OUT_SHARE: Final = 0.2


def random_split(
    pictures: NDArray[np.int64],
    groups: NDArray[np.str_],
    further: int,
    seed: int,
    share: float = HELD_OUT_SHARE,
) -> NDArray[np.str_]:
    """Hold out a share of the rows, or what comes near it from below.

    Args:
        pictures: (N,) numbers, the same for equal pictures; these stay together.
        groups: (N,) names, the same for rows that stay together; "" for a row on its own.
        further: how many of the last rows are Training, and with them what belongs to them.
        seed: of the draw.
        share: of the rows, but for the further ones, above 0 and below 1.

    Returns:
        (N,) Training or PublicTest.

    Raises:
        DatasetError: all rows belong together, or to the further ones.
    """
    joined = belonging(pictures, groups)
    _, part, sizes = np.unique(joined, return_inverse=True, return_counts=True)
    own = len(part) - further
    free = ~np.isin(np.arange(len(sizes)), part[own:])
    if len(sizes) < 2 or not free.any():
        raise DatasetError(
            "A random split needs at least two different pictures that need not stay together: "
            "not all of one group (a character, a photo), nor in one with a picture of --extra."
        )
    room = max(1, round(share * own))
    held_out: list[int] = []
    for one in np.random.default_rng(seed).permutation(len(sizes)).tolist():
        if free[one] and sizes[one] <= room:
            held_out.append(one)
            room -= int(sizes[one])
    # Where every part is more than that share.
    held_out = held_out or [int(np.where(free, sizes, len(part) + 1).argmin())]
    return np.where(np.isin(part, held_out), "PublicTest", "Training")


def belonging(pictures: NDArray[np.int64], groups: NDArray[np.str_]) -> NDArray[np.int64]:
    """(N,) numbers, the same for rows that a picture or a group joins, be it through others."""
    names, group = np.unique(groups, return_inverse=True)
    alone = groups == ""
    group[alone] = len(names) + np.flatnonzero(alone)
    part = pictures
    while True:
        wider = _least(pictures, _least(group, part))
        if (wider == part).all():
            return part
        part = wider


def _least(keys: NDArray[np.int64], values: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N,) for each row the least value among the rows of its key."""
    least = np.full(keys.max() + 1, values.max())
    np.minimum.at(least, keys, values)
    return least[keys]
