"""The place of a model that a command makes: which one it may take, and how it gets there.

What the site uses, and what a rollback could lead back to, is never written over. Any other model
of the same name only gives way to the run that made it, or where a person says so.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

from recognizer.locks import locked
from recognizer.services import model_store, model_versions
from recognizer.vision import classification
from recognizer.vision.cards import CardError, ModelCard
from recognizer.vision.classification import ModelError, OnnxClassifier


def place_for(
    name: str, parent: Path | None, replace: bool = False, history: Path | None = None
) -> Path:
    """Where a model that is made by a command belongs; the folder itself is not made.

    Args:
        name: of the model.
        parent: a folder that the person named; the site's own models, if not given.
        replace: another model that has the name there may be written over.
        history: the training curves of the run that makes it. A model that has the very same
            ones comes from that run, and may be written over, too.

    Raises:
        ModelError: the name can't be used, or the folder can't be written to.
    """
    model_store.check_name(name)
    folder = (parent or model_store.own_root()) / name
    own = folder.absolute().parent.resolve() == model_store.own_root().resolve()
    if own and name in classification.available_models():
        raise ModelError(
            f'There is a model "{name}" already, and it is a shipped one. Choose another name '
            "(--name)."
        )
    if os.path.lexists(folder):
        _check_replaceable(folder, replace or _same_history(folder, history))
    there = next(path for path in folder.absolute().parents if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise ModelError(f"{folder}: {there} is no folder that can be written to.")
    return folder


@contextmanager
def being_made(folder: Path, replace: bool = False, known: bytes = b"") -> Iterator[Path]:
    """A hidden folder to make a model in; it takes `folder`'s place once it has proved good.

    Whatever goes wrong, a model that was there before stays as it is.

    Args:
        folder: as `place_for` gave it.
        replace: another model may be written over.
        known: what `card_at` gave when `place_for` did; that model may be written over, too.

    Raises:
        ModelError, CardError: what was made can't be used, another process makes a model there,
            or one that has come to be there, or to be needed by the site, would be written over.
    """
    partial, before, lock = (
        folder.with_name(f".{folder.name}.{what}") for what in ("partial", "before", "lock")
    )
    refusal = ModelError(
        f'Another process is making the model "{folder.name}" in {folder.parent}. Wait for it to '
        "end, or choose another name (--name)."
    )
    with locked(lock, refusal):
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            yield partial
            model_store.checked(OnnxClassifier(partial))
            if os.path.lexists(folder):
                # Again: it may have come, or been promoted, during the hours that this took.
                _check_replaceable(folder, replace or card_at(folder) == known)
                shutil.rmtree(before, ignore_errors=True)
                folder.rename(before)
            partial.rename(folder)
            shutil.rmtree(before, ignore_errors=True)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _check_replaceable(folder: Path, agreed: bool) -> None:
    if not (folder / "card.json").is_file():
        raise ModelError(
            f"{folder}: is there already and no model's folder (no card.json), so it is not "
            "written over. Choose another name (--name), or move it away."
        )
    _check_unneeded(folder)
    if not agreed:
        raise ModelError(
            f'There is a model "{folder.name}" already in {folder.parent}. Choose another name '
            "(--name), or write over it (--replace)."
        )


def _same_history(folder: Path, history: Path | None) -> bool:
    try:
        return history is not None and (folder / history.name).read_bytes() == history.read_bytes()
    except OSError:
        return False


def card_at(folder: Path) -> bytes:
    """The card of the model in a folder, to see whether it is still the same one; b"" for none."""
    try:
        return (folder / "card.json").read_bytes()
    except OSError:
        return b""


def require_unpromoted(folder: Path) -> None:
    """ModelError when a changed card would take a model from the site, which goes by cards."""
    if _holds_needed_version(folder):
        raise ModelError(
            f'The site uses the model "{folder.name}", or would go back to it by a rollback, and '
            "with another card it would be another model. Write into a card before its model is "
            "promoted."
        )


def _check_unneeded(folder: Path) -> None:
    """ModelError when the site uses the folder's model, or could have to go back to it."""
    places = (model_store.own_root(), classification.MODELS_FOLDER)
    if folder.absolute().parent.resolve() not in [place.resolve() for place in places]:
        return
    if folder.name == settings.EMOTION_MODEL or _holds_needed_version(folder):
        raise ModelError(
            f'The site uses the model "{folder.name}", or would go back to it by a rollback, so '
            "it can't be written over. Choose another name (--name)."
        )


def _holds_needed_version(folder: Path) -> bool:
    try:
        card = ModelCard.load(folder / "card.json")
    except CardError:
        return False  # No version is found by a card like that.
    return any(_has_card(version.card, card) for version in model_versions.needed())


def _has_card(raw: object, card: ModelCard) -> bool:
    try:
        return ModelCard.from_dict(raw) == card
    except CardError:
        return False
