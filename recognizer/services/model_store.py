"""Where models lie: the shipped ones, and the site's own beside them in MODELS_ROOT.

Names are unique across both: an own model that is called like a shipped one is refused, so that
nobody measures or uses another model than the one meant. The default, asked for without a name,
is always the shipped one.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from django.conf import settings
from numpy.typing import NDArray

from recognizer.models import ModelVersion
from recognizer.services import examples
from recognizer.vision import classification, images
from recognizer.vision.cards import CardError, ModelCard
from recognizer.vision.classification import (
    DEFAULT_MODEL,
    ModelError,
    OnnxClassifier,
    available_models,
)
from recognizer.vision.detection import MTCNN, Detection

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True)
class Entry:
    """One folder of a model; `card` is None, and `problem` a sentence, when it can't be used."""

    name: str
    folder: Path
    own: bool
    card: ModelCard | None
    problem: str = ""


def own_root() -> Path:
    """The folder of the site's own models; it may not be there yet."""
    return Path(settings.MODELS_ROOT)


def new_folder(name: str) -> Path:
    """Where a new model of the site's own belongs; the folder itself is not made.

    Raises:
        ModelError: the name can't be a folder's, or a model has it already.
    """
    check_name(name)
    if name in names():
        raise ModelError(f'There is a model "{name}" already. Choose another name (--name).')
    return own_root() / name


def check_name(name: str) -> None:
    """ModelError when the name can't be a model's."""
    if not NAME.fullmatch(name):
        raise ModelError(
            f'"{name}" can\'t be a model\'s name; expected letters, digits, ".", "_" and "-", '
            "a letter or digit first, at most 100."
        )


def names() -> list[str]:
    """Names of all models, sorted; damaged ones too."""
    return sorted({*available_models(), *_own_names()})


def find(name: str) -> Path:
    """A model's folder by its name; "" is the shipped default.

    Raises:
        ModelError: there is no such model, or there are two.
    """
    wanted = name or DEFAULT_MODEL
    shipped, own = wanted in available_models(), name in _own_names()
    if shipped and own:
        raise ModelError(_twice(name))
    if own:
        return own_root() / name
    if shipped:
        return classification.MODELS_FOLDER / wanted
    known = ", ".join(names())
    choice = (
        f"Available: {known}." if known else f"There are none in {classification.MODELS_FOLDER}."
    )
    raise ModelError(f'There is no model "{wanted}". {choice}')


def find_version(version: ModelVersion, name: str = "") -> Path:
    """The folder that holds exactly this model version, whatever it is called now.

    Args:
        version: the row whose card the folder's must equal.
        name: of the folder to prefer, should several hold it.

    Raises:
        ModelError: there is none on this machine.
        CardError: the version's card is one that this software no longer reads.
    """
    # Parsed cards are compared, not hashes: a later release may know more fields.
    wanted = ModelCard.from_dict(version.card, source=str(version))
    for _, folder, _ in sorted(_folders(), key=lambda one: one[0] != name):
        try:
            found = ModelCard.load(folder / "card.json")
        except CardError:
            continue
        if found == wanted:
            return folder
    raise ModelError(
        f"The model version {version} is neither in {own_root()} nor among the shipped models. "
        "Put its folder back, or promote another model."
    )


def load(name: str = "", threads: int = 0) -> OnnxClassifier:
    """A model by its name, ready to answer; "" is the shipped default.

    Raises:
        ModelError, CardError: there is no such model, or it can't be used.
    """
    return checked(OnnxClassifier(find(name), threads))


def checked(classifier: OnnxClassifier) -> OnnxClassifier:
    """The same, once it is certain that it runs and that a database can hold its card.

    Raises:
        ModelError: it doesn't, or the card holds NaN.
    """
    classifier.check()
    try:
        json.dumps(classifier.card.as_dict(), allow_nan=False)
    except ValueError as error:
        raise ModelError(
            f"{classifier.name}: its card.json holds NaN or Infinity, which are no JSON. "
            "Replace them by null."
        ) from error
    return classifier


def verify(folder: Path) -> OnnxClassifier:
    """Load a model and let it read the example photo.

    Raises:
        ModelError, CardError: what is wrong, in a sentence.
    """
    classifier = checked(OnnxClassifier(folder, settings.RECOGNITION_THREADS))
    try:
        answers = classifier.classify(*_example())
    except Exception as error:  # Whatever a strange network sets off, it is no model to use.
        raise ModelError(
            f"{classifier.name} can't read the example photo ({error}). Take another model."
        ) from error
    sums = [answer.probabilities.sum() for answer in answers]
    if not np.allclose(sums, 1.0, atol=1e-3):  # NaN is not close to anything.
        raise ModelError(
            f"{classifier.name} gives no probabilities for the face of the example photo. "
            "Take another model."
        )
    return classifier


@lru_cache(maxsize=1)
def _example() -> tuple[NDArray[np.uint8], list[Detection]]:
    """The example photo with its faces, which are looked for once."""
    example = images.decode(examples.read())
    assert isinstance(example, images.Decoded)
    return example.image, MTCNN().detect(example.image)


def entries() -> list[Entry]:
    """Every model with what is wrong with it, by name; each network is run once."""
    shipped = available_models()
    found = []
    for name, folder, own in _folders():
        card, problem = None, _twice(name) if own and name in shipped else ""
        if not problem:
            try:
                card = checked(OnnxClassifier(folder, settings.RECOGNITION_THREADS)).card
            except (ValueError, OSError) as error:
                problem = str(error)
        found.append(Entry(name, folder, own, card, problem))
    return sorted(found, key=lambda entry: (entry.name, entry.own))


def _folders() -> Iterator[tuple[str, Path, bool]]:
    """Name, folder and whether it is the site's own, of every model."""
    for name in available_models():
        yield name, classification.MODELS_FOLDER / name, False
    for name in _own_names():
        yield name, own_root() / name, True


def _own_names() -> list[str]:
    """Folders only, and no hidden ones: those are on their way in."""
    try:
        return sorted(
            path.name
            for path in own_root().iterdir()
            if path.is_dir() and not path.name.startswith(".")
        )
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ModelError(f"MODELS_ROOT {own_root()}: can't be read ({error.strerror}).") from error


def _twice(name: str) -> str:
    return (
        f'There are two models "{name}": a shipped one and one in {own_root()}. '
        "Rename the folder there."
    )
