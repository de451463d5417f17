"""For whoever watches the site: is it alive, is it ready?"""

from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from recognizer.services import signs_of_life


@require_safe
@never_cache
def healthz(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "alive"})


@require_safe
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    checks = signs_of_life.checks()
    ready = all(checks.get(name, False) for name in signs_of_life.NEEDED)
    body = {"status": "ready" if ready else "not ready", **checks}
    return JsonResponse(body, status=200 if ready else 503)
