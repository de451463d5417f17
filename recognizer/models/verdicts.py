"""What models say of faces, and what people say of that."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from recognizer.models.append_only import AppendOnly
from recognizer.models.photos import Face
from recognizer.models.versions import ModelVersion
from recognizer.text import EMOTION_NAMES, REASON_TEXTS
from recognizer.vision.emotions import EMOTIONS, percent

EMOTION_CHOICES = [(emotion, EMOTION_NAMES[emotion]) for emotion in EMOTIONS]


class Prediction(AppendOnly):
    """One model version's answer for one face.

    `probabilities` holds eight calibrated floats in the order of EMOTIONS; `emotion` is the
    most probable one even when `uncertain`; `reasons` says why, as codes. `valence` and `arousal`
    are -1 to 1, or null where the model does not give them.
    """

    face = models.ForeignKey(Face, models.CASCADE, related_name="predictions")
    model_version = models.ForeignKey(ModelVersion, models.PROTECT, related_name="predictions")
    probabilities = models.JSONField()
    emotion = models.CharField(_("emotion"), max_length=10, choices=EMOTION_CHOICES)
    confidence = models.FloatField(_("confidence"))
    uncertain = models.BooleanField(_("uncertain"))
    reasons = models.JSONField(default=list, blank=True)
    valence = models.FloatField(_("valence"), null=True, blank=True)
    arousal = models.FloatField(_("arousal"), null=True, blank=True)
    created = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = _("prediction")
        verbose_name_plural = _("predictions")
        ordering = ("-created", "-id")
        constraints = [
            models.UniqueConstraint(
                fields=("face", "model_version"), name="prediction_once_per_model_version"
            )
        ]
        indexes = [
            models.Index(fields=("emotion", "uncertain"), name="prediction_emotion"),
            models.Index(fields=("-created", "-id"), name="prediction_newest"),
        ]

    def __str__(self) -> str:
        return ("? " if self.uncertain else "") + f"{self.emotion} {percent(self.confidence)}"

    @property
    def label(self) -> str:
        """The emotion's name, or both of the first two where the model is uncertain."""
        (first, _p1), (second, _p2) = self.ranked[:2]
        if not self.uncertain:
            return str(EMOTION_NAMES[self.emotion])
        return gettext("? %(first)s or %(second)s") % {
            "first": EMOTION_NAMES[first],
            "second": EMOTION_NAMES[second],
        }

    @property
    def reason_texts(self) -> list[str]:
        return [str(REASON_TEXTS.get(reason, reason)) for reason in self.reasons]

    @property
    def ranked(self) -> list[tuple[str, float]]:
        """All eight emotions with their probabilities, the most probable first."""
        pairs = zip(EMOTIONS, self.probabilities, strict=True)
        return sorted(pairs, key=lambda pair: -pair[1])


class Review(AppendOnly):
    """A person's verdict on a prediction. The newest of a person counts; none is overwritten."""

    class Verdict(models.TextChoices):
        ACCEPT = "accept", _("accept")
        CORRECT = "correct", _("correct to")
        NOT_A_FACE = "not_a_face", _("not a face")
        CANT_TELL = "cant_tell", _("can't tell")
        # Undoing is a review too: from then on the person has said nothing.
        WITHDRAWN = "withdrawn", _("withdrawn")

    class Role(models.TextChoices):
        OWNER = "owner", _("owner")
        REVIEWER = "reviewer", _("reviewer")

    prediction = models.ForeignKey(Prediction, models.CASCADE, related_name="reviews")
    # Empty for a guest, who has no account, and for a reviewer whose account was closed.
    reviewer = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="reviews"
    )
    role = models.CharField(_("role"), max_length=8, choices=Role.choices)
    verdict = models.CharField(_("verdict"), max_length=10, choices=Verdict.choices)
    emotion = models.CharField(_("emotion"), max_length=10, choices=EMOTION_CHOICES, blank=True)
    order = models.CharField(
        _("order"),
        max_length=12,
        blank=True,
        default="",
        help_text=_("Of the review queue that showed the face; empty: it was looked up."),
    )
    seconds = models.FloatField(
        _("seconds"), null=True, blank=True, help_text=_("That the person looked at the face.")
    )
    created = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = _("review")
        verbose_name_plural = _("reviews")
        ordering = ("-created", "-id")
        permissions = [("review", _("Can review predictions"))]
        constraints = [
            models.CheckConstraint(
                condition=Q(verdict="correct") ^ Q(emotion=""),
                name="review_names_an_emotion_only_to_correct",
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_verdict_display()} {self.emotion}".strip()


class Opinion(models.Model):
    """What a reviewer says of a face as things stand: the newest review that was not withdrawn.

    The reviews tell it, too, but slowly; `services.reviews` alone writes these rows.
    """

    face = models.ForeignKey(Face, models.CASCADE, related_name="standing")
    # Empty once the account was closed: what the person said stays.
    reviewer = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )
    review = models.OneToOneField(Review, models.CASCADE, related_name="+")

    class Meta:
        verbose_name = _("opinion")
        verbose_name_plural = _("opinions")
        constraints = [
            models.UniqueConstraint(fields=("face", "reviewer"), name="opinion_once_per_reviewer")
        ]

    def __str__(self) -> str:
        return str(self.review)


class Claim(models.Model):
    """A reviewer has a face in front of them; until it ends, the seat is taken.

    A face has as many seats as opinions are wanted of it.
    """

    face = models.ForeignKey(Face, models.CASCADE, related_name="claims")
    seat = models.PositiveSmallIntegerField()
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    created = models.DateTimeField(default=timezone.now)
    until = models.DateTimeField(db_index=True)

    class Meta:
        verbose_name = _("claim")
        verbose_name_plural = _("claims")
        ordering = ("created", "id")
        constraints = [
            models.UniqueConstraint(fields=("face", "seat"), name="claim_one_a_seat"),
            models.UniqueConstraint(fields=("face", "reviewer"), name="claim_one_a_reviewer"),
        ]

    def __str__(self) -> str:
        return f"{self.reviewer}: {self.face}"
