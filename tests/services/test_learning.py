"""Runs that learn from reviews: asked for once, taken by one process, promoted if better."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from numpy.typing import NDArray
from pytest_django import Settings

from recognizer.models import LearningRun, ModelVersion, Photo, Promotion, User
from recognizer.services import (
    learning,
    model_store,
    model_versions,
    promotions,
    queue,
    recognition,
    uploads,
)
from recognizer.services.learning import FEWEST_FACES, Lost
from recognizer.services.promotions import Promoted, Refused
from recognizer.services.reviewed_faces import Exported
from recognizer.vision.classification import DEFAULT_MODEL, ModelError
from tests.factories import GUEST, add_faces, lend_faces, make_photos, owned_by
from tests.services.models import own_model

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sent")]

Status = LearningRun.Status
EXPORTED = Exported(60, held_out=24, people=3, photos=30, fingerprint="ab" * 32)


@pytest.fixture(autouse=True)
def nothing_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_versions, "_loaded", model_versions.Loaded())


@pytest.fixture
def enough(alice: User) -> User:
    """Alice, who lends as many reviewed faces as it takes."""
    lend_faces(alice, FEWEST_FACES)
    return alice


def asked(who: User | None = None) -> LearningRun:
    run = learning.ask(who)
    assert isinstance(run, LearningRun)
    return run


def claimed(run: LearningRun) -> LearningRun:
    mine = learning.claim(run.pk)
    assert mine
    return mine


def why_not(outcome: object) -> str:
    assert isinstance(outcome, Refused)
    return outcome.reason


def lose_process_of(run: LearningRun, settings: Settings) -> None:
    """It was seen for the last time too long ago."""
    long_ago = timezone.now() - timedelta(seconds=settings.STALE_AFTER + 1)
    LearningRun.objects.filter(pk=run.pk).update(seen_at=long_ago)


def state(run: LearningRun) -> tuple[str, int]:
    run.refresh_from_db()
    return run.status, run.attempts


# --- Asking ------------------------------------------------------------------------------------


def test_a_run_says_who_asked_and_what_the_site_used(
    enough: User,
    bob: User,
    sent: list[tuple[str, list[Any]]],
    django_capture_on_commit_callbacks: Any,
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        run = asked(bob)
        assert sent == []
    assert sent == [(queue.LEARN, [run.pk])]
    assert (run.status, run.who, run.attempts) == (Status.QUEUED, bob, 0)
    assert run.base == model_versions.current()
    assert run.is_open


def test_too_few_faces_are_counted_in_the_refusal(alice: User) -> None:
    lend_faces(alice, FEWEST_FACES - 1)
    now = learning.readiness()
    assert (now.faces, now.missing, now.open_run) == (FEWEST_FACES - 1, 1, None)
    reason = why_not(learning.ask())
    assert f"There are {FEWEST_FACES - 1} reviewed faces" in reason
    assert f"it takes {FEWEST_FACES}" in reason
    assert not LearningRun.objects.exists()


def test_guests_faces_and_those_that_nobody_reviewed_are_not_enough(alice: User) -> None:
    lend_faces(alice, 1)
    add_faces(make_photos(GUEST, 1), FEWEST_FACES, opinions=1)
    add_faces(make_photos(owned_by(alice), 1), FEWEST_FACES)
    assert learning.readiness().faces == 1


def test_what_is_held_out_is_counted(enough: User, bob: User) -> None:
    assert learning.readiness().held_out == 0
    lend_faces(bob, 7)
    Photo.objects.filter(user=bob).update(held_out=True)
    Photo.objects.filter(user=enough).update(held_out=False)
    now = learning.readiness()
    assert (now.faces, now.held_out, now.missing) == (FEWEST_FACES + 7, 7, 0)


@pytest.mark.parametrize("status", [Status.QUEUED, Status.RUNNING])
def test_while_one_is_open_no_other_is_begun(enough: User, status: str) -> None:
    run = asked()
    LearningRun.objects.update(status=status)
    assert learning.readiness().open_run == run
    for again in (learning.ask(), learning.begin()):
        assert "under way already" in why_not(again)
    assert LearningRun.objects.count() == 1


@pytest.mark.parametrize("status", [Status.DONE, Status.FAILED])
def test_after_one_has_ended_another_may_begin(enough: User, status: str) -> None:
    first = asked()
    LearningRun.objects.update(status=status)
    assert learning.readiness().open_run is None
    assert asked() != first


@pytest.mark.parametrize("status", [Status.QUEUED, Status.RUNNING])
def test_the_database_holds_one_open_run(enough: User, status: str) -> None:
    run = asked()
    LearningRun.objects.update(status=status)
    with pytest.raises(IntegrityError), transaction.atomic():
        LearningRun.objects.create(base=run.base)
    for ended in (Status.DONE, Status.FAILED, Status.DONE):
        LearningRun.objects.create(base=run.base, status=ended)


def at_once(what: Callable[[], object], times: int = 4) -> None:
    """Do it in so many threads at the same moment."""
    start = threading.Barrier(times, timeout=20)

    def work() -> None:
        try:
            start.wait()
            what()
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("how", [learning.ask, learning.begin])
def test_of_many_who_ask_at_once_one_counts(enough: User, how: Callable[[], object]) -> None:
    model_versions.current()
    outcomes: list[object] = []
    at_once(lambda: outcomes.append(how()))
    run = LearningRun.objects.get()
    assert [one for one in outcomes if one == run] == [run]
    reasons = [why_not(one) for one in outcomes if one != run]
    assert len(reasons) == 3
    assert all("under way already" in reason for reason in reasons)


def test_without_a_model_that_can_be_used_nothing_begins(enough: User, settings: Settings) -> None:
    settings.EMOTION_MODEL = "nonesuch"
    assert 'no model "nonesuch"' in why_not(learning.ask())


def test_a_closed_account_leaves_its_runs(enough: User, bob: User) -> None:
    run = asked(bob)
    bob.delete()
    run.refresh_from_db()
    assert run.who is None


# --- Taking ------------------------------------------------------------------------------------


def test_who_begins_has_it_at_once(
    enough: User, sent: list[object], django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        run = learning.begin(enough)
    assert isinstance(run, LearningRun)
    assert (run.status, run.attempts, run.who) == (Status.RUNNING, 1, enough)
    assert run.seen_at
    assert sent == []


def test_a_run_is_taken_once(enough: User) -> None:
    run = asked()
    mine = claimed(run)
    assert (mine.status, mine.attempts) == (Status.RUNNING, 1)
    assert learning.claim(run.pk) is None
    assert state(run) == (Status.RUNNING, 1)


def test_what_has_ended_or_is_not_there_is_not_taken(enough: User) -> None:
    run = asked()
    LearningRun.objects.update(status=Status.DONE)
    assert learning.claim(run.pk) is None
    assert learning.claim(run.pk + 1) is None


@pytest.mark.django_db(transaction=True)
def test_of_many_processes_at_once_one_takes_it(enough: User) -> None:
    run = asked()
    taken: list[LearningRun | None] = []
    at_once(lambda: taken.append(learning.claim(run.pk)))
    assert run in taken
    assert taken.count(None) == 3
    assert state(run) == (Status.RUNNING, 1)


def test_how_far_it_is_can_be_read(enough: User) -> None:
    run = claimed(asked())
    LearningRun.objects.update(seen_at=timezone.now() - timedelta(minutes=1))
    before = timezone.now()
    learning.seen(run, "Fold 1 of 3 is done.")
    learning.seen(run)
    run.refresh_from_db()
    assert run.progress == "Fold 1 of 3 is done."
    assert run.seen_at
    assert run.seen_at >= before
    learning.seen(run, "x" * 1000)
    run.refresh_from_db()
    assert run.progress == "x" * 300


# --- Processes that die ------------------------------------------------------------------------


def test_a_run_whose_process_died_is_given_to_another(
    enough: User, settings: Settings, sent: list[tuple[str, list[Any]]]
) -> None:
    mine = claimed(asked())
    lose_process_of(mine, settings)
    learning.sweep()
    assert sent == [(queue.LEARN, [mine.pk])]
    theirs = claimed(mine)
    assert theirs.attempts == 2
    with pytest.raises(Lost):
        learning.seen(mine, "still here")
    with pytest.raises(Lost):
        learning.finish(mine, card(), "a", EXPORTED, {})
    learning.fail(mine, "It broke.")
    assert state(theirs) == (Status.RUNNING, 2)
    assert (theirs.progress, theirs.error) == ("", "")
    learning.seen(theirs, "Going on.")


def test_a_process_that_is_seen_keeps_its_run(
    enough: User, settings: Settings, sent: list[object]
) -> None:
    run = claimed(asked())
    lose_process_of(run, settings)
    learning.seen(run)
    learning.sweep()
    assert state(run) == (Status.RUNNING, 1)
    assert sent == []


def test_what_killed_its_process_three_times_fails(
    enough: User, settings: Settings, sent: list[object]
) -> None:
    run = asked()
    for attempt in range(1, settings.MAX_ATTEMPTS + 1):
        assert claimed(run).attempts == attempt
        lose_process_of(run, settings)
        learning.sweep()
    assert state(run) == (Status.FAILED, settings.MAX_ATTEMPTS)
    assert run.error == f"Learning gave up after {settings.MAX_ATTEMPTS} attempts."
    assert run.finished_at
    assert len(sent) == settings.MAX_ATTEMPTS - 1
    assert learning.claim(run.pk) is None
    assert not run.is_open


def test_a_lost_message_is_sent_again_once_in_a_while(
    enough: User, settings: Settings, sent: list[tuple[str, list[Any]]]
) -> None:
    run = asked()
    learning.sweep()
    assert sent == []
    long_ago = timezone.now() - timedelta(seconds=settings.STALE_AFTER + 1)
    LearningRun.objects.update(sent_at=long_ago)
    learning.sweep()
    learning.sweep()
    assert sent == [(queue.LEARN, [run.pk])]


@pytest.mark.parametrize("status", [Status.DONE, Status.FAILED])
def test_what_has_ended_is_not_swept(
    enough: User, settings: Settings, sent: list[object], status: str
) -> None:
    run = claimed(asked())
    long_ago = timezone.now() - timedelta(days=1)
    LearningRun.objects.update(status=status, seen_at=long_ago, sent_at=long_ago)
    learning.sweep()
    assert state(run) == (status, 1)
    assert sent == []


@pytest.mark.django_db(transaction=True)
def test_a_pulse_keeps_its_run_and_lets_one_go_that_is_anothers(
    enough: User, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken: list[object] = []
    monkeypatch.setattr(threading, "excepthook", broken.append)
    run = claimed(asked())
    lose_process_of(run, settings)
    before = timezone.now()
    pulse = learning.pulse(run)
    pulse.start()
    pulse.stop()
    run.refresh_from_db()
    assert run.seen_at
    assert run.seen_at >= before
    assert run.status == Status.RUNNING

    lose_process_of(run, settings)
    learning.sweep()
    pulse = learning.pulse(run)
    pulse.start()
    pulse.stop()
    assert state(run)[0] == Status.QUEUED
    assert not broken


# --- What came of it ---------------------------------------------------------------------------


def card(name: str = "learned", **changes: Any) -> Any:
    own_model(name, **changes)
    return model_store.load(name).card


def ended(gain: float | None, accuracy: float | None = 0.9, name: str = "learned") -> LearningRun:
    """A run with a new model, which is right so much more often on the held-out reviews."""
    run = learning.begin()
    assert isinstance(run, LearningRun)
    held_out = None if gain is None else {"faces": 24, "gain": gain}
    made = card(name, accuracy=accuracy)
    learning.finish(run, made, name, EXPORTED, {"held_out": held_out})
    return run


def test_a_finished_run_keeps_its_data_set_its_comparison_and_its_model(enough: User) -> None:
    run = ended(0.05)
    stored = LearningRun.objects.get()
    assert stored == run
    assert (stored.status, stored.folder) == (Status.DONE, "learned")
    assert stored.finished_at
    assert stored.candidate
    assert stored.candidate.name == "learned"
    assert stored.candidate != stored.base
    assert stored.dataset["held_out"] == 24
    assert stored.dataset["fingerprint"] == EXPORTED.fingerprint
    assert stored.comparison == {"held_out": {"faces": 24, "gain": 0.05}}


def test_a_failed_run_says_why(enough: User) -> None:
    run = claimed(asked())
    learning.fail(run, "REFERENCE_SET can't be read.")
    assert state(run) == (Status.FAILED, 1)
    assert run.error == "REFERENCE_SET can't be read."
    assert run.finished_at


@pytest.mark.parametrize(
    ("comparison", "better"),
    [
        ({"held_out": {"gain": 0.01}}, True),
        ({"held_out": {"gain": 0.0}}, False),
        ({"held_out": {"gain": -0.01}, "reference": {"gain": 0.1}}, False),
        ({"held_out": None}, False),
        ({}, False),
    ],
)
def test_better_is_who_is_right_more_often_on_what_was_held_out(
    comparison: dict[str, Any], better: bool
) -> None:
    assert learning.is_better(LearningRun(comparison=comparison)) is better


# --- Promoting ---------------------------------------------------------------------------------


def in_use() -> str:
    return model_versions.classifier().card.name


def test_a_better_model_is_promoted_with_who_and_why(enough: User, bob: User) -> None:
    run = ended(0.05)
    outcome = learning.promote(run, bob, "reads our children better")
    assert isinstance(outcome, Promoted)
    row = Promotion.objects.get()
    assert (row.version, row.replaced) == (run.candidate, run.base)
    assert (row.who, row.reason) == (bob, "reads our children better")
    assert in_use() == "learned"


@pytest.mark.parametrize("gain", [0.0, -0.02, None])
def test_one_that_is_not_better_is_promoted_by_force_only(enough: User, gain: float | None) -> None:
    run = ended(gain)
    assert "not better on the held-out reviews" in why_not(learning.promote(run))
    assert not Promotion.objects.exists()
    assert isinstance(learning.promote(run, force=True), Promoted)
    assert in_use() == "learned"


@pytest.mark.parametrize("accuracy", [0.5, None])
def test_one_that_has_forgotten_is_promoted_by_force_only(
    enough: User, accuracy: float | None
) -> None:
    run = ended(0.05, accuracy)
    assert "accuracy" in why_not(learning.promote(run))
    assert not Promotion.objects.exists()
    assert isinstance(learning.promote(run, force=True), Promoted)


def test_a_run_without_a_model_promotes_nothing(enough: User) -> None:
    run = claimed(asked())
    learning.fail(run, "It broke.")
    assert "Nothing came of this run" in why_not(learning.promote(run, force=True))


def test_a_model_whose_folder_is_gone_is_no_model(enough: User) -> None:
    run = ended(0.05)
    model_store.find("learned").rename(model_store.own_root() / ".away")
    with pytest.raises(ModelError, match="is neither in"):
        learning.promote(run)


def test_the_next_run_goes_on_from_the_promoted_model(enough: User) -> None:
    run = ended(0.05)
    learning.promote(run)
    following = asked()
    assert following.base == run.candidate


def test_a_rollback_leads_to_what_was_before(enough: User) -> None:
    first = ended(0.05, name="first")
    learning.promote(first)
    second = ended(0.05, name="second")
    learning.promote(second, force=True)
    assert in_use() == "second"
    promotions.rollback()
    assert in_use() == "first"
    promotions.rollback()
    assert in_use() == DEFAULT_MODEL


def test_a_prediction_names_the_model_that_gave_it(
    enough: User, astronaut: NDArray[Any], jpeg: Callable[..., bytes]
) -> None:
    outcome = uploads.receive_bytes(GUEST, "astronaut.jpg", jpeg(astronaut))
    assert isinstance(outcome, uploads.Accepted)
    run = ended(0.05)

    def recognized_by() -> ModelVersion:
        recognition.recognize(outcome.photo.pk)
        face = outcome.photo.faces.get()
        assert face.current
        assert face.predictions.filter(pk=face.current.pk).exists()
        recognition.queue_again([outcome.photo.pk])
        return face.current.model_version

    assert recognized_by() == run.base
    learning.promote(run)
    assert recognized_by() == run.candidate
    promotions.rollback()
    assert recognized_by() == run.base
    assert outcome.photo.faces.get().predictions.count() == 2


def test_a_model_that_was_renamed_is_promoted_all_the_same(enough: User) -> None:
    run = ended(0.05)
    model_store.find("learned").rename(model_store.own_root() / "moved")
    assert isinstance(learning.promote(run), Promoted)
    assert Promotion.objects.get().name == "moved"
    assert Promotion.objects.get().version == run.candidate
