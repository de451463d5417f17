"""The model that recognises, loaded once per process, and its row."""

from functools import lru_cache

from django.conf import settings
from django.db import transaction

from recognizer.models import ModelVersion
from recognizer.vision import Recognizer
from recognizer.vision.classification import OnnxClassifier, load_model
from recognizer.vision.detection import MTCNN


@lru_cache(maxsize=1)
def classifier() -> OnnxClassifier:
    """The site's model; a ValueError with the remedy when there is none or it is damaged."""
    return load_model(settings.EMOTION_MODEL, threads=settings.RECOGNITION_THREADS)


@lru_cache(maxsize=1)
def recognizer() -> Recognizer:
    """The site's recogniser. Slow the first time, so a worker calls it before its first photo."""
    detector = MTCNN(min_face=settings.MIN_FACE or None, threads=settings.RECOGNITION_THREADS)
    return Recognizer(detector=detector, classifier=classifier())


@transaction.atomic
def current() -> ModelVersion:
    """The row of the site's model, made when it is first used."""
    card = classifier().card
    version, _ = ModelVersion.objects.get_or_create(
        sha256=card.weights.sha256, defaults={"name": card.name, "card": card.as_dict()}
    )
    return version
