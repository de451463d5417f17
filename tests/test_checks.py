import pytest
from django.core.checks import run_checks
from pytest_django import Settings

from recognizer.services import model_versions
from recognizer.vision.cropped import CroppedFaces


def test_the_settings_are_right_as_they_come() -> None:
    assert not [found for found in run_checks() if found.id == "recognizer.E001"]


@pytest.mark.parametrize(
    ("detector", "min_face"),
    [
        ("recognizer.vision.detection.Nobody", 0),
        ("nowhere.at.all", 0),
        ("recognizer.vision.detection.MTCNN", 3),
    ],
)
def test_a_detector_that_cannot_be_used_is_named(
    settings: Settings, detector: str, min_face: int
) -> None:
    settings.DETECTOR, settings.MIN_FACE = detector, min_face
    (found,) = [found for found in run_checks() if found.id == "recognizer.E001"]
    assert detector in found.msg


def test_another_detector_is_taken() -> None:
    assert isinstance(
        model_versions._detector("recognizer.vision.cropped.CroppedFaces", 0, 1), CroppedFaces
    )
