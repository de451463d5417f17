"""`manage.py recognize`: photos in, faces and emotions out, with no site and no database."""

import argparse
import json
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from recognizer.management.base import WHICH_MODEL
from recognizer.services import model_versions
from recognizer.training.datasets.outputs import whole_file
from recognizer.vision import Recognition, RecognizedFace, Recognizer, annotate
from recognizer.vision.cards import CardError
from recognizer.vision.classification import ModelError
from recognizer.vision.detection import MTCNN
from recognizer.vision.emotions import percent
from recognizer.vision.images import Decoded, Undecodable, decode, encode_jpeg

SOME_FAILED = 1
USAGE = 2
LONGEST_STEM = 80


class Command(BaseCommand):
    help = (
        "Find the faces in photos and read their expressions. "
        "Exit status: 0 when all were read, 1 when some failed, 2 for wrong usage."
    )
    # It needs no database, and of the site's settings only those of the detector and the model.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("paths", nargs="+", metavar="PATH", help="a photo")
        parser.add_argument(
            "--json", action="store_true", help="one JSON object per photo and line on stdout"
        )
        parser.add_argument(
            "--output", type=Path, metavar="DIR", help="write annotated JPEGs to this folder"
        )
        parser.add_argument("--model", default="", metavar="NAME", help=WHICH_MODEL)
        parser.add_argument(
            "--min-face",
            type=_face_size,
            metavar="N",
            help="side of the smallest face looked for, in pixels "
            "(default: MIN_FACE; without it 20, or 2.5%% of the short side of photos whose short "
            "side is above 800)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        paths: list[str] = options["paths"]
        recognizer = _recognizer(options["model"], options["min_face"])
        album = _Album(options["output"]) if options["output"] else None
        show = self._show_json if options["json"] else self._show_table
        failed = 0
        for number, path in enumerate(paths, 1):
            result = _recognize(recognizer, path)
            if isinstance(result, str):
                failed += 1
            elif album:
                album.add(path, *result)
            show(path, result)
            if options["verbosity"] > 0 and len(paths) > 1:
                self.stderr.write(f"{number} of {len(paths)} photos", style_func=str)
        if failed:
            noun = "photo" if len(paths) == 1 else "photos"
            message = f"{failed} of {len(paths)} {noun} could not be read."
            raise CommandError(message, returncode=SOME_FAILED)

    def _show_json(self, path: str, result: "Result") -> None:
        row: dict[str, Any] = {"path": path, "width": None, "height": None}
        if isinstance(result, str):
            row |= {"error": result, "faces": []}
        else:
            _, recognition = result
            faces = [face.as_dict() for face in recognition.faces]
            row |= {"width": recognition.width, "height": recognition.height}
            row |= {"error": None, "faces": faces}
        self.stdout.write(json.dumps(row))
        self.stdout.flush()  # Whoever reads along should not wait for a full buffer.

    def _show_table(self, path: str, result: "Result") -> None:
        if isinstance(result, str):
            self.stdout.write(f"{path}: {result}")
        else:
            self.stdout.write("\n".join(_table(path, result[1])))
        self.stdout.flush()


logger = logging.getLogger(__name__)

Result = tuple[Decoded, Recognition] | str
"""A photo and what was found in it, or a sentence that says why it could not be read."""


def _face_size(text: str) -> int:
    try:
        size = int(text)
        MTCNN(min_face=size)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return size


def _recognizer(model: str, min_face: int | None) -> Recognizer:
    try:
        found_by = model_versions.detector(min_face=min_face)
        return Recognizer(found_by, model_versions.for_shell(model))
    except (ModelError, CardError) as error:
        raise CommandError(str(error), returncode=USAGE) from error


def _recognize(recognizer: Recognizer, path: str) -> Result:
    decoded = _read(Path(path))
    if isinstance(decoded, str):
        return decoded
    try:
        return decoded, recognizer.recognize(decoded.image)
    except MemoryError:
        return "The photo does not fit into memory."
    except Exception as error:  # One photo must not cost the others their results.
        logger.exception("%s could not be recognised.", path)
        return f"The photo could not be recognised: {error}"


def _read(path: Path) -> Decoded | str:
    try:
        if path.is_dir():
            return "This is a folder, not a photo."
        # Opening a pipe or a device could wait for ever.
        if path.exists() and not path.is_file():
            return "This is not a regular file."
        with path.open("rb") as file:
            decoded = decode(file)
    except FileNotFoundError:
        return "There is no such file."
    except (OSError, ValueError) as error:
        # ValueError: a null byte in the path.
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return f"The file cannot be read: {reason}."
    except MemoryError:
        return "The image does not fit into memory."
    return decoded.message if isinstance(decoded, Undecodable) else decoded


class _Album:
    """A folder of annotated images with unique, readable names."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.taken: set[str] = set()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            message = f"--output {folder}: cannot be used as a folder ({error.strerror})."
            raise CommandError(message, returncode=USAGE) from error

    def add(self, path: str, photo: Decoded, recognition: Recognition) -> None:
        target = self.folder / self._name(path)
        try:
            with whole_file(target) as draft:
                draft.write_bytes(encode_jpeg(annotate(photo.image, recognition)))
        except OSError as error:
            message = f"{target}: cannot be written ({error.strerror})."
            raise CommandError(message, returncode=SOME_FAILED) from error

    def _name(self, path: str) -> str:
        printable = "".join(one if one.isprintable() else "_" for one in Path(path).stem)
        stem, number = printable[:LONGEST_STEM], 1
        name = f"{stem}-annotated.jpg"
        # Some file systems take A.jpg and a.jpg for the same file.
        while name.casefold() in self.taken:
            number += 1
            name = f"{stem}-{number}-annotated.jpg"
        self.taken.add(name.casefold())
        return name


def _table(path: str, recognition: Recognition) -> Iterable[str]:
    count = len(recognition.faces)
    faces = {0: "no faces found", 1: "1 face"}.get(count, f"{count} faces")
    yield f"{path} ({recognition.width} x {recognition.height} pixels): {faces}"
    for number, face in enumerate(recognition.faces, 1):
        yield f"{number:>4}  {_answer(face):<36}  {_place(face):<24}  {_why(face)}".rstrip()


def _answer(face: RecognizedFace) -> str:
    sure = f"{face.emotion} {percent(face.confidence)}"
    if not face.uncertain:
        return sure
    second = sorted(face.probabilities)[-2]
    return f"? {sure} or {face.runner_up} {percent(second)}"


def _place(face: RecognizedFace) -> str:
    x, y, width, height = face.box
    return f"at {x}, {y}: {width} x {height}"


def _why(face: RecognizedFace) -> str:
    return ", ".join(reason.replace("_", " ") for reason in face.reasons)
