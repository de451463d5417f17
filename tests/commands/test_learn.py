"""`manage.py learn` from reviews to a new model, on a small site with a small model."""

import io
import shutil
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from django.core.files.base import ContentFile
from django.core.management import CommandError, call_command
from django.db.models import F
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from recognizer.models import Face, LearningRun, ModelVersion, Photo, User
from recognizer.services import learning, model_store, model_versions, promotions, reviews
from recognizer.services.promotions import Promoted
from recognizer.services.reviewed_faces import lend
from tests.factories import add_faces, add_prediction, make_photos, owned_by
from tests.pictures import save
from tests.training.drawing import SHOWN, draw_face, write_drawn_set

pytest.importorskip("tensorflow", reason="TensorFlow is needed to train")

from PIL import Image

from recognizer.training.datasets.preparation import TrainingSet
from recognizer.training.reviews import candidates
from tests.training.fitted_model import QUICK

# The run's pulse is a thread, with a connection of its own.
pytestmark = pytest.mark.django_db(transaction=True)

Status = LearningRun.Status


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    # Threads are set once in a process, and other tests have fitted before.
    monkeypatch.setattr("recognizer.training.fitting.loop.set_threads", lambda threads: None)
    # The defaults are for a network of a hundred times the size.
    monkeypatch.setattr(candidates, "FineTuning", lambda: QUICK)
    monkeypatch.setattr(model_versions, "_loaded", model_versions.Loaded())


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files lie."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def base(fitted_model: Path) -> ModelVersion:
    """The small model, promoted."""
    shutil.copytree(fitted_model, model_store.own_root() / "fitted")
    assert isinstance(promotions.promote("fitted", force=True), Promoted)
    return model_versions.current()


def send_photos(user: User, count: int, seed: int) -> list[Face]:
    """Photos of two drawn faces each, dark and light swapped: strange to the model."""
    rng = np.random.default_rng(seed)
    faces = []
    for number, photo in enumerate(make_photos(owned_by(user), count)):
        pair = [255 - draw_face(SHOWN[(number + place) % 4], rng) for place in (0, 1)]
        data = save(Image.fromarray(np.hstack(pair)).convert("RGB"), "PNG")
        photo.original.save("original", ContentFile(data))
        faces += add_faces([photo], 2, y=0, width=48, height=48)
    for number, face in enumerate(faces):
        face.x = 48 * (number % 2)
    Face.objects.bulk_update(faces, ["x"])
    return faces


Judge = Callable[[Face, int], None]


@pytest.fixture
def judge(reviewer: User) -> Callable[..., None]:
    """`judge(faces)`: the reviewer calls them what they show; or gives another verdict."""

    def say(faces: list[Face], verdict: str = "correct") -> None:
        for number, face in enumerate(faces):
            shown = SHOWN[(number // 2 + number % 2) % 4] if verdict == "correct" else ""
            prediction = add_prediction(face, "disgust")
            reviews.record(prediction, "reviewer", verdict, shown, reviewer)

    return say


@pytest.fixture
def site(base: ModelVersion, alice: User, bob: User, judge: Callable[..., None]) -> None:
    """Sixty reviewed faces, of thirty photos by two people who lend theirs."""
    for seed, (user, count) in enumerate(((alice, 20), (bob, 10))):
        lend(user, True)
        judge(send_photos(user, count, seed))


def learn(*arguments: str) -> str:
    """Run it; what it said."""
    said = io.StringIO()
    call_command("learn", *arguments, "--threads", "1", stderr=said)
    return said.getvalue()


def left_in(temporary: Path) -> list[Path]:
    """What lies there, but for the code that TensorFlow writes for itself."""
    return [path for path in temporary.rglob("*") if path.suffix != ".py"]


def exported(name: str, folder: Path) -> Path:
    """A ZIP of the model."""
    call_command("models", "export", name, "--output", str(folder / "model.zip"))
    return folder / "model.zip"


def own_models() -> set[str]:
    return {path.name for path in model_store.own_root().iterdir()}


# --- It learns ---------------------------------------------------------------------------------


def test_it_leaves_a_model_beside_the_old_one_and_says_how_they_compare(
    site: None, base: ModelVersion, reviewer: User, temporary: Path
) -> None:
    said = learn("--by", reviewer.username)
    run = LearningRun.objects.get()
    name = f"learned-{run.pk}"
    assert (run.status, run.who, run.attempts) == (Status.DONE, reviewer, 1)
    assert (run.base, run.folder, run.error) == (base, name, "")
    assert run.finished_at

    held_out = Face.objects.filter(photo__held_out=True).count()
    assert run.dataset["held_out"] == held_out
    assert held_out == pytest.approx(24, abs=2)
    counts = {key: run.dataset[key] for key in ("faces", "photos", "people", "unreadable")}
    assert counts == {"faces": 60, "photos": 30, "people": 2, "unreadable": 0}
    assert len(run.dataset["fingerprint"]) == 64

    found = run.comparison["held_out"]
    assert found["faces"] == held_out
    assert found["gain"] > 0.2
    assert found["low"] <= found["gain"] <= found["high"]
    assert set(run.comparison) == {"held_out"}
    assert learning.is_better(run)

    assert f"{60 - held_out} reviewed faces to learn from, {held_out} held out" in said
    # Held-out reviews are people's photos, which no report may show.
    assert not (model_store.own_root() / name / "report.html").exists()
    assert f"The new model is {name}. Data set {run.dataset['fingerprint'][:12]}: 60 faces." in said
    assert f"On {held_out} faces of reviews held out: {found['old']['accuracy']:.2%} before" in said
    assert "of the way to the fine-tuned weights" in run.progress
    assert run.progress in said

    # Nothing is promoted, and what was copied out of the photos is gone.
    assert model_versions.current() == base
    assert own_models() == {"fitted", name}
    assert left_in(temporary) == []
    new = model_store.load(name)
    assert new.card.training["fine_tuning"]["from"] == "fitted " + new.card.version
    assert new.card.data["reviewed_faces"] == 60 - held_out
    assert new.card.metrics == {}
    assert run.candidate == model_versions.row_of(new.card)


def test_cross_validation_is_told_which_faces_belong_together(
    site: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = []

    def stop(old: object, reviewed: TrainingSet, *_: object) -> None:
        given.append(reviewed)
        raise ValueError("That is enough.")

    monkeypatch.setattr(candidates, "learn", stop)
    assert failed() == "That is enough."
    groups = given[0].groups
    assert groups is not None
    photos = Photo.objects.filter(held_out=False).count()
    assert sorted(Counter(groups.tolist()).values()) == [2] * photos


def test_with_a_reference_set_it_shows_what_was_forgotten(
    site: None,
    admin_client: Client,
    tmp_path: Path,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # So small a network can't learn as much without forgetting some.
    how = replace(QUICK, forgotten=0.5, ways=(0.05, 0.1, 0.2))
    monkeypatch.setattr(candidates, "FineTuning", lambda: how)
    (tmp_path / "reference").mkdir()
    csv, votes = write_drawn_set(tmp_path / "reference", training=48, held_out=64)
    settings.REFERENCE_SET, settings.REFERENCE_FERPLUS = str(csv), str(votes)
    said = learn()
    run = LearningRun.objects.get()
    reference = run.comparison["reference"]
    # The other half said how far to go.
    assert reference["faces"] == 32
    assert reference["old"]["accuracy"] > 0.9
    assert "On 32 faces of the reference set:" in said
    card = model_store.load(run.folder).card
    assert promotions.accuracy(card.metrics)
    assert card.metrics["PublicTest"]["ferplus"]["n"] == 64
    odd = card.metrics["PublicTest odd rows"]["ferplus"]
    assert (odd["n"], odd["accuracy"]) == (32, reference["new"]["accuracy"])
    assert card.training["fine_tuning"]["replayed_faces"] == 48
    # The report is of all 64 and travels with the model; what it shows is the reference set's.
    assert f"The new model is {run.folder}, with report.html beside it. Data set" in said
    with zipfile.ZipFile(exported(run.folder, tmp_path)) as archive:
        report = archive.read(f"{run.folder}/report.html").decode()
    assert f"<h1>{run.folder} {card.version}</h1>" in report
    assert "Evaluation on FER-2013 with FER+ votes, PublicTest" in report
    assert "<dt>weights</dt><dd>SHA-256 " + card.weights.sha256 in report
    assert "64 pictures; below each number" in report
    page = admin_client.get(reverse("learning"))
    assert f"{run.candidate} now." in page.content.decode()

    # The row is of the card as it lies on the disk, so the site finds the model again.
    assert run.candidate
    assert model_store.find_version(run.candidate).name == run.folder

    # Promoted, it is what the next run goes on from; and what was held out stays so.
    sides = dict(Photo.objects.values_list("pk", "held_out"))
    assert isinstance(learning.promote(run, force=True), Promoted)
    assert Client().get("/about/").context["measured"] == odd
    settings.REFERENCE_SET = "nowhere.csv"
    with pytest.raises(CommandError, match="REFERENCE_SET"):
        learn()
    assert LearningRun.objects.latest("pk").base == run.candidate
    assert dict(Photo.objects.values_list("pk", "held_out")) == sides


# --- It does not -------------------------------------------------------------------------------


def failed(*arguments: str) -> str:
    """Run it; why it failed, as it said and as the run's row says."""
    with pytest.raises(CommandError) as error:
        learn(*arguments)
    run = LearningRun.objects.get()
    assert run.status == Status.FAILED
    assert run.error == str(error.value)
    assert run.finished_at
    assert run.candidate is None
    return run.error


def test_too_few_faces_begin_no_run(
    base: ModelVersion, alice: User, judge: Callable[..., None]
) -> None:
    lend(alice, True)
    judge(send_photos(alice, 3, seed=0))
    with pytest.raises(CommandError, match=r"There are 6 reviewed faces .* it takes 50"):
        learn()
    assert not LearningRun.objects.exists()


def test_an_unknown_person_begins_no_run(site: None) -> None:
    with pytest.raises(CommandError, match='There is no user "nobody"'):
        learn("--by", "nobody")
    assert not LearningRun.objects.exists()


def test_a_run_that_another_process_took_is_left_to_it(site: None) -> None:
    begun = learning.begin()
    assert isinstance(begun, LearningRun)
    assert "Another process was first" in learn("--run", str(begun.pk))
    with pytest.raises(CommandError, match="under way already"):
        learn()
    begun.refresh_from_db()
    assert (begun.status, begun.attempts) == (Status.RUNNING, 1)


class Taken(io.StringIO):
    """Ears that give the run to another process as soon as the first line is said."""

    def write(self, line: str) -> int:
        if not self.getvalue():
            LearningRun.objects.update(attempts=F("attempts") + 1)
        return super().write(line)


def test_a_run_that_is_taken_away_meanwhile_is_let_go(site: None, temporary: Path) -> None:
    with pytest.raises(CommandError, match="was given to another process"):
        call_command("learn", "--threads", "1", stderr=Taken())
    run = LearningRun.objects.get()
    assert (run.status, run.attempts, run.error) == (Status.RUNNING, 2, "")
    assert own_models() == {"fitted"}
    assert left_in(temporary) == []


@pytest.mark.parametrize("content", [None, "hello\n"])
def test_a_reference_set_that_cannot_be_read_is_named(
    site: None, tmp_path: Path, settings: Settings, temporary: Path, content: str | None
) -> None:
    place = tmp_path / "reference.csv"
    if content:
        place.write_text(content)
    settings.REFERENCE_SET = str(place)
    why = failed()
    assert why.startswith("REFERENCE_SET can't be read.")
    assert place.name in why
    assert own_models() == {"fitted"}
    assert left_in(temporary) == []


def test_faces_that_nobody_could_name_teach_nothing(
    base: ModelVersion, alice: User, judge: Callable[..., None]
) -> None:
    lend(alice, True)
    faces = send_photos(alice, 30, seed=0)
    judge(faces[:10])
    judge(faces[10:], "cant_tell")
    assert "faces to learn from, and it takes at least 20" in failed()
    assert own_models() == {"fitted"}
    # So another one may begin at once.
    assert learning.readiness().open_run is None


def test_a_model_without_its_keras_weights_can_not_go_on(site: None) -> None:
    (model_store.own_root() / "fitted" / "network.weights.h5").unlink()
    assert "Promote one that `manage.py train` has made" in failed()


def test_a_model_that_is_gone_is_said_to_be(site: None) -> None:
    run = learning.ask()
    assert isinstance(run, LearningRun)
    shutil.rmtree(model_store.own_root() / "fitted")
    assert "Put its folder back, or promote another model." in failed("--run", str(run.pk))


def test_without_tensorflow_the_run_says_what_to_install(
    site: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "recognizer.training.fitting.loop", None)
    monkeypatch.delattr("recognizer.training.fitting.loop")
    why = failed()
    assert why.startswith("Learning needs more than serving")
    assert "pip install -r requirements.txt" in why
