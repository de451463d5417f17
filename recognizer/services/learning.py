"""Runs that learn from reviews: asked for, taken by one process, compared, and promoted or not."""

import logging
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Final

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _

from recognizer.models import LearningRun, User
from recognizer.services import model_store, model_versions, promotions, queue, reviewed_faces
from recognizer.services.promotions import Promoted, Refused, Unchanged
from recognizer.services.reviewed_faces import Exported
from recognizer.services.signs_of_life import Pulse
from recognizer.vision.cards import ModelCard

logger = logging.getLogger(__name__)

FEWEST_FACES: Final = 50
"""Reviewed and lent: with fewer, neither side of the split has anything to say."""
OPEN: Final = (LearningRun.Status.QUEUED, LearningRun.Status.RUNNING)


class Lost(Exception):
    """The run is not this process's any more: another one took it, or it was ended."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether there is enough to learn from.

    Attributes:
        faces: reviewed ones of owners who lend theirs.
        held_out: those of them that only measure, as far as that is decided.
        missing: how many more it takes.
        open_run: the one that is queued or running, if any.
    """

    faces: int
    held_out: int
    missing: int
    open_run: LearningRun | None


def readiness() -> Readiness:
    """How things stand."""
    lent = reviewed_faces.count_lent()
    faces = sum(lent.values())
    open_run = LearningRun.objects.filter(status__in=OPEN).first()
    return Readiness(faces, lent[True], max(0, FEWEST_FACES - faces), open_run)


def ask(who: User | None = None) -> LearningRun | Refused:
    """Have the site's model learn from the reviews; a worker of the queue `training` takes it."""
    asked = _new_run(who)
    if isinstance(asked, LearningRun):
        queue.send_learning_on_commit(asked.pk)
    return asked


def begin(who: User | None = None) -> LearningRun | Refused:
    """The same for a process that does it itself, at once."""
    with transaction.atomic():
        asked = _new_run(who)
        return asked if isinstance(asked, Refused) else claim(asked.pk) or asked


def claim(run_id: int) -> LearningRun | None:
    """Take a run that waits; None when another process was first, or it has failed too often."""
    claimed = LearningRun.objects.filter(
        pk=run_id, status=LearningRun.Status.QUEUED, attempts__lt=settings.MAX_ATTEMPTS
    ).update(status=LearningRun.Status.RUNNING, attempts=F("attempts") + 1, seen_at=timezone.now())
    return LearningRun.objects.select_related("base").get(pk=run_id) if claimed else None


def seen(run: LearningRun, progress: str = "") -> None:
    """Note that the run's process is alive, and how far it is.

    Raises:
        Lost: the run is another's.
    """
    changes: dict[str, Any] = {"seen_at": timezone.now()}
    if progress:
        changes["progress"] = progress[:300]
    if not _mine(run).update(**changes):
        raise Lost


def pulse(run: LearningRun) -> Pulse:
    """Notes that the run's process is alive, from its start until it is stopped."""

    def alive() -> None:
        # The process itself learns that the run is lost when it next says how far it is.
        with suppress(Lost):
            seen(run)

    return Pulse(alive, lambda: None)


def finish(
    run: LearningRun, card: ModelCard, folder: str, exported: Exported, comparison: dict[str, Any]
) -> None:
    """Write down what came of a run: a model to promote, and how it compares.

    Raises:
        Lost: the run is another's.
    """
    candidate = model_versions.row_of(card)
    done = {
        "status": LearningRun.Status.DONE,
        "candidate": candidate,
        "folder": folder,
        "dataset": asdict(exported),
        "comparison": comparison,
        "finished_at": timezone.now(),
    }
    if not _mine(run).update(**done):
        raise Lost
    run.refresh_from_db()


def fail(run: LearningRun, why: str) -> None:
    """Write down why nothing came of a run; nothing if the run is another's."""
    _mine(run).update(status=LearningRun.Status.FAILED, error=why, finished_at=timezone.now())


def sweep() -> None:
    """Give runs whose process died, or whose message got lost, to another process."""
    stale = timezone.now() - timedelta(seconds=settings.STALE_AFTER)
    for run in LearningRun.objects.filter(status=LearningRun.Status.RUNNING, seen_at__lt=stale):
        logger.warning("The process of the learning run %s is gone.", run)
        _let_go(run)
    waiting = LearningRun.objects.filter(status=LearningRun.Status.QUEUED, sent_at__lt=stale)
    for run in waiting:
        if waiting.filter(pk=run.pk).update(sent_at=timezone.now()):
            queue.send_learning(run.pk)


def is_better(run: LearningRun) -> bool:
    """Whether the new model is right more often than the old one on the held-out reviews."""
    held_out = run.comparison.get("held_out") or {}
    return bool(held_out.get("gain", 0) > 0)


def promote(
    run: LearningRun, who: User | None = None, reason: str = "", force: bool = False
) -> Promoted | Unchanged | Refused:
    """Have the site use the run's model; a worse one only if the person says so with `force`.

    Raises:
        ModelError, CardError: the model is not here any more.
    """
    if not run.candidate:
        return Refused(_("Nothing came of this run that could be promoted."))
    if not force and not is_better(run):
        return Refused(
            _(
                "The new model is not better on the held-out reviews. Say that you want it all "
                "the same, or leave the old one."
            )
        )
    # Where this very version lies now: a folder may have been written over or renamed.
    folder = model_store.find_version(run.candidate, run.folder)
    return promotions.promote(folder.name, who, reason, force)


def _new_run(who: User | None) -> LearningRun | Refused:
    now = readiness()
    if now.open_run:
        return Refused(_("Learning is under way already; wait until it has ended."))
    if now.missing:
        return Refused(
            _(
                "There are %(faces)d reviewed faces of owners who lend theirs, and it takes "
                "%(fewest)d. Review more, or ask owners to lend theirs (on the page Account)."
            )
            % {"faces": now.faces, "fewest": FEWEST_FACES}
        )
    try:
        with transaction.atomic():
            return LearningRun.objects.create(who=who, base=model_versions.current())
    except IntegrityError:
        return Refused(_("Learning is under way already; wait until it has ended."))
    except (ValueError, OSError) as error:
        return Refused(str(error))


def _mine(run: LearningRun) -> Any:
    """The run while it is claimed as it was when `run` was read."""
    return LearningRun.objects.filter(
        pk=run.pk, status=LearningRun.Status.RUNNING, attempts=run.attempts
    )


def _let_go(run: LearningRun) -> None:
    """Queue a claimed run again, or call it failed after the last attempt."""
    if run.attempts >= settings.MAX_ATTEMPTS:
        fail(run, _("Learning gave up after %(n)d attempts.") % {"n": run.attempts})
    elif _mine(run).update(status=LearningRun.Status.QUEUED, sent_at=timezone.now()):
        queue.send_learning(run.pk)
