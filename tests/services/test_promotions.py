import json
import shutil
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from pytest_django import Settings

from recognizer.models import ModelVersion, Promotion, User
from recognizer.services import model_store, model_versions, promotions
from recognizer.services.promotions import Accuracy, Promoted, Refused, Unchanged
from recognizer.vision.classification import DEFAULT_MODEL, ModelError
from recognizer.vision.emotions import EMOTIONS
from tests.services.models import damage, faces_per_class, own_model

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def nothing_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_versions, "_loaded", model_versions.Loaded())


def promote(*names: str) -> None:
    for name in names:
        assert isinstance(promotions.promote(name, force=True), Promoted)


def in_use() -> str:
    return model_versions.classifier().card.name


def roll_back() -> str:
    outcome = promotions.rollback()
    return outcome.reason if isinstance(outcome, Refused) else in_use()


# --- Rows --------------------------------------------------------------------------------------


def test_a_promotion_says_who_when_why_and_what_it_replaced(alice: User) -> None:
    own_model("better")
    before = model_versions.current()
    outcome = promotions.promote("better", who=alice, reason="reads children better")
    assert isinstance(outcome, Promoted)
    row = Promotion.objects.get()
    assert (row.number, row.who, row.reason) == (1, alice, "reads children better")
    assert (row.name, row.previous, row.is_rollback) == ("better", None, False)
    assert row.replaced == before
    assert row.version == model_versions.current()
    assert in_use() == "better"


def test_promotions_are_added_and_never_changed() -> None:
    own_model("a")
    promote("a")
    row = Promotion.objects.get()
    row.reason = "another"
    with pytest.raises(ValidationError, match="written once"):
        row.save()


def test_promoting_what_is_promoted_writes_nothing() -> None:
    own_model("a")
    promote("a")
    assert isinstance(promotions.promote("a"), Unchanged)
    assert Promotion.objects.count() == 1


def test_closing_an_account_keeps_its_promotions(alice: User) -> None:
    own_model("a")
    promotions.promote("a", who=alice)
    alice.delete()
    assert Promotion.objects.get().who is None


def test_of_two_promotions_at_once_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    own_model("a")
    own_model("b")
    newest = model_versions.newest_promotion()
    promote("a")
    monkeypatch.setattr(model_versions, "newest_promotion", lambda: newest)
    outcome = promotions.promote("b", force=True)
    assert isinstance(outcome, Refused)
    assert "at the same moment" in outcome.reason
    assert Promotion.objects.get().name == "a"


# --- Rolling back ------------------------------------------------------------------------------


def test_rolling_back_again_goes_further_back_to_the_default() -> None:
    for name in ("a", "b", "c"):
        own_model(name)
    promote("a", "b", "c")
    assert [roll_back() for _ in range(3)] == ["b", "a", DEFAULT_MODEL]
    assert "no promotion to take back" in roll_back()
    assert Promotion.objects.count() == 6
    assert [row.is_rollback for row in Promotion.objects.order_by("number")] == [False] * 3 + [
        True
    ] * 3


def test_what_is_promoted_after_a_rollback_leads_back_to_where_that_led() -> None:
    for name in ("a", "b", "c"):
        own_model(name)
    promote("a", "b")
    assert roll_back() == "a"
    promote("c")
    assert [roll_back(), roll_back()] == ["a", DEFAULT_MODEL]


def test_a_rollback_passes_over_what_can_not_be_used() -> None:
    folders = {name: own_model(name) for name in ("a", "b", "c", "d")}
    promote(*folders)
    damage(folders["b"])
    shutil.rmtree(folders["c"])
    outcome = promotions.rollback()
    assert isinstance(outcome, Promoted)
    assert in_use() == "a"
    (first, missing), (second, damaged) = outcome.passed_over
    assert first.startswith("c ")
    assert "Put its folder back" in missing
    assert second.startswith("b ")
    assert "is not the file that its card" in damaged
    outcome = promotions.rollback()
    assert isinstance(outcome, Promoted)
    assert not outcome.passed_over
    assert in_use() == DEFAULT_MODEL


def test_a_rollback_comes_to_the_default_where_nothing_before_can_be_used() -> None:
    folders = [own_model(name) for name in ("a", "b")]
    promote("a", "b")
    for folder in folders:
        shutil.rmtree(folder)
    outcome = promotions.rollback()
    assert isinstance(outcome, Promoted)
    assert outcome.promotion.version is None
    assert len(outcome.passed_over) == 1
    assert in_use() == DEFAULT_MODEL


def test_a_rollback_never_leads_to_where_the_site_is() -> None:
    own_model("a")
    between = own_model("b")
    promote("a", "b", "a")
    shutil.rmtree(between)
    assert roll_back() == DEFAULT_MODEL


def test_a_rollback_without_a_default_that_can_be_used_is_refused(settings: Settings) -> None:
    settings.EMOTION_MODEL = "gone"
    own_model("a")
    promote("a")
    assert 'not even the default. There is no model "gone"' in roll_back()
    assert in_use() == "a"
    assert Promotion.objects.count() == 1


def test_nothing_to_roll_back_is_said() -> None:
    assert "no promotion to take back" in roll_back()


# --- What is refused ---------------------------------------------------------------------------


def test_an_unknown_model_is_no_model() -> None:
    with pytest.raises(ModelError, match=f"Available: .*{DEFAULT_MODEL}"):
        promotions.promote("nonesuch")


def test_altered_weights_are_not_promoted() -> None:
    damage(own_model("a"))
    outcome = promotions.promote("a", force=True)
    assert isinstance(outcome, Refused)
    assert "SHA-256" in outcome.reason
    assert not Promotion.objects.exists()


def test_a_lower_accuracy_is_promoted_by_force_only() -> None:
    own_model("worse", accuracy=0.84)
    outcome = promotions.promote("worse")
    assert isinstance(outcome, Refused)
    used = promotions.accuracy(model_versions.classifier().card.metrics)
    assert used
    for expected in ("84.00%", f"{used.value:.2%}", f"{used.low:.2%}", "--force"):
        assert expected in outcome.reason
    assert isinstance(promotions.promote("worse", force=True), Promoted)


def test_a_difference_within_the_interval_is_no_reason_to_refuse() -> None:
    used = promotions.accuracy(model_versions.classifier().card.metrics)
    assert used
    own_model("as good", accuracy=(used.low + used.value) / 2)
    assert isinstance(promotions.promote("as good"), Promoted)


def both(every: float, odd: float) -> dict[str, object]:
    """A card's accuracies on all rows and on the odd ones, certain to a point."""
    rows = {"PublicTest": every, "PublicTest odd rows": odd}
    return {
        **{
            name: {"ferplus": {"accuracy": value, "per_class": faces_per_class()}}
            for name, value in rows.items()
        },
        "intervals_95": {
            name: {"ferplus": {"accuracy": [value - 0.01, value + 0.01]}}
            for name, value in rows.items()
        },
    }


def test_rows_that_had_a_say_in_the_model_do_not_count() -> None:
    own_model("used", metrics=both(0.85, odd=0.85))
    promote("used")
    own_model("flattered", metrics=both(0.88, odd=0.82))
    outcome = promotions.promote("flattered")
    assert isinstance(outcome, Refused)
    assert "an accuracy of 82.00% on PublicTest odd rows (FER+)" in outcome.reason
    assert "has 85.00%, at least 84.00%" in outcome.reason
    own_model("modest", metrics=both(0.82, odd=0.88))
    assert isinstance(promotions.promote("modest"), Promoted)


def test_without_the_odd_rows_on_both_cards_all_rows_count() -> None:
    own_model("used", metrics=both(0.85, odd=0.95))
    promote("used")
    own_model("older", accuracy=0.85)
    assert isinstance(promotions.promote("older"), Promoted)


def of_own_pictures(accuracy: float, per_class: int, sha256: str = "") -> dict[str, Any]:
    """Metrics of a data set of one's own, with as many faces of each emotion."""
    counts = {emotion: {"n": per_class} for emotion in EMOTIONS}
    found: dict[str, Any] = {"PublicTest": {"ferplus": {"accuracy": accuracy, "per_class": counts}}}
    return found | {"held_out_sha256": sha256} if sha256 else found


@pytest.mark.parametrize("accuracy", [1.0, 0.2])
def test_accuracies_on_other_pictures_are_not_compared(accuracy: float) -> None:
    own_model("guest", metrics=of_own_pictures(accuracy, 10))
    outcome = promotions.promote("guest")
    assert isinstance(outcome, Refused)
    for expected in (
        "guest was measured on other pictures",
        f"{accuracy:.2%}",
        f"evaluate faces SOURCE --compare {DEFAULT_MODEL} guest`",
        "--force",
    ):
        assert expected in outcome.reason
    assert isinstance(promotions.promote("guest", force=True), Promoted)


def test_accuracies_on_the_same_pictures_of_ones_own_are_compared() -> None:
    own_model("first", metrics=of_own_pictures(0.5, 10, "ab" * 32))
    promote("first")
    own_model("worse", metrics=of_own_pictures(0.4, 10, "ab" * 32))
    outcome = promotions.promote("worse")
    assert isinstance(outcome, Refused)
    assert "an accuracy of 40.00%" in outcome.reason
    own_model("better", metrics=of_own_pictures(0.6, 10, "ab" * 32))
    assert isinstance(promotions.promote("better"), Promoted)


def test_as_many_faces_of_each_emotion_are_not_the_same_pictures() -> None:
    own_model("first", metrics=of_own_pictures(0.5, 10, "ab" * 32))
    promote("first")
    own_model("lucky", metrics=of_own_pictures(0.9, 10, "cd" * 32))
    outcome = promotions.promote("lucky")
    assert isinstance(outcome, Refused)
    assert "other pictures" in outcome.reason


def test_a_card_that_does_not_tell_its_pictures_needs_force() -> None:
    own_model("silent", metrics={"PublicTest": {"ferplus": {"accuracy": 0.9}}})
    outcome = promotions.promote("silent")
    assert isinstance(outcome, Refused)
    assert "other pictures" in outcome.reason


@pytest.mark.parametrize("per_class", [3, {"happy": 3}, [1], None, {}])
def test_a_card_may_say_anything_of_its_classes(per_class: object) -> None:
    own_model("odd", metrics={"PublicTest": {"ferplus": {"accuracy": 1, "per_class": per_class}}})
    assert isinstance(promotions.promote("odd"), Refused)


def test_the_shipped_models_were_measured_on_the_same_pictures() -> None:
    assert isinstance(promotions.promote("accurate"), Promoted)


def test_a_card_without_the_number_needs_force() -> None:
    own_model("unmeasured", accuracy=None)
    outcome = promotions.promote("unmeasured")
    assert isinstance(outcome, Refused)
    assert "names no accuracy" in outcome.reason


def test_a_reason_has_a_length() -> None:
    own_model("a")
    assert isinstance(promotions.promote("a", reason="x" * 501), Refused)
    assert isinstance(promotions.rollback(reason="x" * 501), Refused)


@pytest.mark.parametrize(
    "metrics",
    [{}, {"PublicTest": 3}, {"PublicTest": {"ferplus": {"accuracy": "high"}}}]
    + [
        {"PublicTest": {"ferplus": {"accuracy": value}}}
        for value in (True, -1, 87, float("nan"), None)
    ],
)
def test_free_form_metrics_may_say_anything(metrics: dict[str, object]) -> None:
    assert promotions.accuracy(metrics) is None


def test_without_an_interval_the_accuracy_itself_is_the_bar() -> None:
    metrics = {"PublicTest": {"ferplus": {"accuracy": 0.8}}}
    assert promotions.accuracy(metrics) == Accuracy(0.8, 0.8)
    interval = {"intervals_95": {"PublicTest": {"ferplus": {"accuracy": [0.78, 0.82]}}}}
    assert promotions.accuracy(metrics | interval) == Accuracy(0.8, 0.78)


# --- A renamed, vanished or altered folder -----------------------------------------------------


def test_a_promoted_model_is_known_by_its_card_not_by_its_folder() -> None:
    folder = own_model("a")
    promote("a")
    model_versions._loaded = model_versions.Loaded()
    folder.rename(folder.with_name("renamed"))
    assert in_use() == "a"
    shutil.rmtree(folder.with_name("renamed"))
    own_model("a", version="retrained")
    model_versions._loaded = model_versions.Loaded()
    assert in_use() == DEFAULT_MODEL


def test_two_equal_models_are_one_version() -> None:
    folder = own_model("a")
    shutil.copytree(folder, folder.with_name("copy"))
    promote("copy")
    version = ModelVersion.objects.get(name="a")
    assert model_store.find_version(version).name == "a"
    assert model_store.find_version(version, "copy").name == "copy"


def test_a_card_that_knows_more_fields_now_is_still_the_promoted_one() -> None:
    folder = own_model("a")
    promote("a")
    card = json.loads((folder / "card.json").read_text())
    del card["training"]
    (folder / "card.json").write_text(json.dumps(card))
    model_versions._loaded = model_versions.Loaded()
    assert in_use() == "a"
