"""The model that recognises: the promoted one, and what steps in while that can't be used."""

import hashlib
import json
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
from django.conf import settings
from django.db import Error as DatabaseFailure
from django.db import connection, transaction
from django.utils.module_loading import import_string

from recognizer.models import ModelVersion, Promotion
from recognizer.services import examples, model_store
from recognizer.vision import Recognizer, images
from recognizer.vision.cards import ModelCard
from recognizer.vision.classification import ModelError, OnnxClassifier, read_card
from recognizer.vision.detection import Detector

logger = logging.getLogger(__name__)

# A model and the one before it: a rollback costs no second loading.
KEPT = 2
RETRY_AFTER = 60.0  # seconds until a model that could not be loaded is tried again


@dataclass(frozen=True, slots=True)
class InUse:
    """The model that reads a photo, and the promotion that put it there, if any did."""

    classifier: OnnxClassifier
    promoted: ModelVersion | None = None

    @property
    def recognizer(self) -> Recognizer:
        """Its recogniser; networks are loaded by the first photo."""
        return Recognizer(detector(settings.RECOGNITION_THREADS), self.classifier)

    def version(self) -> ModelVersion:
        """Its row, made when it is first used."""
        return self.promoted or row_of(self.classifier.card)


def in_use(run: bool = True) -> InUse:
    """The site's model at this moment: one small query, and no file is read but the first time.

    Args:
        run: see that the network runs, as whoever wants to recognise must; without, its card and
            the hash of its weights are enough.

    Raises:
        ModelError, CardError: there is none, or none that can be used.
    """
    failure: Exception = ModelError("There is no model.")
    for wanted in _candidates(newest_promotion()):
        try:
            return InUse(_loaded.get(wanted, run), wanted.version)
        except (ValueError, OSError) as error:
            failure = error
    raise failure


def classifier() -> OnnxClassifier:
    """The site's model, for those who only want to know about it; raises as `in_use`."""
    return in_use(run=False).classifier


def recognizer() -> Recognizer:
    """The site's recogniser; raises as `in_use`."""
    return in_use().recognizer


def current() -> ModelVersion:
    """The row of the site's model, made when it is first used; raises as `in_use`."""
    return in_use().version()


def warm_up() -> None:
    """Load every network now, by reading a photo that has a face, so that no person waits."""
    # Or each of several processes would shrink its photos on all cores at once.
    cv2.setNumThreads(settings.RECOGNITION_THREADS)
    example = images.decode(examples.read())
    assert isinstance(example, images.Decoded)
    recognizer().recognize(example.image)


@transaction.atomic
def row_of(card: ModelCard) -> ModelVersion:
    """The row of the model version with this card, made when it is first used."""
    plain = card.as_dict()
    # Not of the weights alone: another temperature or threshold gives other predictions.
    digest = hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()
    version, _ = ModelVersion.objects.get_or_create(
        sha256=digest, defaults={"name": plain["name"], "card": plain}
    )
    return version


# --- The promotion that counts -----------------------------------------------------------------


def newest_promotion() -> Promotion | None:
    """The promotion that says what the site uses, without the model's long card."""
    return Promotion.objects.select_related("version").defer("version__card").first()


def promotion_if_any() -> Promotion | None:
    """The same for the shell: None, too, where no database answers; none is ever made."""
    if not database_is_there():
        return None
    try:
        return newest_promotion()
    except DatabaseFailure as error:
        logger.warning("The database can't say which model is promoted (%s).", error)
        return None


def needed() -> list[ModelVersion]:
    """The promoted version, and those that rollbacks could lead to; none without a database."""
    found, row = [], promotion_if_any()
    while row and row.version:
        found.append(row.version)
        row = row.previous
    return found


def database_is_there() -> bool:
    """False for SQLite without its file, which would be made by asking it anything."""
    return connection.vendor != "sqlite" or Path(connection.settings_dict["NAME"]).is_file()


def for_shell(name: str = "", threads: int = 0) -> OnnxClassifier:
    """The model of that name; without one the site's, also where there is no database.

    Nothing steps in for a promoted model that can't be used: who measures must know what.

    Raises:
        ModelError, CardError: it can't be used.
    """
    if not name:
        promotion = promotion_if_any()
        if promotion and promotion.version:
            folder = model_store.find_version(promotion.version)
            return model_store.checked(OnnxClassifier(folder, threads))
    return model_store.load(name or settings.EMOTION_MODEL, threads)


def promoted_is_here() -> bool | None:
    """Whether the promoted model's files are whole on this machine, read anew; None without one."""
    newest = newest_promotion()
    if newest is None or newest.version is None:
        return None
    try:
        read_card(model_store.find_version(newest.version))
    except (ValueError, OSError):
        return False
    return True


# --- Models in memory --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wanted:
    """A promoted version, or else a default by its name."""

    version: ModelVersion | None = None
    name: str = ""

    @property
    def key(self) -> str:
        return self.version.sha256 if self.version else f"default {self.name}"


def _candidates(newest: Promotion | None) -> Iterator[Wanted]:
    """What to use, the best first: the promoted model, the one before, the default."""
    if newest is None or newest.version is None:
        yield Wanted(name=settings.EMOTION_MODEL)
        return
    yield Wanted(newest.version)
    before = newest.previous
    if before and before.version:
        yield Wanted(before.version)
    for name in dict.fromkeys([settings.EMOTION_MODEL, ""]):
        yield Wanted(name=name)


class Loaded:
    """The models that were used last, and which ones could not be; safe to share by threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._models: OrderedDict[str, OnnxClassifier] = OrderedDict()
        self._ran: set[str] = set()
        self._failures: dict[str, tuple[float, str]] = {}

    def get(self, wanted: Wanted, run: bool) -> OnnxClassifier:
        """The model, loaded if need be.

        Raises:
            ModelError: it can't be used, or could not be less than RETRY_AFTER seconds ago.
        """
        key = wanted.key
        with self._lock:
            if key in self._models and (not run or key in self._ran):
                self._models.move_to_end(key)
                return self._models[key]
            tried, why = self._failures.get(key, (float("-inf"), ""))
            if time.monotonic() - tried < RETRY_AFTER:
                raise ModelError(why)
            try:
                model = self._models.get(key) or _load(wanted)
                if run:
                    model_store.checked(model)
            except (ValueError, OSError) as error:
                self._fail(wanted, str(error))
                raise
            self._keep(key, model, run)
            return model

    def _keep(self, key: str, model: OnnxClassifier, run: bool) -> None:
        self._models[key] = model
        self._models.move_to_end(key)
        if run:
            self._ran.add(key)
        while len(self._models) > KEPT:
            oldest, _ = self._models.popitem(last=False)
            self._ran.discard(oldest)

    def _fail(self, wanted: Wanted, why: str) -> None:
        self._models.pop(wanted.key, None)
        if wanted.version is None:
            # No model steps in for the default, so it is tried whenever it is asked for.
            return
        self._failures[wanted.key] = (time.monotonic(), why)
        logger.error(
            "The promoted model %s can't be used here, so another one reads the photos. %s",
            wanted.version,
            why,
        )


_loaded = Loaded()


def _load(wanted: Wanted) -> OnnxClassifier:
    threads = settings.RECOGNITION_THREADS
    if wanted.version:
        return OnnxClassifier(model_store.find_version(wanted.version), threads)
    return OnnxClassifier(model_store.find(wanted.name), threads)


def detector(threads: int = 0, min_face: int | None = None) -> Detector:
    """What finds the site's faces: DETECTOR, with MIN_FACE unless another size is given.

    Raises:
        ModelError: it cannot be imported or made.
    """
    smallest = settings.MIN_FACE if min_face is None else min_face
    try:
        return _detector(settings.DETECTOR, smallest, threads)
    except (ImportError, TypeError, ValueError) as error:
        raise ModelError(
            f"The detector {settings.DETECTOR} cannot be used: {error}. Mend DETECTOR or MIN_FACE "
            "in the site's settings."
        ) from error


@lru_cache(maxsize=1)
def _detector(kind: str, min_face: int, threads: int) -> Detector:
    """One for all models; lru_cache, because its networks are large."""
    detector: Detector = import_string(kind)(min_face=min_face or None, threads=threads)
    return detector
