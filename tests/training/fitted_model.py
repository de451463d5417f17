"""A small network that was fitted for real, exported as `manage.py train` does; and new faces.

Importing this module imports TensorFlow.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from recognizer.training.datasets.faces import Faces
from recognizer.training.datasets.fer2013 import read
from recognizer.training.datasets.preparation import prepare
from recognizer.training.fitting import loop
from recognizer.training.fitting.hyperparameters import Fitting
from recognizer.training.networks import SimpleCnn
from recognizer.training.presets import PRESETS
from recognizer.training.release import export
from recognizer.training.reviews.finetuning import FineTuning
from recognizer.vision.emotions import EMOTIONS
from tests.training.drawing import SHOWN, draw_face, write_drawn_set

QUICK = FineTuning(steps=60, batch=16, learning_rate=1e-2, folds=2, ways=(0.3, 0.4, 0.6))
"""Enough for a network as small as this one; the defaults take five times as long."""

_HOW = Fitting(
    epochs=14,
    batch=16,
    optimizer="adam",
    learning_rate=0.01,
    ema=0.9,
    mixed_precision="float32",
    network=SimpleCnn(widths=(4, 4), dense=16, block_dropout=0.0, dropout=0.0),
    augmentation=PRESETS["gentle"].scaled(0.3),
)


def write_fitted_model(folder: Path) -> Path:
    """Fit a network on the drawn faces of `write_drawn_set`; model.onnx, card and Keras weights.

    Args:
        folder: where the model belongs; what it was fitted on lies beside it.
    """
    beside = folder.parent / f"{folder.name}-fitting"
    beside.mkdir(parents=True)
    faces = read(*write_drawn_set(beside))
    held_out = faces.split("PublicTest")
    noise = np.random.default_rng(5).integers(0, 256, (8, 48, 48), dtype=np.uint8)
    training = replace(prepare(faces.split("Training"), held_out.images), non_faces=noise)
    model = loop.fit(training, held_out, _HOW, beside / "run", lambda _: None)
    card = export.draft(model, _HOW, training, folder, folder.name, {}, lambda _: None)
    card.save(folder / "card.json")
    return folder


def negatives(seed: int, count: int) -> Faces:
    """Drawn faces with dark and light swapped: strange to the network, and labelled rightly."""
    rng = np.random.default_rng(seed)
    shown = [SHOWN[number % 4] for number in range(count)]
    votes = np.zeros((count, 10), np.int64)
    votes[np.arange(count), [EMOTIONS.index(emotion) for emotion in shown]] = 10
    return Faces(
        images=np.stack([255 - draw_face(emotion, rng) for emotion in shown]),
        labels=np.full(count, -1, np.int64),
        votes=votes,
        named=np.ones(count, bool),
        splits=np.array(["Training"] * count),
        groups=np.full(count, ""),
    )
