"""Accounts: opening one, its API tokens, and erasing everything."""

from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.forms import PasswordResetForm
from django.contrib.auth.views import PasswordResetView, redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from recognizer.forms import SignUpForm, TokenForm
from recognizer.services import deletion, owners, reviewed_faces, tokens
from recognizer.text import SITE_NAME


@never_cache
def sign_up(request: HttpRequest) -> HttpResponse:
    if not settings.SIGNUP_ENABLED:
        raise Http404(_("New accounts are opened by whoever runs this site."))
    if request.user.is_authenticated:
        return redirect("history")
    form = SignUpForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        login(request, form.save())
        return redirect("history")
    return render(request, "accounts/sign_up.html", {"form": form})


@never_cache
def account(request: HttpRequest) -> HttpResponse:
    """What belongs to the owner; guests have photos but no tokens."""
    return _account_page(request)


class PasswordReset(PasswordResetView):
    """Sends the mail; its link leads to PUBLIC_URL, whatever name the request came by."""

    template_name = "accounts/password_reset.html"
    email_template_name = "accounts/password_reset_email.txt"
    subject_template_name = "accounts/password_reset_subject.txt"

    def form_valid(self, form: PasswordResetForm) -> HttpResponse:
        self.extra_email_context = {"site_name": SITE_NAME}
        if settings.PUBLIC_URL:
            parts = urlsplit(settings.PUBLIC_ORIGIN)
            self.extra_email_context |= {"protocol": parts.scheme, "domain": parts.netloc}
        return super().form_valid(form)


def signed_in(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """For what only a form of the account page sends: sign in, and be back at that page."""

    @wraps(view)
    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not request.user.is_authenticated:
            return redirect_to_login(reverse("account"))
        return view(request, *args, **kwargs)

    return wrapper


@require_POST
@signed_in
@never_cache
def token_create(request: HttpRequest) -> HttpResponse:
    form = TokenForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("Give the token a name of at most 100 characters."))
        return redirect("account")
    assert request.user.is_authenticated
    _token, text = tokens.create(request.user, form.cleaned_data["name"])
    # Not redirected: the text may be shown once and must not be kept in a session.
    return _account_page(request, new_token=text)


@require_POST
@signed_in
def token_revoke(request: HttpRequest, token_id: int) -> HttpResponse:
    assert request.user.is_authenticated
    if tokens.revoke(request.user, token_id):
        messages.success(request, _("The token is revoked."))
    return redirect("account")


@require_POST
@signed_in
def lend(request: HttpRequest) -> HttpResponse:
    """Let models learn from one's reviewed faces, or no longer."""
    assert request.user.is_authenticated
    agrees = request.POST.get("lend") == "on"
    reviewed_faces.lend(request.user, agrees)
    messages.success(
        request,
        _("Models may learn from your reviewed faces.")
        if agrees
        else _("Models do not learn from your faces any more."),
    )
    return redirect("account")


@require_POST
def erase(request: HttpRequest) -> HttpResponse:
    """Erase all photos of this owner for good."""
    owner = owners.of(request)
    erased = deletion.purge(owner.all_photos()) if owner else 0
    words = ngettext("%(n)d photo was erased.", "%(n)d photos were erased.", erased)
    messages.success(request, words % {"n": erased})
    return redirect("account")


def _account_page(request: HttpRequest, new_token: str = "") -> HttpResponse:
    user = request.user
    context = {
        "tokens": user.api_tokens.filter(revoked=None) if user.is_authenticated else [],
        "new_token": new_token,
        "photo_count": owners.photos_of(request).count(),
        "retention_days": settings.GUEST_RETENTION_DAYS,
    }
    return render(request, "account.html", context)
