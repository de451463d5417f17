"""What is kept: photos, their faces, every model version's predictions, and people's reviews."""

from recognizer.models.append_only import AppendOnly
from recognizer.models.people import ApiToken, UploadTally, User
from recognizer.models.photos import Face, FaceQuerySet, Photo, PhotoQuerySet, TileLabel, photo_path
from recognizer.models.verdicts import EMOTION_CHOICES, Prediction, Review
from recognizer.models.versions import ModelVersion, Promotion
from recognizer.models.workers import Heartbeat

__all__ = [
    "EMOTION_CHOICES",
    "ApiToken",
    "AppendOnly",
    "Face",
    "FaceQuerySet",
    "Heartbeat",
    "ModelVersion",
    "Photo",
    "PhotoQuerySet",
    "Prediction",
    "Promotion",
    "Review",
    "TileLabel",
    "UploadTally",
    "User",
    "photo_path",
]
