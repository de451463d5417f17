"""The model that recognises, loaded once per process, and its row."""

import hashlib
import json
from functools import lru_cache

from django.conf import settings
from django.db import transaction

from recognizer.models import ModelVersion
from recognizer.services import examples
from recognizer.vision import Recognizer, images
from recognizer.vision.classification import OnnxClassifier, load_model
from recognizer.vision.detection import MTCNN


@lru_cache(maxsize=1)
def classifier() -> OnnxClassifier:
    """The site's model; a ValueError with the remedy when there is none or it is damaged."""
    return load_model(settings.EMOTION_MODEL, threads=settings.RECOGNITION_THREADS)


@lru_cache(maxsize=1)
def recognizer() -> Recognizer:
    """The site's recogniser; its networks are loaded by the first photo."""
    detector = MTCNN(min_face=settings.MIN_FACE or None, threads=settings.RECOGNITION_THREADS)
    return Recognizer(detector=detector, classifier=classifier())


def warm_up() -> None:
    """Load every network now, by reading a photo that has a face, so that no person waits."""
    example = images.decode(examples.read())
    assert isinstance(example, images.Decoded)
    recognizer().recognize(example.image)


@transaction.atomic
def current() -> ModelVersion:
    """The row of the site's model, made when it is first used."""
    card = classifier().card.as_dict()
    # Not of the weights alone: another temperature or threshold gives other predictions.
    digest = hashlib.sha256(json.dumps(card, sort_keys=True).encode()).hexdigest()
    version, _ = ModelVersion.objects.get_or_create(
        sha256=digest, defaults={"name": card["name"], "card": card}
    )
    return version
