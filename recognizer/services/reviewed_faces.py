"""Reviewed faces to learn from: of owners who agreed, and only while they do.

Guests' photos never count, for a guest cannot be asked. What is deleted is not there.
"""

import csv
import hashlib
import secrets
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO, Final
from uuid import UUID
from zipfile import ZipFile

import cv2
import numpy as np
from django.db.models import Count, Prefetch
from django.utils import timezone
from django.utils.crypto import salted_hmac
from numpy.typing import NDArray

from recognizer.models import Face, Opinion, Photo, PhotoQuerySet, Review, User
from recognizer.services import held_out, model_versions, recognition, reviews
from recognizer.vision.emotions import EMOTIONS
from recognizer.vision.preprocessing import Preprocessing, crop_face

UNKNOWN: Final = "unknown"
NOT_A_FACE: Final = "not_a_face"
COLUMNS: Final = (*EMOTIONS, UNKNOWN, NOT_A_FACE)
"""The columns of votes.csv, as the training room reads it (docs/training.md)."""
SIDE: Final = 96
LEARNED: Final = "Training"
HELD_OUT: Final = "PublicTest"
"""What votes.csv calls the two sides, after FER-2013."""


class Layout(StrEnum):
    """How an export is laid out."""

    VOTES = "votes"
    FOLDERS = "folders"


class ExportError(ValueError):
    """Nothing was exported; the message says why."""


@dataclass(frozen=True, slots=True)
class ReviewedFace:
    """A face with what its reviewers say.

    Attributes:
        face: the row.
        votes: how many said what, by COLUMNS.
    """

    face: Face
    votes: Mapping[str, int]

    @property
    def majority(self) -> str:
        """What more than half of the reviewers said; "" if they are divided."""
        name, count = max(self.votes.items(), key=lambda item: item[1])
        return name if 2 * count > sum(self.votes.values()) else ""


@dataclass(frozen=True, slots=True)
class Exported:
    """What came of an export.

    Attributes:
        faces: how many were written.
        unreadable: how many photos could not be read any more.
        divided: how many faces were left out of class folders for want of a majority.
        held_out: how many of the faces are for measuring only.
        people: how many owners they come from.
        photos: how many photos they come from.
        fingerprint: SHA-256 of all crops, votes and sides, in hex: the data set's version.
    """

    faces: int
    unreadable: int = 0
    divided: int = 0
    held_out: int = 0
    people: int = 0
    photos: int = 0
    fingerprint: str = ""


LentPhoto = tuple[Photo, list[ReviewedFace]]
Watch = Callable[[Iterable[LentPhoto], int], Iterable[LentPhoto]]
"""What gives the same photos on; it is told how many there are."""


def lend(user: User, agrees: bool) -> None:
    """Let models learn from the user's reviewed faces, or no longer."""
    if agrees != (user.lends_since is not None):
        user.lends_since = timezone.now() if agrees else None
        user.save(update_fields=["lends_since"])


def lent_photos() -> Iterable[LentPhoto]:
    """The photos of owners who agreed, with those of their faces that have been reviewed."""
    standing = Opinion.objects.select_related("review__prediction")
    reviewed = (
        Face.objects.filter(opinions__gt=0)
        .prefetch_related(Prefetch("standing", queryset=standing))
        .order_by("number")
    )
    ordered = _lent().filter(faces__opinions__gt=0).distinct().order_by("created", "pk")
    for photo in ordered.prefetch_related(Prefetch("faces", queryset=reviewed)).iterator(100):
        yield photo, [ReviewedFace(face, _votes(face)) for face in photo.faces.all()]


def count_lent() -> Counter[bool | None]:
    """How many reviewed faces are lent, by whether their photos are held out; None: undecided."""
    rows = Face.objects.filter(opinions__gt=0, photo__in=_lent()).values_list("photo__held_out")
    return Counter(dict(rows.annotate(n=Count("pk")).order_by()))


def export(
    folder: Path,
    layout: Layout = Layout.VOTES,
    *,
    preprocessing: Preprocessing | None = None,
    watch: Watch | None = None,
) -> Exported:
    """Write the reviewed faces into a new folder, as the model would see them, but larger.

    Each face is written on the side of its photo (`held_out`), so that who trains on them keeps
    apart what this site's models learn from and what they are measured by.

    Args:
        folder: must not be there yet; it appears whole or not at all.
        layout: VOTES gives faces/*.png and votes.csv; FOLDERS gives train/<emotion>/*.png and
            test/<emotion>/*.png of the faces that most reviewers agree on.
        preprocessing: how the model wants its faces; if not given, that of the model in use.
        watch: sees the photos go by, as a progress bar does.

    Raises:
        ExportError: the folder is there already, or there is no face to write.
    """
    if folder.exists():
        raise ExportError(f"{folder} is there already; name a folder that is not.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = folder.with_name(f".{folder.name}.{secrets.token_hex(8)}")
    draft.mkdir()
    try:
        cut = preprocessing or model_versions.classifier().card.preprocessing
        exported = _write(draft, layout, cut, watch)
        if not exported.faces:
            raise ExportError(
                "There is no face to export: none has been reviewed of an owner who lends theirs "
                "(on the page Account)."
            )
        draft.replace(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return exported


def as_zip(layout: Layout = Layout.VOTES) -> IO[bytes]:
    """The same as a ZIP, in a temporary file that is gone when it is closed.

    Raises:
        ExportError: there is no face to write.
    """
    with TemporaryDirectory(prefix="webemotion-export-") as place:
        folder = Path(place) / "reviewed-faces"
        export(folder, layout)
        archive = TemporaryFile(prefix="webemotion-export-")  # noqa: SIM115  (the caller closes it)
        # PNGs do not become smaller.
        with ZipFile(archive, "w") as file:
            for path in sorted(folder.rglob("*")):
                file.write(path, path.relative_to(place))
    archive.seek(0)
    return archive


def _lent() -> PhotoQuerySet:
    """The photos of owners who agreed."""
    return Photo.objects.live().filter(user__lends_since__isnull=False, status=Photo.Status.DONE)


def _write(
    folder: Path, layout: Layout, preprocessing: Preprocessing, watch: Watch | None
) -> Exported:
    photos = [photo for photo, _ in lent_photos()]
    held_out.decide(photos)
    together = held_out.together(photos)
    written = _Written(folder, together)
    unreadable, divided = 0, 0
    lent = lent_photos()
    if watch:
        lent = watch(lent, _lent().filter(faces__opinions__gt=0).distinct().count())
    for photo, faces in lent:
        if photo.pk not in together:
            continue  # Lent or reviewed since; it has no side yet.
        try:
            image = recognition.read_original(photo)
        except (OSError, ValueError):
            unreadable += 1
            continue
        for one in faces:
            if layout == Layout.FOLDERS and one.majority not in EMOTIONS:
                divided += 1
                continue
            place = "faces"
            if layout == Layout.FOLDERS:
                place = f"{'test' if photo.held_out else 'train'}/{one.majority}"
            written.add(photo, one, _crop(image, one.face, preprocessing), place)
    if layout == Layout.VOTES:
        written.list_votes()
    return replace(written.exported, unreadable=unreadable, divided=divided)


class _Written:
    """The crops that are in the folder so far, with the rows of votes.csv."""

    def __init__(self, folder: Path, together: Mapping[UUID, str]) -> None:
        self._folder = folder
        self._together = together
        self._rows: list[list[str | int]] = []
        self._prints: list[str] = []
        self._people: set[int | None] = set()
        self._photos: set[str] = set()

    def add(self, photo: Photo, one: ReviewedFace, crop: NDArray[np.uint8], place: str) -> None:
        # Random names: neither a person nor a photo can be told from them.
        name = f"{place}/{secrets.token_hex(12)}.png"
        (self._folder / place).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(self._folder / name), crop)
        votes = [one.votes[column] for column in COLUMNS]
        # Not to be traced to a person or a photo.
        group = salted_hmac("split faces", self._together[photo.pk]).hexdigest()[:16]
        side = HELD_OUT if photo.held_out else LEARNED
        self._rows.append([name, *votes, side, group])
        self._prints.append(hashlib.sha256(crop.tobytes()).hexdigest() + f" {votes} {side}")
        self._people.add(photo.user_id)
        self._photos.add(str(photo.pk))

    def list_votes(self) -> None:
        with (self._folder / "votes.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["file", *COLUMNS, "split", "group"])
            writer.writerows(self._rows)

    @property
    def exported(self) -> Exported:
        return Exported(
            faces=len(self._rows),
            held_out=sum(row[-2] == HELD_OUT for row in self._rows),
            people=len(self._people),
            photos=len(self._photos),
            fingerprint=hashlib.sha256("\n".join(sorted(self._prints)).encode()).hexdigest(),
        )


def _crop(image: NDArray[np.uint8], face: Face, preprocessing: Preprocessing) -> NDArray[np.uint8]:
    larger = Preprocessing(SIDE, preprocessing.margin, preprocessing.shift_y, preprocessing.align)
    landmarks = {name: (float(x), float(y)) for name, (x, y) in face.landmarks.items()}
    return crop_face(image, face.box, landmarks, larger)


def _votes(face: Face) -> Mapping[str, int]:
    said = Counter(_column(opinion.review) for opinion in face.standing.all())
    return {column: said[column] for column in COLUMNS}


def _column(review: Review) -> str:
    if review.verdict == Review.Verdict.NOT_A_FACE:
        return NOT_A_FACE
    return reviews.answer_of(review) or UNKNOWN
