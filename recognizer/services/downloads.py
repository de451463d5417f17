"""Photos and results as files: annotated images in a ZIP, results as CSV and JSON."""

import csv
import json
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import PurePosixPath
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from zipstream import ZipStream

from recognizer.models import Face, Photo
from recognizer.vision.emotions import EMOTIONS

COLUMNS = (
    "photo_id",
    "file_name",
    "uploaded",
    "status",
    "width",
    "height",
    "face",
    "x",
    "y",
    "box_width",
    "box_height",
    "detection_score",
    "emotion",
    "confidence",
    "uncertain",
    "reasons",
    *EMOTIONS,
    "valence",
    "arousal",
    "model",
)


def face_as_dict(face: Face) -> dict[str, Any]:
    """A face with its newest prediction, in the form that the API and the shell share."""
    prediction = face.current
    assert prediction is not None, "only faces with a prediction are shown"
    return {
        "box": list(face.box),
        "landmarks": face.landmarks,
        "detection_score": face.detection_score,
        "emotion": prediction.emotion,
        "confidence": prediction.confidence,
        "uncertain": prediction.uncertain,
        "reasons": prediction.reasons,
        "probabilities": dict(zip(EMOTIONS, prediction.probabilities, strict=True)),
        "valence": prediction.valence,
        "arousal": prediction.arousal,
    }


def photo_as_dict(photo: Photo) -> dict[str, Any]:
    """A photo as the API gives it."""
    return {
        "id": str(photo.pk),
        "status": photo.status,
        "name": photo.name,
        "created": photo.created,
        "width": photo.width,
        "height": photo.height,
        "error": photo.error or None,
        "note": photo.note or None,
        "faces": [face_as_dict(face) for face in photo.tile_faces],
    }


def as_json(photos: Iterable[Photo]) -> Iterator[str]:
    """A JSON array, one photo a line."""
    yield "["
    separator = "\n"
    for photo in photos:
        yield separator + json.dumps(
            photo_as_dict(photo), ensure_ascii=False, cls=DjangoJSONEncoder
        )
        separator = ",\n"
    yield "\n]\n"


class _Echo:
    """A file for csv.writer that hands each line back."""

    def write(self, line: str) -> str:
        return line


def as_csv(photos: Iterable[Photo]) -> Iterator[str]:
    """A line per face; photos without faces have one line with empty face columns."""
    writer = csv.writer(_Echo())
    yield "\ufeff" + writer.writerow(COLUMNS)  # Spreadsheets take the file for UTF-8 by this mark.
    for photo in photos:
        own = [
            str(photo.pk),
            photo.name,
            photo.created.isoformat(timespec="seconds"),
            photo.status,
            photo.width,
            photo.height,
        ]
        lines = [[*own, *_face_columns(face)] for face in photo.tile_faces]
        for line in lines or [[*own, *[""] * (len(COLUMNS) - len(own))]]:
            yield writer.writerow([_harmless(cell) for cell in line])


def _face_columns(face: Face) -> list[Any]:
    prediction = face.current
    assert prediction is not None
    affect = (prediction.valence, prediction.arousal)
    return [
        face.number,
        *face.box,
        f"{face.detection_score:.4f}",
        prediction.emotion,
        f"{prediction.confidence:.4f}",
        "yes" if prediction.uncertain else "no",
        " ".join(prediction.reasons),
        *(f"{probability:.4f}" for probability in prediction.probabilities),
        *("" if axis is None else round(axis, 3) for axis in affect),
        str(prediction.model_version),
    ]


def _harmless(cell: Any) -> Any:
    """A text that a spreadsheet would take for a formula gets a quote in front (OWASP)."""
    risky = isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    return f"'{cell}" if risky else cell


def as_zip(photos: Iterable[Photo]) -> Iterator[bytes]:
    """The annotated images as a ZIP, made while it is sent; memory stays flat."""
    archive = ZipStream(sized=False)  # JPEGs are packed already, so they are only stored.
    taken: set[str] = set()
    for photo in photos:
        if not photo.annotated:
            continue
        try:
            file = photo.annotated.open("rb")
        except FileNotFoundError:
            continue  # Deleted or recognised anew while the ZIP was on its way.
        with file:
            archive.add(file.chunks(), unique_name(jpeg_name(photo.name), taken))
            yield from archive.all_files()
    yield from archive.finalize()


def jpeg_name(name: str) -> str:
    """The name under which a photo's annotated image is saved, on any system."""
    stem = re.sub(r'[<>:"/\\|?*]', "_", PurePosixPath(name).stem)
    # Most file systems allow 255 bytes; some are left for a number and what follows.
    stem = stem.encode()[:200].decode(errors="ignore").strip(". ")
    return f"{stem or 'photo'}-annotated.jpg"


def unique_name(name: str, taken: set[str]) -> str:
    """`name`, or `name-2`, `name-3`…: unlike any in `taken` even where case is ignored."""
    stem, suffix = PurePosixPath(name).stem, PurePosixPath(name).suffix
    numbered = (f"{stem}-{number}{suffix}" for number in range(2, len(taken) + 3))
    unique = next(n for n in chain([name], numbered) if n.casefold() not in taken)
    taken.add(unique.casefold())
    return unique
