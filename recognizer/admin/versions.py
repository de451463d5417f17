"""Model versions, and which one the site uses."""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from recognizer.admin.common import ReadOnlyAdmin
from recognizer.models import LearningRun, ModelVersion, Promotion
from recognizer.services import promotions


@admin.register(ModelVersion)
class ModelVersionAdmin(ReadOnlyAdmin):
    list_display = ("name", "sha256", "created")


@admin.register(Promotion)
class PromotionAdmin(ReadOnlyAdmin):
    """Which model the site uses, and used: the newest row counts."""

    list_display = ("number", "created", "chosen", "measured", "replaced", "kind", "who", "reason")
    list_filter = ("is_rollback", "created")
    list_select_related = ("version", "replaced", "who")
    list_per_page = 50
    search_fields = ("name", "version__name", "reason", "who__username")
    fields = (
        "number",
        "created",
        "chosen",
        "name",
        "measured",
        "replaced",
        "kind",
        "who",
        "reason",
    )

    @admin.display(description=_("model"), ordering="version")
    def chosen(self, promotion: Promotion) -> str:
        return str(promotion.version or _("the default"))

    @admin.display(description=_("accuracy on its held-out pictures"))
    def measured(self, promotion: Promotion) -> str:
        metrics = promotion.version.card.get("metrics", {}) if promotion.version else {}
        found = promotions.accuracy(metrics)
        return f"{found.value:.2%}" if found else "-"

    @admin.display(description=_("kind"), ordering="is_rollback")
    def kind(self, promotion: Promotion) -> str:
        return str(_("rollback") if promotion.is_rollback else _("promotion"))


@admin.register(LearningRun)
class LearningRunAdmin(ReadOnlyAdmin):
    """What came of each run; the page `Learn from reviews` compares and promotes."""

    list_display = ("__str__", "created", "status", "base", "candidate", "who", "progress")
    list_filter = ("status", "created")
    list_select_related = ("base", "candidate", "who")
