"""What every answer of the site carries."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import gettext_lazy as _

# Nothing from elsewhere, no inline script, no eval: what a page shows is what we shipped.
POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'self'; "
    "form-action 'self'; frame-ancestors 'none'"
)


def content_security_policy(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        policy = POLICY
        if request.path.startswith("/api/docs"):
            # Swagger UI sets styles on its elements; its scripts are ours all the same.
            policy += "; style-src 'self' 'unsafe-inline'"
        response.headers.setdefault("Content-Security-Policy", policy)
        return response

    return middleware


def json_errors_for_api(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Make every error below /api/v1/ a JSON object with a `detail`, whoever raised it."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if not request.path.startswith("/api/v1/") or response.status_code < 400:
            return response
        if response.headers.get("Content-Type", "").startswith("application/json"):
            return response
        detail = DETAILS.get(response.status_code, response.reason_phrase)
        answer = JsonResponse({"detail": str(detail)}, status=response.status_code)
        if "Allow" in response.headers:
            answer["Allow"] = response.headers["Allow"]
        return answer

    return middleware


DETAILS = {
    400: _("The request could not be understood. See /api/docs."),
    403: _("This is not allowed."),
    404: _("There is nothing at this address. See /api/docs."),
    405: _("This method is not allowed here. See /api/docs."),
    500: _("Something went wrong on this site. Try again later."),
}
