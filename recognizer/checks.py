"""What can be wrong with the settings, said before the first photo comes."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.utils.module_loading import import_string


@register()
def check_detector(app_configs: Any, **_: Any) -> Sequence[CheckMessage]:
    """DETECTOR must be a class that can be imported and made."""
    try:
        import_string(settings.DETECTOR)(min_face=settings.MIN_FACE or None, threads=1)
    except (ImportError, TypeError, ValueError) as error:
        return [
            Error(
                f"The face detector of DETECTOR={settings.DETECTOR} cannot be used: {error}",
                hint="Give the dotted path of a class such as recognizer.vision.detection.MTCNN.",
                id="recognizer.E001",
            )
        ]
    return []
