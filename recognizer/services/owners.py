"""Whose a photo is: a signed-in user's, or a guest's known by the session."""

import secrets
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Network, ip_address

from django.conf import settings
from django.db import IntegrityError, transaction
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import salted_hmac

from recognizer.models import Photo, PhotoQuerySet

GUEST_KEY = "guest"
SEEN_KEY = "guest_seen"
ONE_DAY = 24 * 60 * 60  # seconds


@dataclass(frozen=True, slots=True)
class Owner:
    """Exactly one of the two is set. Every query about photos starts here."""

    user_id: int | None = None
    guest: str = ""

    def __post_init__(self) -> None:
        if (self.user_id is None) == (self.guest == ""):
            raise ValueError("An owner is a user or a guest, one of the two.")

    @property
    def key(self) -> str:
        return f"user:{self.user_id}" if self.user_id is not None else f"guest:{self.guest}"

    @property
    def is_guest(self) -> bool:
        return self.user_id is None

    def photos(self) -> PhotoQuerySet:
        return self.all_photos().live()

    def all_photos(self) -> PhotoQuerySet:
        """With the deleted ones that can still be brought back."""
        if self.user_id is None:
            return Photo.objects.filter(user=None, guest=self.guest)
        return Photo.objects.filter(user_id=self.user_id)


def of(request: HttpRequest) -> Owner | None:
    """The owner behind a request, or None for somebody who has not uploaded anything yet."""
    user = request.user
    if user.is_authenticated:
        return Owner(user_id=user.pk)
    guest = request.session.get(GUEST_KEY, "")
    return Owner(guest=guest) if guest else None


def of_or_new_guest(request: HttpRequest) -> Owner:
    """The owner behind a request; a guest's session is started, or kept alive as long as photos."""
    owner = of(request)
    if owner is not None and not owner.is_guest:
        return owner
    if owner is None:
        owner = Owner(guest=secrets.token_urlsafe(24))
        request.session[GUEST_KEY] = owner.guest
    # Once a day, and for a day longer: saving a session with each of many uploads at once would
    # fail those that are still under way when their guest signs in.
    today = timezone.now().date().isoformat()
    if request.session.get(SEEN_KEY) != today:
        request.session[SEEN_KEY] = today
        request.session.set_expiry(settings.SESSION_COOKIE_AGE + ONE_DAY)
    return owner


def photos_of(request: HttpRequest) -> PhotoQuerySet:
    """The photos this request may see as its owner; none for a stranger."""
    owner = of(request)
    return owner.photos() if owner else Photo.objects.none()


def adopt(user_id: int, guest: str) -> int:
    """Give a guest's photos to the user who has just signed in; how many were given.

    A photo that the user already has stays where it is, and the guest's copy goes. One that was
    deleted can still be brought back by its new owner.
    """
    try:
        return _adopt(user_id, guest)
    except IntegrityError:
        # The user sent the same bytes at this very moment; now they are seen.
        return _adopt(user_id, guest)


@transaction.atomic
def _adopt(user_id: int, guest: str) -> int:
    mine = Photo.objects.live().filter(user_id=user_id).values("sha256")
    theirs = Photo.objects.filter(user=None, guest=guest)
    doubled = theirs.live().filter(sha256__in=mine).update(deleted_at=timezone.now())
    return theirs.update(user_id=user_id, guest="") - doubled


def adopt_latecomers(request: HttpRequest) -> None:
    """Give a user the photos whose upload, as a guest, ended only after signing in."""
    guest = request.session.get(GUEST_KEY, "")
    if not guest or not request.user.is_authenticated:
        return
    if Photo.objects.filter(user=None, guest=guest).exists():
        adopt(request.user.pk, guest)


def address(request: HttpRequest) -> str:
    """A keyed hash of the client's address: enough to count by, useless to whoever reads it."""
    hops = request.headers.get("X-Forwarded-For", "").split(",")
    trusted = settings.TRUSTED_PROXIES
    # Each trusted proxy appends the address it saw, so only the last ones can be believed.
    real = hops[-trusted].strip() if 0 < trusted <= len(hops) else ""
    client = _network(real or request.META.get("REMOTE_ADDR", ""))
    return salted_hmac("address", client).hexdigest()[:40]


def _network(address: str) -> str:
    """The /64 of an IPv6 address: a household has 2^64 addresses, and they are one client."""
    try:
        ip = ip_address(address)
    except ValueError:
        return address
    if isinstance(ip, IPv4Address):
        return address
    return str(ip.ipv4_mapped or IPv6Network((int(ip), 64), strict=False))
