from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import IntegrityError
from django.test import Client, RequestFactory
from django.utils import timezone
from pytest_django import Settings

from recognizer.models import Photo, User
from recognizer.services import deletion, owners, review_access
from recognizer.services.owners import Owner
from tests.factories import make_photo


@pytest.mark.parametrize("both", [{}, {"user_id": 1, "guest": "g"}])
def test_an_owner_is_a_user_or_a_guest(both: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="one of the two"):
        Owner(**both)


@pytest.mark.parametrize("both", [True, False])
def test_the_database_refuses_a_photo_of_two_owners_or_none(alice: User, both: bool) -> None:
    user, guest = (alice, "and a guest") if both else (None, "")
    photo = Photo(user=user, guest=guest, name="a", sha256="a", width=1, height=1)
    with pytest.raises(IntegrityError, match="photo_has_exactly_one_owner"):
        photo.save()


def test_everybody_sees_only_their_own(
    alice_owner: Owner, bob_owner: Owner, guest_owner: Owner
) -> None:
    photos = {owner: make_photo(owner) for owner in (alice_owner, bob_owner, guest_owner)}
    for owner, photo in photos.items():
        assert list(owner.photos()) == [photo]


def test_deleted_photos_are_not_seen(alice_owner: Owner) -> None:
    photo = make_photo(alice_owner, deleted_at=timezone.now())
    assert not alice_owner.photos().exists()
    assert list(alice_owner.all_photos()) == [photo]


# --- A guest signs in --------------------------------------------------------------------------


def test_a_user_adopts_a_guests_photos(
    alice_owner: Owner, bob_owner: Owner, guest_owner: Owner
) -> None:
    mine, theirs = make_photo(guest_owner, faces=["happy"]), make_photo(Owner(guest="another"))
    assert alice_owner.user_id
    assert owners.adopt(alice_owner.user_id, guest_owner.guest) == 1
    assert list(alice_owner.photos()) == [mine]
    assert not guest_owner.all_photos().exists()
    assert not bob_owner.photos().exists()
    assert list(Owner(guest="another").photos()) == [theirs]
    mine.refresh_from_db()
    assert mine.expires is None
    assert mine.faces.count() == 1


def test_a_photo_that_the_user_has_already_stays_one(
    alice_owner: Owner, guest_owner: Owner
) -> None:
    old = make_photo(alice_owner, sha256="same")
    doubled, new = make_photo(guest_owner, sha256="same"), make_photo(guest_owner)
    assert alice_owner.user_id
    assert owners.adopt(alice_owner.user_id, guest_owner.guest) == 1
    assert set(alice_owner.photos()) == {old, new}
    doubled.refresh_from_db()
    assert doubled.deleted_at
    assert not guest_owner.all_photos().exists()


def test_what_a_guest_has_just_deleted_can_still_be_brought_back(
    alice_owner: Owner, guest_owner: Owner
) -> None:
    photo = make_photo(guest_owner)
    deletion.delete(guest_owner, [photo.pk])
    assert alice_owner.user_id
    owners.adopt(alice_owner.user_id, guest_owner.guest)
    assert not alice_owner.photos().exists()
    assert deletion.restore(alice_owner, [photo.pk]) == [photo.pk]
    assert list(alice_owner.photos()) == [photo]


def test_the_same_bytes_uploaded_while_adopting_do_no_harm(
    alice_owner: Owner, guest_owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    doubled = make_photo(guest_owner, sha256="same")
    really, calls = owners._adopt, []

    def the_user_is_quicker(user_id: int, guest: str) -> int:
        calls.append(user_id)
        if len(calls) == 1:
            # Committed by another request, after this one looked for duplicates.
            make_photo(alice_owner, sha256="same")
            raise IntegrityError
        return really(user_id, guest)

    monkeypatch.setattr(owners, "_adopt", the_user_is_quicker)
    assert alice_owner.user_id
    assert owners.adopt(alice_owner.user_id, guest_owner.guest) == 0
    assert alice_owner.photos().count() == 1
    doubled.refresh_from_db()
    assert doubled.deleted_at


# --- Behind a request --------------------------------------------------------------------------


def request_of(client: Client, user: User | None = None) -> Any:
    request = RequestFactory().post("/")
    request.session = client.session
    request.user = user or AnonymousUser()
    return request


def test_a_stranger_is_nobody_until_something_is_uploaded(guest_client: Client) -> None:
    request = request_of(guest_client)
    assert owners.of(request) is None
    assert not owners.photos_of(request).exists()
    owner = owners.of_or_new_guest(request)
    assert owner.is_guest
    assert owners.of(request) == owner
    assert owners.of_or_new_guest(request) == owner


def test_guests_get_long_random_values(guest_client: Client) -> None:
    guests = {owners.of_or_new_guest(request_of(Client())).guest for _ in range(5)}
    assert len(guests) == 5
    assert min(map(len, guests)) >= 32


def test_a_user_is_the_owner_whatever_the_session_holds(guest_client: Client, alice: User) -> None:
    request = request_of(guest_client)
    owners.of_or_new_guest(request)
    request.user = alice
    assert owners.of(request) == owners.of_or_new_guest(request) == Owner(user_id=alice.pk)


def test_a_guests_session_outlives_the_photos(guest_client: Client, settings: Settings) -> None:
    request = request_of(guest_client)
    owners.of_or_new_guest(request)
    left = request.session.get_expiry_age() / 86_400
    assert left > settings.GUEST_RETENTION_DAYS


def test_a_guests_session_is_saved_once_a_day_only(
    guest_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = request_of(guest_client)
    owners.of_or_new_guest(request)
    request.session.modified = False
    owners.of_or_new_guest(request)
    assert not request.session.modified
    tomorrow = timezone.now() + timedelta(days=1)
    monkeypatch.setattr(timezone, "now", lambda: tomorrow)
    owners.of_or_new_guest(request)
    assert request.session.modified


def test_an_upload_that_ends_after_signing_in_is_adopted_late(
    guest_client: Client, alice: User, alice_owner: Owner
) -> None:
    request = request_of(guest_client)
    guest = owners.of_or_new_guest(request)
    request.user = alice
    late = make_photo(guest)
    owners.adopt_latecomers(request)
    assert list(alice_owner.photos()) == [late]


def test_nobody_adopts_for_a_guest(guest_client: Client) -> None:
    request = request_of(guest_client)
    guest = owners.of_or_new_guest(request)
    make_photo(guest)
    owners.adopt_latecomers(request)
    assert guest.photos().count() == 1


# --- Addresses ---------------------------------------------------------------------------------


MakeAddress = Callable[..., str]


@pytest.fixture
def address(settings: Settings) -> MakeAddress:
    def of(proxies: int = 0, forwarded: str | None = None, remote: str = "192.0.2.1") -> str:
        settings.TRUSTED_PROXIES = proxies
        headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
        request = RequestFactory(headers=headers).get("/", REMOTE_ADDR=remote)
        return owners.address(request)

    return of


def test_addresses_are_told_apart_and_not_readable(address: MakeAddress) -> None:
    one, two = address(remote="192.0.2.1"), address(remote="192.0.2.2")
    assert one == address(remote="192.0.2.1") != two
    assert len(one) == 40
    assert int(one, 16)


def test_without_proxies_a_forwarded_address_is_not_believed(address: MakeAddress) -> None:
    assert address(0, "203.0.113.9") == address()


def test_behind_a_proxy_its_word_counts_and_not_the_clients(address: MakeAddress) -> None:
    real = address(remote="203.0.113.9")
    assert address(1, "203.0.113.9") == real
    assert address(1, "10.0.0.1, 203.0.113.9") == real
    assert address(2, "10.0.0.1, 203.0.113.9, 198.51.100.7") == real


def test_a_request_past_the_proxies_counts_as_it_came(address: MakeAddress) -> None:
    assert address(2, "203.0.113.9") == address()
    assert address(1) == address()


def test_ipv6_neighbours_share_one_quota(address: MakeAddress) -> None:
    # One household gets 2^64 addresses: each must not be a quota of its own.
    home = address(remote="2001:db8:1:2::1")
    assert home == address(remote="2001:db8:1:2:aaaa:bbbb:cccc:dddd")
    assert home != address(remote="2001:db8:1:3::1")
    assert address(remote="::ffff:192.0.2.1") == address(remote="192.0.2.1")


def test_an_address_that_is_none_counts_as_one_client(address: MakeAddress) -> None:
    assert address(remote="") == address(remote="")
    assert address(1, "unknown") == address(1, "unknown")


# --- Permission --------------------------------------------------------------------------------


def test_only_reviewers_and_superusers_may_review(
    alice: User, reviewer: User, django_user_model: type[User]
) -> None:
    root = django_user_model.objects.create_superuser("root")
    staff = django_user_model.objects.create_user("staff", is_staff=True)
    allowed = [user for user in (alice, reviewer, root, staff) if review_access.can_review(user)]
    assert allowed == [reviewer, root]
    assert not review_access.can_review(AnonymousUser())
    reviewer.is_active = False
    assert not review_access.can_review(reviewer)
