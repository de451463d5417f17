"""Accounts, their tokens, and who may review whose photos."""

from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from recognizer.admin.common import ReadOnlyAdmin, WithWhatHangsOn
from recognizer.models import (
    ApiToken,
    ReviewScope,
    User,
)
from recognizer.services import (
    tokens,
)


@admin.register(User)
class UserAdmin(WithWhatHangsOn, DjangoUserAdmin[User]):
    """Django's own."""


@admin.register(ApiToken)
class ApiTokenAdmin(ReadOnlyAdmin):
    list_display = ("name", "user", "created", "last_used", "revoked")
    list_filter = ("revoked",)
    search_fields = ("name", "user__username")
    exclude = ("digest",)
    actions = ("revoke",)

    @admin.action(description=_("Revoke the selected tokens"), permissions=["view"])
    def revoke(self, request: HttpRequest, chosen: QuerySet[ApiToken]) -> None:
        revoked = sum(tokens.revoke(token.user, token.pk) for token in chosen)
        words = ngettext("%(n)d token was revoked.", "%(n)d tokens were revoked.", revoked)
        self.message_user(request, words % {"n": revoked}, messages.SUCCESS)


@admin.register(ReviewScope)
class ReviewScopeAdmin(admin.ModelAdmin[ReviewScope]):
    """Who may review whose photos."""

    list_display = ("reviewers", "owners")
