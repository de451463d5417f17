"""Faces on a plane: ISOMAP of their grey levels, and the plane laid over the circumplex.

ISOMAP keeps distances along the surface that the faces form: Tenenbaum, de Silva and Langford,
"A global geometric framework for nonlinear dimensionality reduction" (2000).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.manifold import Isomap  # type: ignore[import-untyped, unused-ignore]
from tqdm import tqdm

Floats = NDArray[np.float64]

# Every pair of the seeds has its distance in memory, so they are a few thousand: 128 MB.
SEEDS: Final = 4000
NEIGHBOURS: Final = 10
# Deviation of the faces around their class's place, where neighbouring emotions lie about 0.3
# apart on the circumplex.
SPREAD: Final = 0.15
_CHUNK: Final = 512


def embed(images: NDArray[np.uint8], seed: int) -> Floats:
    """Place every image on a plane; a progress bar on stderr.

    A random few thousand make the plane; the others are placed by their geodesics to these.

    Args:
        images: (N, size, size) uint8, N at least NEIGHBOURS + 2.
        seed: of the choice.

    Returns:
        (N, 2); the unit is a distance between pictures whose grey levels are 0-1.

    Raises:
        ValueError: there are too few images.
    """
    if len(images) < NEIGHBOURS + 2:
        raise ValueError(
            f"ISOMAP needs at least {NEIGHBOURS + 2} Training faces; there are {len(images)}."
        )
    flat = images.reshape(len(images), -1).astype(np.float32) / 255
    chosen = np.random.default_rng(seed).permutation(len(flat))[:SEEDS]
    plane = Isomap(n_neighbors=NEIGHBOURS, n_components=2)
    plane.fit(flat[np.sort(chosen)])
    starts = tqdm(range(0, len(flat), _CHUNK), "ISOMAP", unit="batch", leave=False, disable=None)
    return np.concatenate([plane.transform(flat[start : start + _CHUNK]) for start in starts])


@dataclass(frozen=True, slots=True)
class OnCircumplex:
    """Pseudo-labels of N faces; (N, 2) valence and arousal each.

    Attributes:
        turned: the plane, only shifted, turned, mirrored and scaled (Procrustes) so that the
            classes' centres come as near to their places as they can.
        moved: each class shifted so that its centre is its place, and scaled to SPREAD around it.
    """

    turned: Floats
    moved: Floats


def lay_over(plane: Floats, shares: Floats, places: Floats) -> OnCircumplex:
    """Lay an embedding over the circumplex by its classes' centres.

    Args:
        plane: (N, 2) as `embed` gives it.
        shares: (N, K) how far each face is of each class; rows sum to 1.
        places: (K, 2) where the classes lie.
    """
    mass = shares.sum(axis=0)
    known = mass > 0
    shares, places, weights = shares[:, known], places[known], mass[known] / mass.sum()
    centres = (shares.T @ plane) / mass[known, None]
    middle, target = weights @ centres, weights @ places
    centred = centres - middle
    # The rotation of orthogonal Procrustes (Schönemann, 1966), each centre with its class's mass.
    left, sizes, right = np.linalg.svd(centred.T @ (weights[:, None] * (places - target)))
    rotation = left @ right
    rotated = (plane - middle) @ rotation
    scale = float(sizes.sum()) / max(float(weights @ (centred**2).sum(axis=1)), 1e-12)
    # Around the centres the plane's own unit counts for nothing: both axes get the same spread.
    own = rotated - shares @ centred @ rotation
    own *= SPREAD / np.maximum(own.std(axis=0), 1e-12)
    return OnCircumplex(turned=target + scale * rotated, moved=shares @ places + own)
