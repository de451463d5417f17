"""Take in one image: refuse it with a reason, or store it as a queued photo."""

import hashlib
import re
import threading
import unicodedata
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from django.conf import settings
from django.core.files.base import ContentFile, File
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from recognizer.models import Photo
from recognizer.services import files, queue, quotas, recognition
from recognizer.services.owners import Owner
from recognizer.vision import images

DISPLAY_SIDE = 2048
THUMBNAIL_SIDE = 480
NAME_LENGTH = 200  # As Photo.name holds.

# How forms write what a multipart header cannot hold (HTML standard, multipart/form-data).
BROWSER_ESCAPES = (("%0A", "\n"), ("%0D", "\r"), ("%22", '"'))

# A 50-megapixel photo takes 150 MB while it is decoded: one at a time per process.
_decoding = threading.Lock()


@dataclass(frozen=True, slots=True)
class Accepted:
    photo: Photo


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The owner has these bytes already; a photo that had failed is queued again."""

    photo: Photo


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing was stored; `detail` names the file and says why and what to do."""

    reason: Literal["too_large", "disk_full", "image"]
    detail: str


@dataclass(frozen=True, slots=True)
class TooMany:
    """The owner or the address has used up the hour."""

    detail: str
    retry_after: int


Outcome = Accepted | Duplicate | Refused | TooMany


def receive(owner: Owner, address: str, file: File[bytes]) -> Outcome:
    """Store one file as a photo of the owner and queue it.

    Args:
        owner: whose it becomes.
        address: what `owners.address` says of the client; quotas count by it.
        file: the upload. Its name is only shown, its declared type is ignored.
    """
    name = clean_name(file.name or "")
    if (file.size or 0) > settings.MAX_UPLOAD_BYTES:
        return too_large(name)
    data = file.read()
    sha256 = hashlib.sha256(data).hexdigest()
    known = _existing(owner, sha256)
    if known:
        return known
    wait = quotas.seconds_to_wait(owner, address)
    if wait:
        return TooMany(
            ngettext(
                "“%(name)s” was not taken: too many uploads this hour. Try again in %(n)d minute.",
                "“%(name)s” was not taken: too many uploads this hour. Try again in %(n)d minutes.",
                -(-wait // 60),
            )
            % {"name": name, "n": -(-wait // 60)},
            wait,
        )
    return _take_in(owner, name, data, sha256)


def too_large(name: str) -> Refused:
    """The answer to a file that is larger than it may be, however much of it came."""
    limit = settings.MAX_UPLOAD_BYTES // 2**20
    return Refused(
        "too_large",
        _("“%(name)s” is larger than %(limit)d MB. Send a smaller copy of it.")
        % {"name": clean_name(name), "limit": limit},
    )


def receive_bytes(owner: Owner, name: str, data: bytes) -> Accepted | Duplicate | Refused:
    """`receive` without the limits on size and number."""
    sha256 = hashlib.sha256(data).hexdigest()
    return _existing(owner, sha256) or _take_in(owner, name, data, sha256)


def _take_in(owner: Owner, name: str, data: bytes, sha256: str) -> Accepted | Duplicate | Refused:
    """Decode and store bytes that the owner does not have yet."""
    photo = Photo(user_id=owner.user_id, guest=owner.guest, name=name, sha256=sha256)
    with _decoding:
        decoded = images.decode(data)
        if isinstance(decoded, images.Undecodable):
            return Refused("image", _refusal(name, decoded.reason))
        photo.format, photo.width, photo.height = decoded.format, decoded.width, decoded.height
        photo.note = _note(decoded.frames)
        display = images.encode_jpeg(decoded.image, quality=88, max_side=DISPLAY_SIDE)
        thumbnail = images.encode_jpeg(decoded.image, quality=82, max_side=THUMBNAIL_SIDE)
        del decoded
    photo.stored_bytes = len(data) + len(display) + len(thumbnail)
    if quotas.disk_is_full(photo.stored_bytes):
        return Refused(
            "disk_full",
            _(
                "“%(name)s” was not stored: this site's disk space is used up. Delete photos that "
                "you no longer need, or ask whoever runs the site."
            )
            % {"name": name},
        )
    return _store(owner, photo, {"original": data, "display": display, "thumbnail": thumbnail})


def clean_name(name: str) -> str:
    """A file name that is safe to show and to put into a ZIP: one line, no folders, not empty."""
    for escape, character in BROWSER_ESCAPES:
        name = name.replace(escape, character)
    name = re.split(r"[\\/]", unicodedata.normalize("NFC", name))[-1]
    # Control and format characters (Cc, Cf, line separators) can reorder or break the text.
    # The zero-width joiner stays: it holds emoji together.
    kept = (c == "\u200d" or unicodedata.category(c)[0] not in "CZ" for c in name)
    visible = (c if keep else " " for c, keep in zip(name, kept, strict=True))
    name = " ".join("".join(visible).split()).strip(". ")
    if len(name) > NAME_LENGTH:
        ending = PurePosixPath(name).suffix[-10:]
        name = name[: NAME_LENGTH - len(ending)] + ending
    return name or _("photo")


def _existing(owner: Owner, sha256: str) -> Duplicate | None:
    photo = owner.photos().with_results().filter(sha256=sha256).first()
    if photo is None:
        return None
    if photo.status == Photo.Status.FAILED:
        recognition.queue_again([photo.pk])
        photo.refresh_from_db()
    return Duplicate(photo)


def _store(owner: Owner, photo: Photo, contents: dict[str, bytes]) -> Accepted | Duplicate:
    try:
        with files.removed_on_failure() as written:
            for kind, content in contents.items():
                file = getattr(photo, kind)
                name = kind if kind == "original" else f"{kind}.jpg"
                file.save(name, ContentFile(content), save=False)
                written.append(file)
            with transaction.atomic():
                photo.save(force_insert=True)
                queue.send_on_commit(photo.pk)
    except IntegrityError:
        # The same bytes came twice at once and the other request was first.
        known = _existing(owner, photo.sha256)
        if known is None:
            raise
        return known
    return Accepted(photo)


def _note(frames: int) -> str:
    if frames <= 1:
        return ""
    return ngettext(
        "The file holds %(n)d picture; only the first is read.",
        "The file holds %(n)d pictures; only the first is read.",
        frames,
    ) % {"n": frames}


def _refusal(name: str, reason: str) -> str:
    sentences = {
        "empty": _("“%(name)s” is empty (0 bytes). Check the file and send it again."),
        "not_an_image": _(
            "“%(name)s” is not an image that can be read here. Send a JPEG, PNG, WebP, HEIC, "
            "AVIF, GIF, TIFF or BMP file."
        ),
        "truncated": _(
            "“%(name)s” is damaged or cut short. Copy it again from the camera or phone."
        ),
        "too_many_pixels": _(
            "“%(name)s” has more than %(limit)d megapixels. Send a smaller copy of it."
        ),
    }
    sentence = sentences.get(
        reason, _("“%(name)s” can't be read here. Save it as JPEG or PNG and send that.")
    )
    return sentence % {"name": name, "limit": images.MAX_PIXELS // 1_000_000}
