"""Score models on FER-2013 and FER+, or on any other data set of faces."""

import json
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from django.core.management.base import CommandError
from numpy.typing import NDArray

from recognizer.management import evaluation_pages, model_reports, reports
from recognizer.management.base import (
    WHICH_MODEL,
    TrainingCommand,
    add_answers_option,
    require_different,
    unusable,
)
from recognizer.management.dataset.options import (
    FER2013,
    add_bad_option,
    add_ferplus_option,
    read_source,
    require_apart,
)
from recognizer.services import model_versions
from recognizer.training.datasets.detected import detect
from recognizer.training.datasets.faces import SPLITS, DatasetError, Faces
from recognizer.training.datasets.labelling import labelling
from recognizer.training.datasets.reading import Reading
from recognizer.training.evaluation import corruptions, reporting, scoring, tables
from recognizer.training.evaluation.caching import cached
from recognizer.training.evaluation.histories import CurveGroup, read_history
from recognizer.training.evaluation.leaks import Leaks, find_leaks
from recognizer.vision.cards import ModelCard
from recognizer.vision.classification import OnnxClassifier
from recognizer.vision.detection import Detector


class Command(TrainingCommand):
    help = "Score models on one split of a public data set. Runs without TensorFlow."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "dataset",
            choices=["fer2013", "faces"],
            help="fer2013: its file and FER+'s votes; faces: any data set that `train` reads",
        )
        parser.add_argument(
            "source",
            type=Path,
            metavar="SOURCE",
            help=f"of fer2013: {FER2013}; of faces: a file or a folder, see `train`",
        )
        add_ferplus_option(parser)
        add_bad_option(parser)
        parser.add_argument(
            "--split", choices=SPLITS, default="PublicTest", help="what to score (%(default)s)"
        )
        parser.add_argument(
            "--detect",
            action="store_true",
            help="look for the largest face in each picture and cut it out as the site would, "
            "instead of taking the whole picture for a face; of faces in files only",
        )
        parser.add_argument(
            "--corrupted",
            action="store_true",
            help="score every model on spoilt copies of the pictures, too: small, blurred, noisy, "
            "compressed, badly lit, turned, loosely cut, covered in part (spoilt as they are given "
            "to the model, after any search for faces)",
        )
        which = parser.add_mutually_exclusive_group()
        which.add_argument("--model", default="", metavar="NAME", help=WHICH_MODEL)
        which.add_argument(
            "--compare",
            nargs="+",
            metavar="NAME",
            default=[],
            help="several models side by side, the others against the first",
        )
        form = parser.add_mutually_exclusive_group()
        form.add_argument(
            "--json", action="store_true", help="one JSON object per model and line on stdout"
        )
        form.add_argument("--markdown", action="store_true", help="the table for a model card")
        add_answers_option(parser)
        parser.add_argument("--report", type=Path, metavar="FILE.html", help="write a page, too")
        parser.add_argument(
            "--no-pictures",
            action="store_true",
            help="leave the data set's pictures out of the page, so that it may be passed on",
        )
        parser.add_argument(
            "--history",
            type=Path,
            metavar="FILE.csv",
            help=f"training curves for the page ({model_reports.HISTORY} in the model's folder)",
        )

    def handle(self, **options: Any) -> None:
        _check_usage(options)
        try:
            self.keep_answers(options["run"])
            require_apart(options, options["run"], options["report"])
            finder = model_versions.detector() if options["detect"] else None
        except ValueError as error:
            raise CommandError(str(error), returncode=2) from error
        except OSError as error:
            raise unusable(error) from error
        names = options["compare"] or [options["model"]]
        models = _load(names)
        try:
            history = _history(options, models[0])
            # At the size that the model takes; one of another size is refused beside it.
            wanted = options | {"extra": [], "size": models[0].card.preprocessing.size}
            reading = read_source(wanted, self.report)
            faces = reading.faces.split(options["split"])
            words = labelling(reading, options["source"], options["ferplus"], faces)
            # A crop by a detector is no longer the picture that was learned from.
            leaks = None if finder else _leaks(reading.faces, options["split"])
            seen, sides = [faces] * len(models), None
            if finder:
                seen, sides = _detected(reading, faces, options["split"], models, finder)
                found_in = f"found in {len(seen[0])} of {len(faces)} pictures"
                self.report(f"A face was {found_in}.")
                words = replace(words, title=f"{words.title}, faces {found_in}")
            asked = [cached(model, options["run"]) for model in models]
            answers = [
                scoring.answer(model, own, sides) for model, own in zip(asked, seen, strict=True)
            ]
            corrupted = [
                corruptions.corrupted(model, own, said, sides) if options["corrupted"] else ()
                for model, own, said in zip(asked, seen, answers, strict=True)
            ]
        except ValueError as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise unusable(error) from error
        missed = {"no_face_found": len(faces) - len(seen[0])} if options["detect"] else {}
        found = [
            reporting.evaluated(self.card(model), options["split"], words, said, spoilt, leaks)
            for model, said, spoilt in zip(models, answers, corrupted, strict=True)
        ]
        if options["compare"]:
            self.side_by_side(found, seen, options, missed)
            return
        if options["report"]:
            wrong = reporting.mistakes(answers[0], seen[0])
            page = evaluation_pages.evaluation(
                found[0], wrong, history, pictures=not options["no_pictures"]
            )
            self.write(options["report"], "reports/evaluation.html", page)
        if options["markdown"]:
            self.side_by_side(found, seen, options | {"report": None}, missed)
            return
        named = {"model": found[0].card.name, "split": options["split"]}
        scores = {**named, **found[0].scores, **missed, **tables.asides_json(found[0])}
        self.print([json.dumps(scores)] if options["json"] else tables.alone(found[0]))

    def card(self, model: OnnxClassifier) -> ModelCard:
        """The card under the name that the model has here, by which it was asked for."""
        name = model.folder.name
        if model.card.name != name:
            self.stderr.write(f'{name} is called "{model.card.name}" in its card.')
        return replace(model.card, name=name)

    def side_by_side(
        self,
        models: Sequence[reporting.Evaluated],
        faces: Sequence[Faces],
        options: dict[str, Any],
        missed: Mapping[str, int],
    ) -> None:
        """A table of models, and their page where one is wanted; `missed` is in all their JSON."""
        names = options["compare"] or [options["model"]]
        compared = reporting.compare(models, _load(names, threads=1), faces)
        if options["report"]:
            page = evaluation_pages.comparison(compared)
            self.write(options["report"], "reports/comparison.html", page)
        if options["json"]:
            self.print([json.dumps({**tables.as_json(one), **missed}) for one in compared])
        else:
            self.print((tables.markdown if options["markdown"] else tables.text)(compared))

    def write(self, path: Path, template: str, context: dict[str, Any]) -> None:
        reports.write(path, template, context)
        self.report(f"The report is in {path}.")

    def print(self, lines: Sequence[str]) -> None:
        self.stdout.write("\n".join(lines))


def _leaks(faces: Faces, split: str) -> Leaks | None:
    if split == "Training":
        return None
    return find_leaks(faces.split(split), faces.where(faces.splits == "Training"))


def _detected(
    reading: Reading,
    faces: Faces,
    split: str,
    models: Sequence[OnnxClassifier],
    finder: Detector,
) -> tuple[list[Faces], NDArray[np.float64]]:
    """The faces of a split that are found in their pictures, as each model sees them; their sides.

    Raises:
        DatasetError: faces are to be found in what are no files, or in none of these is one.
    """
    if not reading.files:
        raise DatasetError(
            "--detect looks for faces in picture files, and there are none: leave it out. "
            f"This data set is {reading.layout}."
        )
    rows = np.flatnonzero(reading.faces.splits == split)
    files = [reading.files[row] for row in rows]
    ways = [model.card.preprocessing for model in models]
    detected = detect(files, ways, finder)
    if not detected.found.any():
        raise DatasetError(f"No face was found in any of the {len(files)} pictures of {split}.")
    shown = faces.where(detected.found)
    return [replace(shown, images=crops) for crops in detected.crops], detected.sides


def _check_usage(options: dict[str, Any]) -> None:
    if options["dataset"] == "fer2013" and not options["ferplus"]:
        raise CommandError(
            "fer2013 is scored by the votes of FER+: add --ferplus fer2013new.csv. For its own "
            "labels alone, say `faces` instead of `fer2013`.",
            returncode=2,
        )
    if options["report"]:
        reports.check_path(options["report"])
    alone = [name for name in ("history", "no_pictures") if options[name]]
    if alone and (options["compare"] or not options["report"]):
        raise CommandError(
            f"--{alone[0].replace('_', '-')} belongs to the page of one model: give --report "
            "FILE.html, too, and --model instead of --compare.",
            returncode=2,
        )


def _load(names: Sequence[str], threads: int = 0) -> list[OnnxClassifier]:
    try:
        models = [model_versions.for_shell(name, threads) for name in names]
        require_different(models, "to be compared")
    except ValueError as error:
        raise CommandError(str(error), returncode=2) from error
    return models


def _history(options: dict[str, Any], model: OnnxClassifier) -> list[CurveGroup]:
    """The curves of the file that is named, or of the model's folder; none where none is."""
    if options["report"] is None or options["compare"]:
        return []
    path = options["history"] or model.weights.parent / model_reports.HISTORY
    if options["history"] is None and not path.exists():
        return []
    return read_history(path)
