"""Make every class of a data set equally large: large ones are thinned, small ones topped up with
varied copies.

Only what is learned from is balanced; held-out pictures stay as many and as they are, for
numbers measured on copies would say nothing. A killed run goes on after the last finished class.
"""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from recognizer.training.augmentation import Augmentation, augment
from recognizer.training.datasets import fer2013
from recognizer.training.datasets.borders import SEARCHED_SIDE, bordered
from recognizer.training.datasets.class_folders import listing_digest, walk
from recognizer.training.datasets.faces import FER2013_LABELS, DatasetError, Faces
from recognizer.training.datasets.inspection import LONGEST, Source
from recognizer.training.datasets.journals import fingerprint
from recognizer.training.datasets.outputs import (
    Parts,
    require_free,
    require_outside,
    whole_folder,
)
from recognizer.training.datasets.pictures import grey_square, read_image
from recognizer.training.datasets.preparation import image_digests
from recognizer.training.datasets.progress import bar
from recognizer.training.datasets.result import Bad, tell_skipped
from recognizer.vision.detection import MTCNN, Detector, largest
from recognizer.vision.emotions import EMOTIONS
from recognizer.vision.preprocessing import Preprocessing, crop_face

SIZES: Final = (16, 512)


@dataclass(frozen=True)
class Balance:
    """How to balance.

    Attributes:
        per_class: pictures wanted of each class.
        augmentation: how copies vary at full strength.
        strength: how much of that, 0-1; at 0 copies are exact, or exactly mirrored.
        untouched: share of the originals that stay as they are, 0-1; the others are varied
            themselves.
        size: side of the grey square written, in pixels.
        detect: cut the largest face out of each picture; else the middle square is taken.
        seed: drives what is chosen and how it varies.
    """

    per_class: int
    augmentation: Augmentation = field(default_factory=Augmentation)
    strength: float = 1.0
    untouched: float = 1.0
    size: int = 48
    detect: bool = False
    seed: int = 1

    def __post_init__(self) -> None:
        if self.per_class < 1:
            raise DatasetError(f"Each class needs at least one picture, not {self.per_class}.")
        for name, share in (("strength", self.strength), ("untouched", self.untouched)):
            if not 0 <= share <= 1:
                raise DatasetError(f"{name} must lie in 0-1, not {share}.")
        if not SIZES[0] <= self.size <= SIZES[1]:
            raise DatasetError(
                f"The size must lie in {SIZES[0]}-{SIZES[1]} pixels, not {self.size}."
            )
        shrinks = self.augmentation.low_resolution > 0
        if shrinks and self.augmentation.smallest >= self.size:
            raise DatasetError(
                f"The augmentation shrinks faces to {self.augmentation.smallest} pixels, so the "
                f"size must be larger than that, not {self.size}."
            )
        if self.seed < 0:
            raise DatasetError(f"The seed must be 0 or more, not {self.seed}.")

    @cached_property
    def variation(self) -> Augmentation:
        return self.augmentation.scaled(self.strength)

    @cached_property
    def detector(self) -> Detector:
        return MTCNN()


@dataclass(frozen=True, slots=True)
class Original:
    """A picture to learn from: a name for messages, a stem for its copies, its pixels or file."""

    name: str
    stem: str
    source: Source


def balance_folder(
    root: Path, output: Path, how: Balance, report: Callable[[str], None], bad: Bad = "stop"
) -> None:
    """Balance `train/<class>/*` and copy the other splits as they are, or balance `<class>/*`.

    Folders keep their names; two folders of one class become the first of them.

    Raises:
        BadParts: there are problems and `bad` is "stop".
        DatasetError: there are no pictures, the output is in use, or a class has no face left.
    """
    require_free(output)
    require_outside(output, root)
    pictures = [one for one in walk(root, bad, report) if not one.broken]
    folders: dict[int, Path] = {}
    classes: dict[Path, list[Original]] = {}
    held_out = [one for one in pictures if not one.training]
    # A varied copy of a held-out picture could not be told from others any more.
    known = {one.digest for one in held_out}
    leaking = 0
    for one in pictures:
        if not one.training:
            continue
        if one.digest in known:
            leaking += 1
            continue
        folder = folders.setdefault(one.column, Path(one.split, one.label))
        classes.setdefault(folder, []).append(Original(one.name, one.path.stem, one.path))
    _require_training(classes, root)
    with whole_folder(output, _about(how, listing_digest(pictures))) as whole:
        for one in held_out:
            copy = whole.folder / one.name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(one.path, copy)
        _fill_all(classes, whole, how, report)
    if held_out:
        report(
            f"{len(held_out)} held-out files were copied as they are; {leaking} files to learn "
            "from that are identical to one of them were left out."
        )


def balance_fer2013(
    pixels: Path,
    ferplus: Path | None,
    output: Path,
    how: Balance,
    report: Callable[[str], None],
    own_labels: bool = False,
    bad: Bad = "stop",
) -> None:
    """Balance the Training rows into `train/<class>/`, and write the others untouched.

    Rows belong to their FER+ majority, and those without an emotion are left out; or, with
    `own_labels`, to FER-2013's own label. PublicTest goes into `test/`, or into `validation/`
    where there is a PrivateTest, which then is `test/`.

    Raises:
        BadParts: there are rows that cannot be read and `bad` is "stop".
        DatasetError: the files cannot be read, the output is in use, or a class has no face left.
    """
    require_free(output)
    faces, numbers, problems = fer2013.read_rows(pixels, ferplus, bad)
    tell_skipped(problems, report)
    # A varied copy of a held-out picture could not be told from others any more.
    digests, training = image_digests(faces.images), faces.splits == "Training"
    leaking = training & np.isin(digests, digests[~training])
    labels = faces.labels
    names: tuple[str, ...] = FER2013_LABELS
    if not own_labels:
        labels, names = faces.majority, EMOTIONS
    folders = _split_folders(faces)
    classes: dict[Path, list[Original]] = {}
    held_out: dict[Path, NDArray[np.uint8]] = {}
    left_out = 0
    for row, (label, split) in enumerate(zip(labels.tolist(), faces.splits.tolist(), strict=True)):
        if leaking[row]:
            continue
        if not 0 <= label < len(names):
            left_out += 1
            continue
        folder = Path(folders[split], names[label])
        stem = f"row-{numbers[row]:05}"
        if split == "Training":
            one = Original(f"row {numbers[row]}", stem, faces.images[row])
            classes.setdefault(folder, []).append(one)
        else:
            held_out[folder / f"{stem}.png"] = faces.images[row]
    _require_training(classes, pixels)
    data = fingerprint(faces.images, labels, faces.splits, numbers)
    with whole_folder(output, _about(how, data)) as whole:
        for name, image in held_out.items():
            (whole.folder / name).parent.mkdir(parents=True, exist_ok=True)
            _write(whole.folder / name, image)
        _fill_all(classes, whole, how, report)
    report(
        f"{len(held_out)} held-out rows were written as they are. Left out: {left_out} rows "
        f"without an emotion, {int(leaking.sum())} Training rows that are identical to a held-out "
        "one."
    )


def _split_folders(faces: Faces) -> dict[str, str]:
    private = bool((faces.splits == "PrivateTest").any())
    public = "validation" if private else "test"
    return {"Training": "train", "PublicTest": public, "PrivateTest": "test"}


def _require_training(classes: dict[Path, list[Original]], source: Path) -> None:
    if not classes:
        raise DatasetError(f"{source} has nothing to learn from: no Training rows, no train/.")


def _about(how: Balance, data: str) -> dict[str, Any]:
    return {"settings": asdict(how), "data": data}


def _fill_all(
    classes: dict[Path, list[Original]],
    whole: Parts,
    how: Balance,
    report: Callable[[str], None],
) -> None:
    filled = {}
    for number, (folder, originals) in enumerate(sorted(classes.items())):
        fill = partial(_fill, whole.folder / folder, originals, how, number, report)
        filled[folder.name] = whole.once(folder.as_posix(), fill)
    summary = {"settings": asdict(how), "classes": filled}
    text = json.dumps(summary, indent=2) + "\n"
    (whole.folder / "balance.json").write_text(text, encoding="utf-8")
    for name, one in filled.items():
        report(
            "{name}: {originals} originals, {used} used ({varied} of them varied), "
            "{copies} copies added, {skipped} skipped.".format(name=name, **one)
        )


def _fill(
    folder: Path,
    originals: Sequence[Original],
    how: Balance,
    number: int,
    report: Callable[[str], None],
) -> dict[str, int]:
    """Write one class: originals first, some of them varied, then copies of each in turn.

    `number` tells its random numbers from those of the other classes.

    Returns:
        How many originals there are, were used, were varied themselves and were skipped, and how
        many copies were added.
    """
    rng = np.random.default_rng([how.seed, number])
    chosen, skipped = _choose(folder.name, originals, how, rng, report)
    if not chosen:
        raise DatasetError(f"The class {folder.name} has no picture that can be used.")
    folder.mkdir(parents=True, exist_ok=True)
    names = _Names()
    untouched = round(how.untouched * len(chosen))
    for number in bar(range(how.per_class), f"writing {folder.name}", "images"):
        turn, which = divmod(number, len(chosen))
        stem, face = chosen[which]
        if number >= untouched:
            stem = f"{stem}-copy{turn}" if turn else f"{stem}-varied"
            face = augment(face, how.variation, rng)
        _write(folder / f"{names.free(stem)}.png", face)
    varied, copies = len(chosen) - untouched, how.per_class - len(chosen)
    return {
        "originals": len(originals),
        "used": len(chosen),
        "varied": varied,
        "copies": copies,
        "skipped": skipped,
    }


def _choose(
    label: str,
    originals: Sequence[Original],
    how: Balance,
    rng: np.random.Generator,
    report: Callable[[str], None],
) -> tuple[list[tuple[str, NDArray[np.uint8]]], int]:
    """At most as many as wanted, at random: their stems and faces; and how many were skipped."""
    chosen: list[tuple[str, NDArray[np.uint8]]] = []
    names, skipped = _Names(), 0
    order = rng.permutation(len(originals)).tolist()
    for index in bar(order, f"reading {label}", "images"):
        original = originals[index]
        face = _face(original.source, how)
        if isinstance(face, str):
            skipped += 1
            report(f"Skipped {original.name}: {face}")
            continue
        chosen.append((names.free(original.stem), face))
        if len(chosen) == how.per_class:
            break
    return chosen, skipped


def _face(source: Source, how: Balance) -> NDArray[np.uint8] | str:
    """The grey (size, size) face of a picture, or a sentence that says why there is none."""
    image = read_image(source) if isinstance(source, Path) else source
    if isinstance(image, str):
        return image
    if not how.detect:
        return grey_square(image, how.size)
    short, long = sorted(image.shape[:2])
    if image.ndim == 2 or short < SEARCHED_SIDE:
        # A tight crop rather than a photo.
        image = bordered(image, max(1.0, min(SEARCHED_SIDE / short, LONGEST / long)))
    found = how.detector.detect(image)
    if not found:
        return "MTCNN finds no face in it."
    face = largest(found)
    return crop_face(image, face.box, face.landmarks, Preprocessing(how.size))


class _Names:
    """Names that are free in a folder: a.jpg and a.png would both become a.png."""

    def __init__(self) -> None:
        self.taken: set[str] = set()

    def free(self, stem: str) -> str:
        name, number = stem, 1
        # Some file systems take A.png and a.png for the same file.
        while name.casefold() in self.taken:
            number += 1
            name = f"{stem}-{number}"
        self.taken.add(name.casefold())
        return name


def _write(path: Path, image: NDArray[np.uint8]) -> None:
    _, data = cv2.imencode(".png", image)
    path.write_bytes(data.tobytes())
