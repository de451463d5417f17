"""What is kept: photos, their faces, every model version's predictions, and people's reviews."""

from recognizer.models.append_only import AppendOnly
from recognizer.models.learning import LearningRun
from recognizer.models.people import ApiToken, ReviewScope, UploadTally, User
from recognizer.models.photos import (
    Face,
    FaceQuerySet,
    Photo,
    PhotoQuerySet,
    TileLabel,
    anywhere,
    photo_path,
)
from recognizer.models.verdicts import EMOTION_CHOICES, Claim, Opinion, Prediction, Review
from recognizer.models.versions import ModelVersion, Promotion
from recognizer.models.workers import Heartbeat

__all__ = [
    "EMOTION_CHOICES",
    "ApiToken",
    "AppendOnly",
    "Claim",
    "Face",
    "FaceQuerySet",
    "Heartbeat",
    "LearningRun",
    "ModelVersion",
    "Opinion",
    "Photo",
    "PhotoQuerySet",
    "Prediction",
    "Promotion",
    "Review",
    "ReviewScope",
    "TileLabel",
    "UploadTally",
    "User",
    "anywhere",
    "photo_path",
]
