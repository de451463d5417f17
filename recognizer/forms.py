"""Forms of the pages and of the admin, and what their fields accept."""

from typing import Any

from django import forms
from django.contrib.auth.forms import BaseUserCreationForm
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from recognizer.models import EMOTION_CHOICES, ModelVersion, Review, User
from recognizer.services import review_access
from recognizer.services.accuracy import Selection
from recognizer.services.gallery import Filters
from recognizer.services.review_queue import Order, Queue


class FilterForm(forms.Form):
    """The history's filters; they live in the URL, so a wrong one is ignored, never an error."""

    emotion = forms.ChoiceField(
        label=_("Emotion"), choices=[("", _("Any emotion")), *EMOTION_CHOICES], required=False
    )
    state = forms.ChoiceField(
        label=_("State"),
        choices=[
            ("", _("Any state")),
            ("uncertain", _("Uncertain")),
            ("no_faces", _("No faces")),
            ("failed", _("Failed")),
        ],
        required=False,
    )
    date_from = forms.DateField(
        label=_("From"), required=False, widget=forms.DateInput({"type": "date"}, "%Y-%m-%d")
    )
    date_to = forms.DateField(
        label=_("To"), required=False, widget=forms.DateInput({"type": "date"}, "%Y-%m-%d")
    )
    name = forms.CharField(
        label=_("File name"), max_length=200, required=False, widget=forms.SearchInput()
    )

    def filters(self) -> Filters:
        """What the valid fields ask for."""
        self.is_valid()
        chosen = {name: value for name, value in self.cleaned_data.items() if value}
        return Filters(**chosen)


class QueueForm(forms.Form):
    """What a reviewer wants to see; it lives in the URL, so a wrong part is ignored."""

    TITLE = _("Review faces")

    order = forms.ChoiceField(
        label=_("Order"),
        choices=[
            (Order.UNCERTAIN, _("Least certain first")),
            (Order.DISAGREEMENT, _("Models disagree")),
            (Order.RANDOM, _("Random sample")),
        ],
        required=False,
    )
    only = forms.ChoiceField(
        label=_("Emotion"), choices=[("", _("Any emotion")), *EMOTION_CHOICES], required=False
    )

    def queue(self, reviewer: User) -> Queue:
        """The queue that the valid fields ask for."""
        self.is_valid()
        order = self.cleaned_data.get("order") or Order.UNCERTAIN
        return Queue(reviewer, Order(order), self.cleaned_data.get("only", ""))


class SelectionForm(forms.Form):
    """Of which faces the accuracy is asked; it lives in the URL, so a wrong part is ignored."""

    since = forms.DateField(
        label=_("From"), required=False, widget=forms.DateInput({"type": "date"}, "%Y-%m-%d")
    )
    until = forms.DateField(
        label=_("To"), required=False, widget=forms.DateInput({"type": "date"}, "%Y-%m-%d")
    )
    owners = forms.ModelChoiceField(
        Group.objects.none(), label=_("Owners"), required=False, empty_label=_("Everybody")
    )
    version = forms.ModelChoiceField(
        ModelVersion.objects.defer("card"),
        label=_("Model"),
        required=False,
        empty_label=_("Newest prediction"),
    )

    def __init__(self, data: Any, reviewer: User) -> None:
        super().__init__(data)
        self.reviewer = reviewer
        groups = self.fields["owners"]
        assert isinstance(groups, forms.ModelChoiceField)
        groups.queryset = review_access.groups_for(reviewer)

    def selection(self) -> Selection:
        """What the valid fields ask for."""
        self.is_valid()
        chosen = {name: value for name, value in self.cleaned_data.items() if value}
        return Selection(self.reviewer, **chosen)


class ModelsForm(forms.Form):
    """Which two models are compared; it lives in the URL, so a wrong part is ignored."""

    old = forms.ModelChoiceField(ModelVersion.objects.defer("card"), label=_("First model"))
    new = forms.ModelChoiceField(ModelVersion.objects.defer("card"), label=_("Second model"))


class SignUpForm(BaseUserCreationForm[User]):
    """An account: the mail address is only used to reset the password."""

    class Meta:
        model = User
        fields = ("username", "email")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["email"].required = True
        self.fields["email"].help_text = _("Used only to reset your password.")

    def clean_username(self) -> str:
        username: str = self.cleaned_data["username"]
        if User.objects.filter(username__iexact=username).exists():
            raise ValidationError(_("This user name is taken. Choose another one."))
        return username


class TokenForm(forms.Form):
    name = forms.CharField(label=_("Name"), max_length=100)


class ReviewForm(forms.ModelForm[Review]):
    """A reviewer's verdict in the admin."""

    class Meta:
        model = Review
        fields = ("verdict", "emotion")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        correcting = cleaned.get("verdict") == Review.Verdict.CORRECT
        if correcting and not cleaned.get("emotion"):
            raise ValidationError(_("Choose the emotion that the prediction is corrected to."))
        if not correcting and cleaned.get("emotion"):
            raise ValidationError(_("Only “correct to” takes an emotion. Clear it."))
        return cleaned
