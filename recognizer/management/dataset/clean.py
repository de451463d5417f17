"""`manage.py dataset clean`: drop pictures in which no face is found."""

import os
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any

from recognizer.management.dataset.options import (
    FER2013,
    add_bad_option,
    add_ferplus_option,
    naming_skip,
    require_csv,
)
from recognizer.training.datasets.cleaning import Job, Limits, clean_fer2013, clean_folder

HELP = (
    "Drop pictures in which MTCNN finds no face. Only pictures to learn from are judged: a "
    "held-out split without its difficult pictures would flatter every number. Stop and start "
    "it as you like: it goes on after the last picture it looked at."
)
KEPT = "The same command goes on after the last picture it looked at."


def add_arguments(parser: ArgumentParser) -> None:
    usual = Limits()
    parser.add_argument(
        "source",
        type=Path,
        metavar="SOURCE",
        help=f"{FER2013}; or a folder of <class>/* or train/<class>/*",
    )
    add_ferplus_option(parser)
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder for the cleaned set, report.json, dropped.csv and dropped-*.jpg",
    )
    parser.add_argument(
        "--score",
        type=float,
        default=usual.score,
        help="least detection score of a face, 0.5-1 (%(default)s)",
    )
    parser.add_argument(
        "--smallest",
        type=float,
        default=usual.smallest,
        metavar="SHARE",
        help="least side of a face, as a share of the picture's shorter side (%(default)s)",
    )
    parser.add_argument(
        "--most-faces",
        type=int,
        default=usual.most_faces,
        metavar="N",
        help="most faces in a picture (%(default)s)",
    )
    parser.add_argument(
        "--off-centre",
        type=float,
        default=usual.off_centre,
        metavar="SHARE",
        help="how far a face may lie from the middle, as a share of the picture's shorter side "
        "(%(default)s)",
    )
    parser.add_argument("--all-splits", action="store_true", help="judge held-out splits too")
    parser.add_argument(
        "--workers",
        type=int,
        default=os.cpu_count() or 1,
        metavar="N",
        help="processes that look for faces (%(default)s)",
    )
    add_bad_option(parser)


def run(options: dict[str, Any], report: Callable[[str], None]) -> None:
    limits = Limits(
        options["score"], options["smallest"], options["most_faces"], options["off_centre"]
    )
    job = Job(
        options["output"],
        limits,
        options["all_splits"],
        options["workers"],
        report,
        options["bad"],
    )
    require_csv(options, "ferplus")
    source, ferplus = options["source"], options["ferplus"]
    with naming_skip():
        if source.is_dir():
            clean_folder(source, job)
        else:
            clean_fer2013(source, ferplus, job)
