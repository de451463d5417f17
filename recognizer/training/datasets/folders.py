"""Data sets whose folders name the emotions.

FERG-DB: Aneja et al., "Modeling stylized character expressions via deep learning" (2016); six
cartoon characters, `<character>/<character>_<emotion>/*.png`.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from recognizer.training.datasets.classes import (
    CLASSES,
    class_index,
    class_indices,
    fer2013_label,
    only_digits,
)
from recognizer.training.datasets.faces import ANNOTATORS
from recognizer.training.datasets.pictures import (
    PICTURES,
    Plan,
    UnreadableFolder,
    files_below,
    subfolders,
)
from recognizer.training.datasets.result import Problem
from recognizer.training.datasets.splitting import HELD_OUT_SHARE

SPLIT_FOLDERS: Final = "split folders: train/<class>/* and test/<class>/* or validation/<class>/*"
CLASS_FOLDERS: Final = "class folders: <class>/*, all of them Training"
FERG: Final = "FERG-DB: <character>/<character>_<emotion>/*"

# What `dataset clean` leaves beside the classes, to be looked at.
SHEETS: Final = "dropped-*.jpg"

SEED: Final = 1

_SPLITS: Final = {
    "train": "Training",
    "training": "Training",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "test": "test",
    "testing": "test",
    "publictest": "PublicTest",
    "privatetest": "PrivateTest",
}


def plan_folders(root: Path, hold_out: bool) -> Plan | None:
    """What is in a folder of one of the three layouts; None for any other folder.

    `test` and `validation` both become PublicTest, the held-out rows; where there are both,
    `test` becomes PrivateTest, so that nothing is tuned on it. FERG-DB has no split of its own
    and its pictures are frames of animations, each nearly the one before it: a random split
    would measure memory. So a fifth of its characters, at least one, is held out whole.

    Args:
        root: the folder.
        hold_out: whether there are to be held-out rows; else the plan is Training only, and
            what the folder itself holds out is left out.
    """
    inside = subfolders(root)
    if any(folder.name.casefold() in _SPLITS for folder in inside):
        plan = _plan_splits(root, inside, hold_out)
    elif any(index is not None for index in class_indices(map(_name, inside)).values()):
        plan = Plan(root, CLASS_FOLDERS)
        _add_classes(plan, [(folder, "Training") for folder in inside])
    elif any(_emotions_of(folder) for folder in inside):
        plan = _plan_characters(root, inside, hold_out)
    else:
        return None
    refuse_loose(plan, root)
    return plan


def _plan_splits(root: Path, inside: Sequence[Path], hold_out: bool) -> Plan:
    plan = Plan(root, SPLIT_FOLDERS)
    kinds = {folder: _SPLITS.get(folder.name.casefold(), "") for folder in inside}
    both = {"validation", "test"} <= set(kinds.values())
    meant = {"validation": "PublicTest", "test": "PrivateTest" if both else "PublicTest"}
    if both and hold_out:
        plan.notes.append("validation is PublicTest; test is PrivateTest and stays untouched.")
    classes: list[tuple[Path, str]] = []
    for folder, kind in kinds.items():
        split = meant.get(kind, kind)
        if not kind:
            what = f"not a split; splits are {', '.join(_SPLITS)}."
            if _files(plan, folder):
                plan.problems.append(Problem(str(folder), what))
        elif split == "Training" or hold_out:
            classes += [(inner, split) for inner in _inner(plan, folder)]
            refuse_loose(plan, folder)
        else:
            plan.notes.append(f"{folder} is held out by its own data set, so it was left out.")
    _add_classes(plan, classes)
    return plan


def _plan_characters(root: Path, inside: Sequence[Path], hold_out: bool) -> Plan:
    plan = Plan(root, FERG)
    characters = [folder for folder in inside if _emotions_of(folder)]
    for folder in inside:
        if folder not in characters and _files(plan, folder):
            example = f"{folder.name}/{folder.name}_anger"
            plan.problems.append(Problem(str(folder), f"no character: it has no {example}."))
    held_out = _held_out_characters([folder.name for folder in characters]) if hold_out else []
    if held_out:
        plan.notes.append(f"Held out whole as PublicTest: {', '.join(held_out)}.")
    for folder in characters:
        split = "PublicTest" if folder.name in held_out else "Training"
        for inner in _inner(plan, folder):
            _add_class(plan, inner, class_index(_emotion_of(folder, inner)), split, folder.name)
        refuse_loose(plan, folder)
    return plan


def _held_out_characters(names: Sequence[str]) -> list[str]:
    """A fifth of the characters, at least one of them, and none of a single one."""
    if len(names) < 2:
        return []
    order = np.random.default_rng(SEED).permutation(sorted(names))
    return sorted(order[: max(1, round(HELD_OUT_SHARE * len(names)))].tolist())


def _emotions_of(folder: Path) -> list[Path]:
    return [
        inner for inner in subfolders(folder) if class_index(_emotion_of(folder, inner)) is not None
    ]


def _emotion_of(character: Path, folder: Path) -> str:
    """The emotion in `<character>_<emotion>`, "" in any other name."""
    prefix = f"{character.name.casefold()}_"
    name = folder.name.casefold()
    return name.removeprefix(prefix) if name.startswith(prefix) else ""


def _add_classes(plan: Plan, folders: Iterable[tuple[Path, str]]) -> None:
    folders = list(folders)
    indices = class_indices(folder.name for folder, _ in folders)
    if only_digits(indices):
        plan.notes.append("The folders 0-6 were read in FER-2013's order: 0 anger … 6 neutral.")
    for folder, split in folders:
        _add_class(plan, folder, indices[folder.name], split, "")


def _add_class(plan: Plan, folder: Path, index: int | None, split: str, group: str) -> None:
    known = len(plan.problems)
    files = _files(plan, folder)
    if index is None:
        counted = "1 file" if len(files) == 1 else f"{len(files)} files"
        what = f"unknown class with {counted}; classes are {', '.join(CLASSES)}, and their synonyms"
        if folder.name.isdigit():
            what += " (digits only as FER-2013's 0-6, all seven)"
        plan.problems.append(Problem(str(folder), f"{what}."))
        return
    if not files and len(plan.problems) == known:
        plan.problems.append(Problem(str(folder), "an empty class: no image in it."))
    votes = [ANNOTATORS * (column == index) for column in range(len(CLASSES))]
    for file in files:
        plan.add(file, fer2013_label(index), votes, split, group)


def _files(plan: Plan, folder: Path) -> list[Path]:
    """The files in a folder; what cannot be looked into becomes a problem."""
    return files_below(folder, lambda error: plan.problems.append(error.problem))


def _inner(plan: Plan, folder: Path) -> list[Path]:
    """The folders in a folder; one that cannot be looked into becomes a problem, and has none."""
    try:
        return subfolders(folder)
    except UnreadableFolder as error:
        plan.problems.append(error.problem)
        return []


def refuse_loose(plan: Plan, folder: Path) -> None:
    """Add the images that lie in the folder itself, and so in no class, to the problems."""
    try:
        inside = list(folder.iterdir())
    except OSError:  # Named already, as what cannot be looked into.
        return
    loose = [
        file
        for file in inside
        if file.suffix.casefold() in PICTURES
        and not file.name.startswith(".")
        and not (folder == plan.root and file.match(SHEETS))
        and file.is_file()
    ]
    if loose:
        what = f"images: {len(loose)} outside of every class, such as {min(loose).name}."
        plan.problems.append(Problem(str(folder), what))


def _name(folder: Path) -> str:
    return folder.name
