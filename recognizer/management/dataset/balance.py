"""`manage.py dataset balance`: as many pictures of every class as wanted."""

from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any

from recognizer.management.base import add_seed_option
from recognizer.management.dataset.options import (
    FER2013,
    add_bad_option,
    add_ferplus_option,
    naming_skip,
    require_csv,
)
from recognizer.training.datasets.balancing import Balance, balance_fer2013, balance_folder
from recognizer.training.datasets.faces import DatasetError
from recognizer.training.presets import PRESETS, named_augmentation

HELP = (
    "Write a data set with N pictures of every class: of larger classes some are chosen, smaller "
    "ones are topped up with varied copies that are named after their originals. Held-out splits "
    "are copied as they are."
)
KEPT = "Called again in the same way, it goes on after what is finished."


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "source",
        type=Path,
        metavar="SOURCE",
        help=f"{FER2013}; or a folder of <class>/* or train/<class>/*",
    )
    parser.add_argument("output", type=Path, metavar="OUTPUT", help="an empty or a new folder")
    parser.add_argument(
        "--per-class", type=int, required=True, metavar="N", help="pictures of every class"
    )
    add_ferplus_option(parser)
    parser.add_argument(
        "--labels",
        choices=["ferplus", "fer2013"],
        help="what classes the rows of fer2013.csv: FER+'s majority or their own label (the "
        "first where --ferplus is given)",
    )
    parser.add_argument(
        "--augmentation",
        default="default",
        metavar="NAME|FILE",
        help=f"how copies vary: {', '.join(PRESETS)}, or a file of TOML (%(default)s)",
    )
    parser.add_argument(
        "--strength",
        type=float,
        default=1.0,
        help="how strongly copies vary, 0-1; at 0 they are exact or exactly mirrored (%(default)s)",
    )
    parser.add_argument(
        "--untouched",
        type=float,
        default=1.0,
        metavar="SHARE",
        help="share of the originals left as they are, 0-1; the others are varied (%(default)s)",
    )
    parser.add_argument(
        "--detector",
        choices=["mtcnn", "none"],
        default="none",
        help="cut the largest face out of each picture, and skip those without one (%(default)s)",
    )
    parser.add_argument(
        "--size",
        type=int,
        default=48,
        metavar="N",
        help="side of the pictures (%(default)s pixels)",
    )
    add_seed_option(parser)
    add_bad_option(parser)


def run(options: dict[str, Any], report: Callable[[str], None]) -> None:
    try:
        augmentation = named_augmentation(options["augmentation"])
    except ValueError as error:
        raise DatasetError(str(error)) from error
    how = Balance(
        per_class=options["per_class"],
        augmentation=augmentation,
        strength=options["strength"],
        untouched=options["untouched"],
        size=options["size"],
        detect=options["detector"] == "mtcnn",
        seed=options["seed"],
    )
    require_csv(options, "ferplus", "labels")
    source, output, ferplus = options["source"], options["output"], options["ferplus"]
    labels, bad = options["labels"] or ("ferplus" if ferplus else "fer2013"), options["bad"]
    if not source.is_dir() and labels == "ferplus" and not ferplus:
        raise DatasetError("--labels ferplus needs the votes: add --ferplus fer2013new.csv.")
    with naming_skip():
        if source.is_dir():
            balance_folder(source, output, how, report, bad)
        else:
            own = labels == "fer2013"
            balance_fer2013(source, ferplus, output, how, report, own, bad)
