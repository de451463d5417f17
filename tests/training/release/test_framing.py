"""Which crop the classifier wants, found on scenes of drawn faces."""

import io
import sys

import numpy as np
import pytest

from recognizer.training.datasets.faces import Faces
from recognizer.training.release import framing
from recognizer.vision.detection import Detection


class Whole:
    """Finds the face where the scenes of `framing` put it: MTCNN does not know cartoons."""

    def detect(self, image: np.ndarray) -> list[Detection]:
        side = image.shape[0] // 2
        eyes = {"left_eye": (side - 30.0, side - 20.0), "right_eye": (side + 30.0, side - 20.0)}
        mouth = {
            "mouth_left": (side - 25.0, side + 45.0),
            "mouth_right": (side + 25.0, side + 45.0),
        }
        landmarks = {**eyes, "nose": (float(side), float(side)), **mouth}
        return [Detection((side // 2, side // 2, side, side), landmarks, 1.0)]


@pytest.fixture(scope="module")
def held_out(faces: Faces) -> Faces:
    return faces.split("PublicTest")


def test_pictures_without_faces_cannot_frame_a_crop() -> None:
    with pytest.raises(ValueError, match="finds a face in none"):
        framing.sweep([], lambda images: np.zeros((len(images), 8)))


def test_framing_finds_the_margin_that_was_trained_for(held_out: Faces) -> None:
    # A classifier that only knows pictures framed exactly as in the data set.
    known = held_out.images[:8].astype(np.float32)

    def classify(crops: np.ndarray) -> np.ndarray:
        gaps = np.abs(crops[:, None].astype(np.float32) - known[None]).mean(axis=(2, 3))
        return np.eye(8)[gaps.argmin(axis=1)]  # type: ignore[no-any-return]

    found = framing.scenes(held_out.images[:8], np.arange(8), Whole())
    best = framing.smoothed_best(framing.sweep(found, classify))
    # Whole() gives the exact square of the data set's picture, so a margin of 1 is right.
    assert best.margin == pytest.approx(1.0, abs=0.1)
    assert abs(best.shift_y) <= 0.05


def test_the_minutes_it_takes_have_a_bar_on_a_terminal(
    held_out: Faces, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = io.StringIO()
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stderr", terminal)
    found = framing.scenes(held_out.images[:2], np.arange(2), Whole())
    framing.sweep(found, lambda images: np.zeros((len(images), 8)))
    assert "looking for faces" in terminal.getvalue()
    assert "fitting the crop" in terminal.getvalue()


def test_a_lucky_cell_does_not_decide_the_framing() -> None:
    rng = np.random.default_rng(0)
    results = []
    for tried in framing._candidates(48):
        away = (tried.margin - 0.95) ** 2 + (tried.shift_y - 0.0) ** 2
        accuracy = 0.9 - 0.5 * away - (0.02 if tried.align == "none" else 0.0)
        results.append((accuracy + float(rng.normal(0, 0.003)), tried))
    lucky = next(p for _, p in results if (p.margin, p.align) == (0.8, "none"))
    results.append((0.95, lucky))
    best = framing.smoothed_best(results)
    assert best.align == "eyes"
    assert best.margin == pytest.approx(0.95, abs=0.06)
