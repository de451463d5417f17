from datetime import timedelta

import pytest
from django.utils import timezone

from recognizer.models import ApiToken, User
from recognizer.services import tokens


def test_a_token_acts_as_its_user(alice: User) -> None:
    _, text = tokens.create(alice, "laptop")
    assert tokens.user_of(text) == alice


@pytest.mark.parametrize("text", ["", "we_", "we_wrong", "é", " ", "we_" + "a" * 10_000])
def test_other_texts_are_nobody(alice: User, text: str) -> None:
    tokens.create(alice, "laptop")
    assert tokens.user_of(text) is None


def test_only_a_hash_is_kept(alice: User) -> None:
    token, text = tokens.create(alice, "laptop")
    assert text.startswith("we_")
    assert len(text) >= 43
    row = str(ApiToken.objects.filter(pk=token.pk).values().get())
    assert text not in row
    assert text.removeprefix("we_") not in row
    assert tokens.user_of(token.digest) is None


def test_no_two_are_alike(alice: User) -> None:
    assert len({tokens.create(alice, "same name")[1] for _ in range(20)}) == 20


def test_a_revoked_token_is_nobody(alice: User) -> None:
    token, text = tokens.create(alice, "laptop")
    _, other = tokens.create(alice, "phone")
    assert tokens.revoke(alice, token.pk)
    assert tokens.user_of(text) is None
    assert tokens.user_of(other) == alice
    assert not tokens.revoke(alice, token.pk)


def test_only_its_user_can_revoke_it(alice: User, bob: User) -> None:
    token, text = tokens.create(alice, "laptop")
    assert not tokens.revoke(bob, token.pk)
    assert tokens.user_of(text) == alice


def test_the_token_of_a_closed_account_is_nobody(alice: User) -> None:
    _, text = tokens.create(alice, "laptop")
    alice.is_active = False
    alice.save()
    assert tokens.user_of(text) is None


def test_its_last_use_is_noted_once_a_minute(alice: User) -> None:
    token, text = tokens.create(alice, "laptop")
    tokens.user_of(text)
    token.refresh_from_db()
    first = token.last_used
    assert first
    tokens.user_of(text)
    token.refresh_from_db()
    assert token.last_used == first
    ApiToken.objects.update(last_used=timezone.now() - timedelta(minutes=2))
    tokens.user_of(text)
    token.refresh_from_db()
    assert token.last_used
    assert token.last_used >= first
