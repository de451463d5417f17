"""The words people read for emotions, states, reasons and verdicts; one place, translated."""

from django.utils.translation import gettext_lazy as _

SITE_NAME = "WebEmotion"

EMOTION_NAMES = {
    "anger": _("anger"),
    "contempt": _("contempt"),
    "disgust": _("disgust"),
    "fear": _("fear"),
    "happy": _("happy"),
    "neutral": _("neutral"),
    "sad": _("sad"),
    "surprise": _("surprise"),
}

REASON_TEXTS = {
    "low_confidence": _("The model is not sure enough of its first guess."),
    "close_call": _("The first two emotions are close."),
    "ambiguous": _("People would probably disagree about this face."),
    "small_face": _("The face is small in the photo."),
    "blurred": _("The face is blurred."),
    "not_a_face": _("This may not be a face."),
}
