"""All addresses: the admin, the API with its documentation, and the pages."""

from django.contrib import admin
from django.urls import include, path
from django.views.decorators.cache import cache_control
from django.views.i18n import JavaScriptCatalog

from recognizer.api import api, docs

urlpatterns = [
    path("admin/review/", include("recognizer.review_urls")),
    path("admin/", admin.site.urls),
    path("api/docs", docs, name="api-docs"),
    path("api/v1/", api.urls),
    path(
        "jsi18n/",
        cache_control(max_age=3600)(JavaScriptCatalog.as_view()),
        name="javascript-catalog",
    ),
    path("", include("recognizer.urls")),
]
