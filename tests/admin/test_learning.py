"""The pages that learn from reviews, compare two models, promote one and go back."""

import io
import shutil
import zipfile
from typing import Any

import pytest
from celery import current_app
from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.contrib.auth.models import Group, Permission
from django.core.files.base import ContentFile
from django.test import Client
from django.urls import reverse

from recognizer.models import Face, LearningRun, ModelVersion, Photo, Promotion, User
from recognizer.services import learning, model_store, model_versions, promotions, queue, reviews
from recognizer.services.learning import FEWEST_FACES
from recognizer.services.reviewed_faces import Exported, lend
from recognizer.templatetags.webemotion import points, tenths
from tests.admin.conftest import client_of
from tests.factories import (
    GUEST,
    add_face,
    add_prediction,
    lend_faces,
    let_review,
    make_photo,
    make_version,
    noise,
    owned_by,
)
from tests.services.models import own_model

PAGE, COMPARE = reverse("learning"), reverse("compare-models")
ASK, EXPORT = reverse("learning-ask"), reverse("learning-export")
ROLLBACK, AGAIN = reverse("learning-rollback"), reverse("learning-again")

Status = LearningRun.Status


def promote_address(run: LearningRun) -> str:
    return reverse("learning-promote", args=[run.pk])


@pytest.fixture(autouse=True)
def nothing_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_versions, "_loaded", model_versions.Loaded())


def staff(name: str, *permissions: str) -> Client:
    """Somebody who may look at the page, and has these permissions besides."""
    user = User.objects.create_user(name, is_staff=True)
    names = ["view_learningrun", *permissions]
    rows = Permission.objects.filter(content_type__app_label="recognizer", codename__in=names)
    assert len(rows) == len(names)
    user.user_permissions.set(rows)
    return client_of(user)


@pytest.fixture
def looker_client(db: None) -> Client:
    return staff("lou")


@pytest.fixture
def learner_client(db: None) -> Client:
    return staff("lea", "add_learningrun")


@pytest.fixture
def promoter_client(db: None) -> Client:
    return staff("pat", "add_promotion")


@pytest.fixture
def enough(alice: User) -> None:
    """As many reviewed faces as it takes, all lent."""
    lend_faces(alice, FEWEST_FACES)


def measured(gain: float) -> dict[str, Any]:
    """A comparison as a run keeps it."""

    def one(accuracy: float) -> dict[str, float | None]:
        return {"accuracy": accuracy, "coverage": 0.8, "selective_error": None, "ece": 0.02}

    return {
        "faces": 200,
        "old": one(0.62),
        "new": one(0.62 + gain),
        "gain": gain,
        "low": gain - 0.03,
        "high": gain + 0.03,
        "mended": 31,
        "spoilt": 17,
        "recalls": {"happy": {"faces": 90, "old": 0.9, "new": 0.945}},
    }


def ended(gain: float = 0.06, reference: float | None = -0.002, **card: Any) -> LearningRun:
    """A run whose new model is right so much more often on what was held out."""
    own_model("learned", **card)
    run = LearningRun.objects.create(base=model_versions.current(), status=Status.RUNNING)
    comparison = {"held_out": measured(gain)}
    if reference is not None:
        comparison["reference"] = measured(reference)
    exported = Exported(500, held_out=200, people=9, photos=400, fingerprint="c0ffee" * 10)
    learning.finish(run, model_store.load("learned").card, "learned", exported, comparison)
    return run


def shown(client: Client) -> str:
    answer = client.get(PAGE)
    assert answer.status_code == 200
    return answer.content.decode()


def told(client: Client, address: str, **form: str) -> str:
    """The page after a click."""
    answer = client.post(address, form, follow=True)
    assert answer.redirect_chain == [(PAGE, 302)]
    assert answer.status_code == 200
    return answer.content.decode()


# --- Who may -----------------------------------------------------------------------------------


def test_who_may_only_look_finds_no_button(looker_client: Client, enough: None) -> None:
    run = ended()
    Promotion.objects.create(number=1, version=run.base, name="resnet9-ferplus")
    make_photo(GUEST, faces=["happy"])
    page = shown(looker_client)
    assert f'id="run-{run.pk}"' in page
    for address in (ASK, EXPORT, promote_address(run), ROLLBACK, AGAIN, COMPARE):
        assert f'"{address}"' not in page
    assert looker_client.get(PAGE).context["waiting"] == 0


def test_each_permission_brings_its_own_buttons(enough: None) -> None:
    run = ended()
    Promotion.objects.create(number=1, version=run.base, name="resnet9-ferplus")
    make_photo(GUEST, faces=["happy"])
    reviewer = staff("rob", "review")
    let_review(User.objects.get(username="rob"))
    addresses = {ASK, EXPORT, promote_address(run), ROLLBACK, AGAIN, COMPARE}
    for client, own in (
        (staff("lea", "add_learningrun"), {ASK, EXPORT}),
        (staff("pat", "add_promotion"), {promote_address(run), ROLLBACK}),
        (reviewer, {AGAIN, COMPARE}),
    ):
        page = shown(client)
        assert {address for address in addresses if f'"{address}"' in page} == own


@pytest.mark.parametrize("address", [ASK, EXPORT, ROLLBACK, "promote"])
def test_clicks_without_the_permission_are_forbidden(enough: None, address: str) -> None:
    run = ended()
    Promotion.objects.create(number=1, version=run.base, name="resnet9-ferplus")
    address = promote_address(run) if address == "promote" else address
    other = "add_learningrun" if address in (ROLLBACK, promote_address(run)) else "add_promotion"
    assert staff("lea", "review", other).post(address).status_code == 403
    assert LearningRun.objects.count() == Promotion.objects.count() == 1


def test_who_may_not_review_recognises_nothing_again(photo: Photo) -> None:
    client = staff("lea", "add_learningrun", "add_promotion")
    assert client.post(AGAIN).status_code == 403
    assert client.get(COMPARE).status_code == 403
    photo.refresh_from_db()
    assert photo.status == Photo.Status.DONE


def test_without_the_permission_the_page_is_forbidden(
    ruth_client: Client, root_client: Client
) -> None:
    assert ruth_client.get(PAGE).status_code == 403
    assert root_client.get(PAGE).status_code == 200
    index = reverse("admin:index")
    assert PAGE in root_client.get(index).content.decode()
    assert PAGE not in ruth_client.get(index).content.decode()


@pytest.mark.parametrize("who", ["alice_client", "guest_client"])
def test_users_and_guests_are_asked_to_sign_in(who: str, request: pytest.FixtureRequest) -> None:
    client = request.getfixturevalue(who)
    answers = [client.get(address) for address in (PAGE, COMPARE)]
    answers += [client.post(address) for address in (ASK, EXPORT, ROLLBACK, AGAIN)]
    for answer in answers:
        assert answer.status_code == 302
        assert answer.headers["Location"].startswith("/admin/login/")


@pytest.mark.parametrize("address", [ASK, EXPORT, ROLLBACK, AGAIN])
def test_looking_changes_nothing(root_client: Client, address: str) -> None:
    assert root_client.get(address).status_code == 405


# --- Asking ------------------------------------------------------------------------------------


def test_a_run_is_asked_for_and_logged(
    learner_client: Client,
    enough: None,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Any,
) -> None:
    sent: list[tuple[str, list[int]]] = []
    monkeypatch.setattr(current_app, "send_task", lambda name, args: sent.append((name, args)))
    with django_capture_on_commit_callbacks(execute=True):
        page = told(learner_client, ASK)
    run = LearningRun.objects.get()
    assert run.who
    assert run.who.username == "lea"
    assert sent == [(queue.LEARN, [run.pk])]
    entry = LogEntry.objects.get()
    assert (entry.user, entry.action_flag) == (run.who, ADDITION)
    assert entry.get_edited_object() == run
    assert "this takes minutes" in page
    # It waits, so the page looks again by itself, and offers no second one.
    assert 'http-equiv="refresh"' in page
    assert f'"{ASK}"' not in page


def test_it_says_how_far_a_run_is(looker_client: Client, enough: None) -> None:
    run = learning.begin()
    assert isinstance(run, LearningRun)
    learning.seen(run, "Fold 2 of 3 is done.")
    page = shown(looker_client)
    assert "<b>running</b> Fold 2 of 3 is done." in page
    assert 'http-equiv="refresh"' in page


def test_while_a_run_is_open_no_second_one_is_begun(learner_client: Client, enough: None) -> None:
    learning.begin()
    assert "Learning is under way already" in told(learner_client, ASK)
    assert LearningRun.objects.count() == 1
    assert not LogEntry.objects.exists()


def test_with_too_few_faces_it_says_how_many_are_missing(
    learner_client: Client, alice: User
) -> None:
    lend_faces(alice, FEWEST_FACES - 2)
    page = shown(learner_client)
    assert f"<b>{FEWEST_FACES - 2}</b> reviewed faces that their owners lend" in page
    assert "2 more are needed." in page
    assert f'"{ASK}"' not in page
    assert "http-equiv" not in page
    assert f"it takes {FEWEST_FACES}" in told(learner_client, ASK)
    assert not LearningRun.objects.exists()


# --- Taking the faces along --------------------------------------------------------------------


@pytest.fixture
def reviewed(photo: Photo, alice: User, ruth: User) -> Photo:
    """A photo with real pixels, lent, its faces reviewed as happy and as fear."""
    photo.original.save("original", ContentFile(noise(1)))
    for face, verdict in zip(photo.faces.order_by("number"), ("accept", "correct"), strict=True):
        assert face.current
        emotion = "fear" if verdict == "correct" else ""
        reviews.record(face.current, "reviewer", verdict, emotion, ruth)
    lend(alice, True)
    return photo


def downloaded(client: Client, layout: str) -> list[str]:
    """The names in the archive, without what is random in them."""
    answer = client.post(EXPORT, {"layout": layout})
    assert answer.headers["Content-Disposition"] == 'attachment; filename="reviewed-faces.zip"'
    data = b"".join(answer.streaming_content)  # type: ignore[attr-defined]
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        paths = [name for name in archive.namelist() if not name.endswith("/")]
    return sorted(name if name.endswith(".csv") else name.rpartition("/")[0] for name in paths)


def test_the_reviewed_faces_are_downloaded(learner_client: Client, reviewed: Photo) -> None:
    folder = "reviewed-faces"
    assert downloaded(learner_client, "votes") == [f"{folder}/faces"] * 2 + [f"{folder}/votes.csv"]
    expected = [f"{folder}/train/{emotion}" for emotion in ("fear", "happy")]
    assert downloaded(learner_client, "folders") == expected
    assert downloaded(learner_client, "nonsense") == downloaded(learner_client, "votes")
    # What this site's models are measured by is kept apart from what others learn from.
    assert Photo.objects.get(pk=reviewed.pk).held_out is False


def test_with_nothing_to_download_it_says_so(
    learner_client: Client, reviewed: Photo, alice: User
) -> None:
    lend(alice, False)
    assert f'"{EXPORT}"' not in shown(learner_client)
    assert "There is no face to export" in told(learner_client, EXPORT)


# --- What came of a run ------------------------------------------------------------------------


def test_a_run_is_shown_with_its_comparison(looker_client: Client, alice: User) -> None:
    run = ended()
    LearningRun.objects.update(who=alice)
    page = shown(looker_client)
    for expected in (
        "alice",
        f"{run.base} before, {run.candidate} now.",
        "Data set c0ffeec0ffee: 500 faces of 400 photos and 9 owners, 200 of the faces held out.",
        '<span class="rv-gain">+6.0 points</span> <small>95% interval +3.0 to +9.0</small>',
        '<span class="rv-gain">−0.2 points</span> <small>95% interval −3.2 to +2.8</small>',
        "<td>62.0%</td><td>68.0%</td>",
        "<td>–</td><td>–</td>",
        "happy <small>(90)</small></th><td>90.0%</td><td>94.5%</td>",
        "Only the new one is right about 31 faces, only the old one about 17.",
    ):
        assert expected in page
    assert "REFERENCE_SET" not in page


def test_without_a_reference_set_it_says_what_is_not_known(promoter_client: Client) -> None:
    ended(reference=None)
    page = shown(promoter_client)
    assert "Reference set" not in page
    assert "no data set to measure it on" in page
    assert "although it is not known what it forgot" in page


def test_a_failed_run_says_why(promoter_client: Client) -> None:
    run = LearningRun.objects.create(base=model_versions.current(), status=Status.RUNNING)
    learning.fail(run, "There are 7 faces to learn from.")
    page = shown(promoter_client)
    assert '<p class="errornote">There are 7 faces to learn from.</p>' in page
    assert f'"{promote_address(run)}"' not in page


def test_what_people_and_programs_wrote_is_text(looker_client: Client, enough: None) -> None:
    evil = "<script>alert(1)</script>"
    recall = {"faces": 1, "old": 0.5, "new": 0.5}
    who = User.objects.create_user(f"who{evil}")
    base = ModelVersion.objects.create(name=f"base{evil}", sha256="0" * 64, card={})
    new = ModelVersion.objects.create(name=f"new{evil}", sha256="1" * 64, card={})
    LearningRun.objects.create(
        base=base,
        candidate=new,
        who=who,
        status=Status.FAILED,
        error=f"error{evil}",
        dataset={"fingerprint": f"{evil}", "faces": evil},
        comparison={"held_out": measured(0.1) | {"recalls": {evil: recall}}},
    )
    LearningRun.objects.create(base=base, status=Status.RUNNING, progress=f"progress{evil}")
    page = shown(looker_client)
    assert evil not in page
    for place in ("who", "base", "new", "error", "progress"):
        assert f"{place}&lt;script&gt;" in page


def test_only_the_newest_runs_are_shown(looker_client: Client) -> None:
    base = make_version()
    runs = [LearningRun.objects.create(base=base, status=Status.FAILED) for _ in range(23)]
    page = shown(looker_client)
    assert page.count("<article") == 20
    assert f'id="run-{runs[-1].pk}"' in page
    assert f'id="run-{runs[2].pk}"' not in page


# --- Promoting ---------------------------------------------------------------------------------


def in_use() -> str:
    return model_versions.classifier().card.name


def test_a_better_model_is_promoted_and_logged(promoter_client: Client) -> None:
    run = ended()
    page = told(promoter_client, promote_address(run), reason=" reads children better ")
    promotion = Promotion.objects.get()
    assert promotion.version == run.candidate
    assert promotion.who
    assert (promotion.who.username, promotion.reason) == ("pat", "reads children better")
    entry = LogEntry.objects.get()
    assert (entry.user, entry.action_flag) == (promotion.who, CHANGE)
    assert entry.get_edited_object() == promotion
    assert f"The site uses {run.candidate} from now on." in page
    assert in_use() == "learned"
    # It is in use, so there is nothing to promote; but there is a way back.
    assert f'"{promote_address(run)}"' not in page
    assert f'"{ROLLBACK}"' in page


def test_promoting_it_twice_writes_one_row(promoter_client: Client) -> None:
    run = ended()
    for _ in range(2):
        assert "from now on" in told(promoter_client, promote_address(run))
    assert Promotion.objects.count() == LogEntry.objects.count() == 1


@pytest.mark.parametrize(
    ("run", "why"),
    [
        ({"gain": -0.02}, "not better on the held-out reviews"),
        ({"gain": 0.0}, "not better on the held-out reviews"),
        ({"gain": 0.06, "accuracy": 0.5}, "has an accuracy of 50.00%"),
        ({"gain": 0.06, "accuracy": None, "reference": None}, "names no accuracy"),
    ],
)
def test_a_doubtful_model_is_promoted_only_although_it_is(
    promoter_client: Client, run: dict[str, Any], why: str
) -> None:
    made = ended(**run)
    assert why in told(promoter_client, promote_address(made))
    assert not Promotion.objects.exists()
    assert not LogEntry.objects.exists()
    told(promoter_client, promote_address(made), although="on")
    assert Promotion.objects.get().version == made.candidate
    assert in_use() == "learned"


def test_what_is_not_there_is_not_promoted(promoter_client: Client) -> None:
    assert promoter_client.post(reverse("learning-promote", args=[99])).status_code == 404
    failed = LearningRun.objects.create(base=model_versions.current(), status=Status.FAILED)
    address = promote_address(failed)
    assert "Nothing came of this run" in told(promoter_client, address, although="on")
    run = ended()
    shutil.rmtree(model_store.find("learned"))
    assert "Put its folder back" in told(promoter_client, promote_address(run))
    assert not Promotion.objects.exists()


def test_a_reason_has_a_length(promoter_client: Client) -> None:
    run = ended()
    assert "longer than 500" in told(promoter_client, promote_address(run), reason="x" * 501)
    assert not Promotion.objects.exists()


def test_rolling_back_is_logged_and_leads_to_the_default(promoter_client: Client) -> None:
    run = ended()
    told(promoter_client, promote_address(run))
    page = told(promoter_client, ROLLBACK, reason="too many surprises")
    newest = Promotion.objects.latest("number")
    assert newest.is_rollback
    assert newest.who
    assert (newest.who.username, newest.reason) == ("pat", "too many surprises")
    assert LogEntry.objects.count() == 2
    assert "The site uses its default model from now on." in page
    assert in_use() == "resnet9-ferplus"
    assert "rolled back" in page
    assert f'"{ROLLBACK}"' not in page
    assert "no promotion to take back" in told(promoter_client, ROLLBACK)
    assert LogEntry.objects.count() == 2


def test_what_a_rollback_passed_over_is_said(promoter_client: Client) -> None:
    told(promoter_client, promote_address(ended()))
    own_model("second")
    promotions.promote("second")
    shutil.rmtree(model_store.find("learned"))
    page = told(promoter_client, ROLLBACK)
    assert "The site uses its default model from now on." in page
    assert "was passed over: The model version learned" in page


# --- Recognising again -------------------------------------------------------------------------


@pytest.fixture
def used(db: None) -> ModelVersion:
    return model_versions.current()


def queued() -> set[str]:
    return set(Photo.objects.filter(status=Photo.Status.QUEUED).values_list("name", flat=True))


def test_photos_with_faces_that_the_model_has_not_seen_are_queued(
    used: ModelVersion, alice: User
) -> None:
    client = staff("rob", "review")
    let_review(User.objects.get(username="rob"))
    owner = owned_by(alice)
    make_photo(owner, "seen by another.jpg", ["happy", "sad"])
    make_photo(GUEST, "of a guest.jpg", ["fear"])
    add_face(make_photo(owner, "seen.jpg"), version=used)
    both = add_face(make_photo(owner, "seen by both.jpg"))
    add_prediction(both, version=used)
    make_photo(owner, "nobody.jpg")
    make_photo(owner, "failed.jpg", ["sad"], status=Photo.Status.FAILED)
    page = shown(client)
    assert "Recognise 2 photos again with it" in page
    assert "2 photos were queued." in told(client, AGAIN)
    assert queued() == {"seen by another.jpg", "of a guest.jpg"}
    # All of them are on their way.
    assert f'"{AGAIN}"' not in shown(client)
    assert "0 photos were queued." in told(client, AGAIN)


def test_only_what_the_reviewer_may_see_is_queued(
    used: ModelVersion, alice: User, bob: User
) -> None:
    client = staff("rob", "review")
    team = Group.objects.create(name="team")
    alice.groups.add(team)
    let_review(User.objects.get(username="rob"), team)
    for owner, name in ((owned_by(alice), "a"), (owned_by(bob), "b"), (GUEST, "g")):
        make_photo(owner, name, ["happy"])
    assert "Recognise 1 photo again with it" in shown(client)
    assert "1 photo was queued." in told(client, AGAIN)
    assert queued() == {"a"}


def test_without_a_model_nothing_is_recognised_again(root_client: Client, settings: Any) -> None:
    make_photo(GUEST, "photo.jpg", ["happy"])
    settings.EMOTION_MODEL = "nonesuch"
    page = told(root_client, AGAIN)
    assert "0 photos were queued." in page
    assert "no model that can be used" in page
    assert queued() == set()


# --- Comparing ---------------------------------------------------------------------------------


@pytest.fixture
def versions(db: None) -> dict[str, int]:
    return {name: make_version(name).pk for name in ("old", "new")}


def seen(photo: Photo, before: str, now: str) -> Face:
    face = add_face(photo, before, make_version("old"))
    add_prediction(face, now, make_version("new"))
    return face


def test_two_models_are_compared_face_by_face(
    ruth_client: Client, ruth: User, alice: User, versions: dict[str, int]
) -> None:
    photo = make_photo(owned_by(alice), "<b>beach</b>.jpg")
    changed, alike = seen(photo, "happy", "sad"), seen(photo, "fear", "fear")
    assert changed.current
    reviews.record(changed.current, "reviewer", "correct", "sad", ruth)
    answer = ruth_client.get(COMPARE, versions)
    page = answer.content.decode()
    assert "<b>50%</b> of 2 faces are called alike" in page
    assert "the second about 1, the first about 0" in page
    assert "<s>happy</s> <b>sad</b>" in page
    assert "reviewers: sad" in page
    assert reverse("face-crop", args=[changed.pk]) in page
    assert reverse("face-crop", args=[alike.pk]) not in page
    assert "<b>beach</b>" not in page
    assert "&lt;b&gt;beach&lt;/b&gt;.jpg #1" in page


def test_faces_of_other_groups_are_not_shown(
    ruth_client: Client, ruth: User, bob: User, versions: dict[str, int]
) -> None:
    face = seen(make_photo(owned_by(bob), "secret.jpg"), "happy", "sad")
    assert (
        reverse("face-crop", args=[face.pk]) in ruth_client.get(COMPARE, versions).content.decode()
    )
    ruth.groups.clear()
    page = ruth_client.get(COMPARE, versions).content.decode()
    assert "There is no face that both models have seen." in page
    assert "secret" not in page


@pytest.mark.parametrize(
    "query", [{}, {"old": "x", "new": "-1"}, {"old": "9999", "new": "9999"}, {"old": "1"}]
)
def test_without_two_models_it_asks_for_them(ruth_client: Client, query: dict[str, str]) -> None:
    answer = ruth_client.get(COMPARE, query)
    assert answer.status_code == 200
    assert "Choose two models." in answer.content.decode()
    assert answer.context["found"] is None


def test_a_models_name_is_text(ruth_client: Client) -> None:
    evil = ModelVersion.objects.create(name="<i>evil</i>", sha256="2" * 64, card={})
    page = ruth_client.get(COMPARE, {"old": evil.pk, "new": evil.pk}).content.decode()
    assert "<i>evil" not in page
    assert "&lt;i&gt;evil&lt;/i&gt;" in page


# --- The rows ----------------------------------------------------------------------------------


def test_runs_are_looked_at_and_never_edited(
    looker_client: Client, ruth_client: Client, root_client: Client
) -> None:
    run = ended()

    def address(page: str, *args: object) -> str:
        return reverse(f"admin:recognizer_learningrun_{page}", args=args)

    for page in (address("changelist"), address("change", run.pk)):
        assert f"#{run.pk}" in looker_client.get(page).content.decode()
        assert ruth_client.get(page).status_code == 403
    for client in (root_client, staff("lea", "add_learningrun", "change_learningrun")):
        for page in (address("add"), address("change", run.pk), address("delete", run.pk)):
            assert client.post(page, {"status": "failed", "post": "yes"}).status_code == 403
    assert LearningRun.objects.get().status == Status.DONE


# --- Numbers -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("share", "text"), [(0.024, "+2.4"), (-0.0315, "−3.1"), (0.0, "+0.0"), (1.0, "+100.0")]
)
def test_gains_are_told_in_points_with_their_sign(share: float, text: str) -> None:
    assert points(share) == text


def test_shares_that_differ_little_are_told_in_tenths() -> None:
    assert [tenths(share) for share in (0.8674, 0.8656, 1.0)] == ["86.7%", "86.6%", "100.0%"]
