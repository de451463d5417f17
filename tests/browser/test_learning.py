"""Learning from reviews in a browser: the page, a promotion, and two models side by side."""

import re

import pytest
from playwright.sync_api import Page, expect

from recognizer.models import LearningRun, ModelVersion, Promotion, User
from recognizer.services import model_versions
from tests.browser.conftest import PHONE, VisitorMaker
from tests.factories import make_photo, owned_by

pytestmark = pytest.mark.django_db(transaction=True)


def measured(old: float, new: float, low: float, high: float) -> dict[str, object]:
    """A comparison as a run keeps it."""

    def one(accuracy: float) -> dict[str, float]:
        return {"accuracy": accuracy, "coverage": 0.8, "selective_error": 0.07, "ece": 0.02}

    return {
        "faces": 640,
        "old": one(old),
        "new": one(new),
        "gain": new - old,
        "low": low,
        "high": high,
        "mended": 60,
        "spoilt": 22,
        "recalls": {"happy": {"faces": 200, "old": 0.9, "new": 0.94}},
    }


@pytest.fixture
def run(admin_user: User) -> LearningRun:
    """A run that has ended; its new model is the shipped one, so that it can be promoted."""
    old = ModelVersion.objects.create(name="old", sha256="0" * 64, card={})
    return LearningRun.objects.create(
        who=admin_user,
        base=old,
        candidate=model_versions.current(),
        folder="resnet9-ferplus",
        status=LearningRun.Status.DONE,
        dataset={"faces": 940, "held_out": 640, "photos": 700, "people": 20, "fingerprint": "ab12"},
        comparison={
            "held_out": measured(0.62, 0.68, 0.03, 0.09),
            "reference": measured(0.867, 0.865, -0.006, 0.002),
        },
    )


def fits(page: Page) -> bool:
    """Nothing makes the page scroll sideways."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


def test_a_run_is_compared_and_promoted(
    visit: VisitorMaker, run: LearningRun, admin_user: User
) -> None:
    visitor = visit()
    visitor.signs_in_as(admin_user)
    page = visitor.page
    page.goto("/admin/")
    page.get_by_role("link", name="Learn from reviews").click()
    expect(page.get_by_role("heading", name=re.compile("Reviews held out"))).to_contain_text("+6.0")
    expect(page.get_by_role("heading", name=re.compile("Reference set"))).to_contain_text("−0.2")
    # The shipped model is in use already, so there is nothing to promote yet.
    expect(page.get_by_role("button", name="Promote")).to_have_count(0)


def test_the_page_fits_a_phone(visit: VisitorMaker, run: LearningRun, admin_user: User) -> None:
    visitor = visit(viewport=PHONE, color_scheme="dark")
    visitor.signs_in_as(admin_user)
    visitor.page.goto("/admin/review/learning/")
    expect(visitor.page.get_by_text("Data set ab12")).to_be_visible()
    assert fits(visitor.page)


def test_two_models_are_compared_face_by_face(visit: VisitorMaker, admin_user: User) -> None:
    photo = make_photo(owned_by(admin_user), "group.jpg", ["happy", "sad"])
    face = photo.faces.get(number=1)
    assert face.current
    first = face.current.model_version
    other = ModelVersion.objects.create(name="other", sha256="1" * 64, card={})
    face.predictions.create(
        model_version=other,
        probabilities=[0.6, 0.05, 0.05, 0.05, 0.1, 0.05, 0.05, 0.05],
        emotion="anger",
        confidence=0.6,
        uncertain=False,
    )
    visitor = visit()
    visitor.signs_in_as(admin_user)
    page = visitor.page
    page.goto("/admin/review/compare/")
    page.get_by_label("First model").select_option(str(first.pk))
    page.get_by_label("Second model").select_option(str(other.pk))
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text("of 1 face is called alike")).to_be_visible()
    page.get_by_role("link", name=re.compile("anger")).click()
    expect(page.get_by_role("heading", name=re.compile("group.jpg"))).to_be_visible()


def test_roll_back_is_one_click(visit: VisitorMaker, run: LearningRun, admin_user: User) -> None:
    Promotion.objects.create(number=1, version=run.candidate, name=run.folder)
    visitor = visit()
    visitor.signs_in_as(admin_user)
    page = visitor.page
    page.goto("/admin/review/learning/")
    page.get_by_role("button", name=re.compile("Roll back")).click()
    expect(page.get_by_text("The site uses its default model from now on.")).to_be_visible()
    assert Promotion.objects.count() == 2
