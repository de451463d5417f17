from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from recognizer.models import ApiToken, Photo, Prediction, Promotion, Review, User
from recognizer.services import reviews, tokens
from tests.factories import make_version

LISTS = ["photo", "prediction", "review"]


def address(model: str, page: str = "changelist", *args: Any) -> str:
    return reverse(f"admin:recognizer_{model}_{page}", args=args)


@pytest.fixture
def pages(photo: Photo, prediction: Prediction) -> list[str]:
    review = reviews.record(prediction, Review.Role.OWNER, "accept")
    rows = {"photo": photo, "prediction": prediction, "review": review}
    changes = [address(model, "change", row.pk) for model, row in rows.items()]
    return [address(model) for model in LISTS] + changes


@pytest.mark.parametrize("who", ["ruth_client", "reviewer_client", "root_client"])
def test_reviewers_and_superusers_see_photos_predictions_and_reviews(
    pages: list[str], who: str, request: pytest.FixtureRequest
) -> None:
    client = request.getfixturevalue(who)
    for page in pages:
        assert client.get(page).status_code == 200
    index = client.get("/admin/").content.decode()
    assert all(address(model) in index for model in LISTS)


def test_staff_without_the_permission_sees_none_of_it(
    pages: list[str], staff_client: Client
) -> None:
    for page in pages:
        assert staff_client.get(page).status_code == 403
    index = staff_client.get("/admin/").content.decode()
    assert not any(address(model) in index for model in LISTS)


@pytest.mark.parametrize("who", ["alice_client", "guest_client"])
def test_users_and_guests_are_asked_to_sign_in(
    pages: list[str], who: str, request: pytest.FixtureRequest
) -> None:
    client = request.getfixturevalue(who)
    for page in ["/admin/", *pages]:
        answer = client.get(page)
        assert answer.status_code == 302
        assert answer.headers["Location"].startswith("/admin/login/")


def test_the_permission_without_staff_does_not_open_the_admin(
    ruth: User, ruth_client: Client, pages: list[str]
) -> None:
    User.objects.filter(pk=ruth.pk).update(is_staff=False)
    assert ruth_client.get(pages[0]).status_code == 302


@pytest.mark.parametrize("who", ["ruth_client", "root_client"])
@pytest.mark.parametrize("model", LISTS)
def test_nobody_adds_rows_by_hand(who: str, model: str, request: pytest.FixtureRequest) -> None:
    client = request.getfixturevalue(who)
    assert client.get(address(model, "add")).status_code == 403
    assert client.post(address(model, "add"), {}).status_code == 403


@pytest.mark.parametrize("who", ["ruth_client", "root_client"])
def test_photos_and_reviews_are_not_changed(
    photo: Photo, prediction: Prediction, who: str, request: pytest.FixtureRequest
) -> None:
    client = request.getfixturevalue(who)
    review = reviews.record(prediction, Review.Role.REVIEWER, "accept")
    for model, row in (("photo", photo), ("review", review)):
        form = {"name": "changed", "status": "failed", "verdict": "cant_tell"}
        assert client.post(address(model, "change", row.pk), form).status_code == 403
    photo.refresh_from_db()
    review.refresh_from_db()
    assert (photo.name, photo.status, review.verdict) == ("beach.jpg", "done", "accept")


@pytest.mark.parametrize("who", ["ruth_client", "root_client"])
@pytest.mark.parametrize("model", ["prediction", "review"])
def test_predictions_and_reviews_are_not_deleted(
    prediction: Prediction, who: str, model: str, request: pytest.FixtureRequest
) -> None:
    client = request.getfixturevalue(who)
    review = reviews.record(prediction, Review.Role.REVIEWER, "accept")
    row = {"prediction": prediction, "review": review}[model]
    assert client.post(address(model, "delete", row.pk), {"post": "yes"}).status_code == 403
    client.post(
        address(model),
        {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"},
    )
    assert Prediction.objects.filter(pk=prediction.pk).exists()
    assert Review.objects.get() == review


def test_createsuperuser_gives_a_reviewer(pages: list[str]) -> None:
    call_command("createsuperuser", username="root", email="root@example.org", interactive=False)
    client = Client()
    client.force_login(User.objects.get(username="root"))
    for page in pages:
        assert client.get(page).status_code == 200


# --- Other rows --------------------------------------------------------------------------------


def test_a_token_is_revoked_and_never_shown(root_client: Client, alice: User) -> None:
    token, text = tokens.create(alice, "laptop")
    for page in (address("apitoken"), address("apitoken", "change", token.pk)):
        content = root_client.get(page).content.decode()
        assert "laptop" in content
        assert token.digest not in content
        assert text not in content
    root_client.post(address("apitoken"), {"action": "revoke", "_selected_action": [token.pk]})
    assert tokens.user_of(text) is None
    assert ApiToken.objects.count() == 1


def test_reviewers_do_not_see_tokens_users_or_models(ruth_client: Client, alice: User) -> None:
    for model in ("apitoken", "user", "modelversion", "promotion"):
        assert ruth_client.get(address(model)).status_code == 403


def test_model_versions_are_shown(root_client: Client, photo: Photo) -> None:
    assert b"model-of-the-tests" in root_client.get(address("modelversion")).content


@pytest.fixture
def promotion(alice: User) -> Promotion:
    version = make_version("promoted-model")
    version.card = {"metrics": {"PublicTest": {"ferplus": {"accuracy": 0.8765}}}}
    version.save()
    return Promotion.objects.create(
        number=1, version=version, name="promoted-model", who=alice, reason="reads children better"
    )


def test_promotions_are_shown_with_who_when_what_and_its_metrics(
    root_client: Client, promotion: Promotion
) -> None:
    Promotion.objects.create(number=2, replaced=promotion.version, is_rollback=True)
    for page in (address("promotion"), address("promotion", "change", promotion.pk)):
        content = root_client.get(page).content.decode()
        for expected in ("promoted-model", "87.65%", "alice", "reads children better"):
            assert expected in content
    assert "the default" in root_client.get(address("promotion")).content.decode()


def test_nobody_adds_changes_or_deletes_a_promotion(
    root_client: Client, promotion: Promotion
) -> None:
    form = {"reason": "another", "post": "yes"}
    pages = [address("promotion", page, promotion.pk) for page in ("change", "delete")]
    for page in [address("promotion", "add"), *pages]:
        assert root_client.post(page, form).status_code == 403
    assert Promotion.objects.get().reason == "reads children better"


@pytest.mark.parametrize("who", ["alice_client", "bob_client", "guest_client"])
def test_users_and_guests_do_not_see_promotions(
    promotion: Promotion, who: str, request: pytest.FixtureRequest
) -> None:
    answer = request.getfixturevalue(who).get(address("promotion"))
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("/admin/login/")


def test_a_superuser_closes_an_account_with_all_that_hangs_on_it(
    root_client: Client, alice: User, photo: Photo, prediction: Prediction
) -> None:
    reviews.record(prediction, Review.Role.OWNER, "accept", user=alice)
    tokens.create(alice, "laptop")
    page = address("user", "delete", alice.pk)
    assert "Yes, I’m sure" in root_client.get(page).content.decode()
    answer = root_client.post(page, {"post": "yes"})
    assert answer.status_code == 302
    assert not User.objects.filter(pk=alice.pk).exists()
    assert not Photo.objects.exists()
    assert not ApiToken.objects.exists()
