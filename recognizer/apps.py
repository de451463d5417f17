from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class RecognizerConfig(AppConfig):
    name = "recognizer"
    verbose_name = _("Recognition")

    def ready(self) -> None:
        from recognizer import checks, signals  # noqa: F401  (registers, connects)
