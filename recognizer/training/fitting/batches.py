"""The batches of an epoch: drawn, augmented and normalised, one ahead of the step."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
from numpy.typing import NDArray

from recognizer.training.augmentation import augment
from recognizer.training.datasets.preparation import TrainingSet, epoch_order, mixed
from recognizer.training.fitting.hyperparameters import Fitting
from recognizer.training.fitting.teachers import Teachers
from recognizer.vision.preprocessing import normalize

Batch = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]
"""Normalised faces, and what to aim for in the heads ferplus, fer2013 and ambiguous."""


def batches(
    training: TrainingSet,
    weights: NDArray[np.float64],
    how: Fitting,
    epoch: int,
    teachers: Teachers | None = None,
) -> Iterator[Batch]:
    """One epoch, augmented anew; the same seed and epoch give the same batches again.

    Args:
        training: what there is to learn from.
        weights: (N,) how often each row is shown, on average once.
        how: the settings.
        epoch: counted from 0.
        teachers: what they say of a picture as it is shown is `how.distillation` of its targets.
    """
    order = epoch_order(weights, _rng(how.seed, epoch))
    # The weights' mean is 1, so an epoch has about as many rows as the set; the schedule
    # counts on the same number of steps in each.
    steps = len(training) // how.batch
    order = np.resize(order, steps * how.batch)
    variation = how.augmentation
    if epoch >= how.epochs:
        variation = variation.scaled(how.finish_augmentation)

    def make(step: int) -> Batch:
        rows = order[step * how.batch : (step + 1) * how.batch]
        rng = _rng(how.seed, epoch, step)
        images = np.stack([augment(training.images[row], variation, rng) for row in rows])
        ferplus, fer2013 = training.ferplus[rows], training.fer2013[rows]
        if teachers:
            answers = teachers.answers(images)
            ferplus = mixed(ferplus, answers["ferplus"], how.distillation)
            fer2013 = mixed(fer2013, answers["fer2013"], how.distillation)
        if epoch < how.small_epochs:
            images = _shrunk(images, how.small_size)
        return normalize(images), ferplus, fer2013, training.ambiguous[rows]

    # One batch ahead: augmentation overlaps with the step, and memory stays flat.
    with ThreadPoolExecutor(max_workers=1) as pool:
        ahead = pool.submit(make, 0)
        for step in range(steps):
            batch = ahead.result()
            if step + 1 < steps:
                ahead = pool.submit(make, step + 1)
            yield batch


def _rng(seed: int, *where: int) -> np.random.Generator:
    """A stream of its own for each place: of a list of seeds, a 0 at the end would not count."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=where))


def _shrunk(images: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    area = cv2.INTER_AREA
    return np.stack([cv2.resize(image, (size, size), interpolation=area) for image in images])
