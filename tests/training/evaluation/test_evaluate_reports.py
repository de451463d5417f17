import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from recognizer.management import reports
from recognizer.training.datasets.classes import CLASSES
from recognizer.training.datasets.votes import VotedFace
from recognizer.vision import classification
from tests.training.drawing import SHOWN, draw_face, write_ferplus
from tests.training.pictures import write_picture
from tests.training.votes import write_votes
from tests.vision.tiny_model import write_tiny_model


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two models that differ, and one of another size."""
    folder = tmp_path / "weights"
    write_tiny_model(folder / "one")
    write_tiny_model(folder / "two", seed=8)
    write_tiny_model(folder / "big", size=64)
    monkeypatch.setattr(classification, "MODELS_FOLDER", folder)
    return folder


@pytest.fixture
def arguments(dataset: tuple[Path, Path]) -> list[str]:
    return ["fer2013", str(dataset[0]), "--ferplus", str(dataset[1])]


def evaluate(*arguments: object) -> None:
    call_command("evaluate", *map(str, arguments))


class Page(HTMLParser):
    """What a page holds: tags with their attributes, and whether all were closed."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = path.read_text(encoding="utf-8")
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def check_that_it_stands_alone(self) -> None:
        assert not self.open
        assert not re.search(r"https?:|url\(|@import", self.text)
        assert not {"script", "link", "iframe"} & {tag for tag, _ in self.tags}
        sources = [str(value["src"]) for _, value in self.tags if "src" in value]
        assert all(source.startswith("data:image/png;base64,") for source in sources)
        ids = [value["id"] for _, value in self.tags if "id" in value]
        assert len(ids) == len(set(ids))

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


def test_a_report_stands_alone_and_shows_everything(
    models: Path, arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "report.html"
    evaluate(*arguments, "--model", "one", "--json", "--report", report)
    captured = capsys.readouterr()
    result = json.loads(captured.out)
    assert set(result) == {"model", "split", "fer2013", "ferplus"}
    assert str(report) in captured.err
    page = Page(report)
    page.check_that_it_stands_alone()
    charts = 3 + 1 + 3  # Matrix, bars, reliability of both label sets; risk and coverage.
    assert page.count("svg") == charts
    assert page.count("img") == 24
    assert f"{result['ferplus']['accuracy']:.2%}" in page.text
    assert f"{result['fer2013']['top2_accuracy']:.2%}" in page.text
    # No history.csv lies beside the model.
    assert "Training curves" not in page.text


def test_a_report_to_pass_on_has_no_pictures(
    models: Path, arguments: list[str], tmp_path: Path
) -> None:
    pages = []
    for name, more in (("with.html", []), ("without.html", ["--no-pictures"])):
        evaluate(*arguments, "--model", "one", "--report", tmp_path / name, *more)
        pages.append(Page(tmp_path / name))
    assert [page.count("img") for page in pages] == [24, 0]
    assert "data:image" not in (tmp_path / "without.html").read_text()
    for page in pages:
        page.check_that_it_stands_alone()
        assert page.text.count("true ") == pages[0].text.count("true ")
    assert "The pictures are left out" in pages[1].text


@pytest.mark.parametrize("more", [[], ["--report", "{folder}/a.html", "--compare", "one", "two"]])
def test_leaving_out_pictures_is_of_the_page_of_one_model(
    models: Path, arguments: list[str], tmp_path: Path, more: list[str]
) -> None:
    given = [one.format(folder=tmp_path) for one in more]
    with pytest.raises(CommandError, match="--no-pictures belongs to the page of one model"):
        evaluate(*arguments, *given, "--no-pictures")


def test_a_report_draws_the_history_that_is_named(
    models: Path, arguments: list[str], tmp_path: Path
) -> None:
    history = tmp_path / "run.csv"
    history.write_text("epoch,loss,accuracy\n1,2,0.5\n2,1,0.6\n")
    report = tmp_path / "report.html"
    evaluate(*arguments, "--model", "one", "--report", report, "--history", history)
    assert "loss, last 1" in report.read_text()
    assert Page(report).count("svg") == 7 + 2


def test_a_report_draws_the_history_in_the_models_folder(
    models: Path, arguments: list[str], tmp_path: Path
) -> None:
    (models / "two" / "history.csv").write_text("epoch,loss\n1,2\n")
    report = tmp_path / "report.html"
    evaluate(*arguments, "--model", "two", "--report", report)
    assert "<h2>Training curves</h2>" in report.read_text()
    assert "loss, last 2" in report.read_text()


def test_names_in_a_report_are_escaped(models: Path, arguments: list[str], tmp_path: Path) -> None:
    write_tiny_model(models / "odd", name="<script>odd</script>")
    report = tmp_path / "report.html"
    evaluate(*arguments, "--model", "odd", "--report", report)
    Page(report).check_that_it_stands_alone()


def test_a_model_with_one_head_gets_a_report_without_the_other(
    models: Path, arguments: list[str], tmp_path: Path
) -> None:
    card = json.loads((models / "one" / "card.json").read_text())
    heads = {"ferplus": card["heads"]["ferplus"]}
    write_tiny_model(models / "single", heads=heads)
    report = tmp_path / "report.html"
    evaluate(*arguments, "--model", "single", "--report", report)
    assert "The model has no head for them, or no picture has one of them." in report.read_text()


def compared(capsys: pytest.CaptureFixture[str], *arguments: object) -> list[dict[str, Any]]:
    evaluate(*arguments, "--json")
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_comparing_prints_one_object_a_model(
    models: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = compared(capsys, *arguments, "--compare", "one", "two")
    assert [first["model"], second["model"]] == ["one", "two"]
    assert first["accuracy_difference"] is None
    difference = second["ferplus"]["accuracy"] - first["ferplus"]["accuracy"]
    assert difference != 0
    assert second["accuracy_difference"] == pytest.approx(difference)
    low, high = second["accuracy_difference_interval"]
    assert low < difference < high
    for one in (first, second):
        low, high = one["intervals"]["ferplus"]["accuracy"]
        assert low <= one["ferplus"]["accuracy"] <= high
        for protocol in ("ferplus", "fer2013"):
            recalls = one["intervals"][protocol]["recall"]
            assert list(recalls) == list(one[protocol]["per_class"])
            assert {name for name, interval in recalls.items() if interval} == set(SHOWN)
            for name in SHOWN:
                low, high = recalls[name]
                assert 0 <= low <= one[protocol]["per_class"][name]["recall"] <= high <= 1
        assert one["parameters"] == one["macs"] == 48 * 48 * 15
        assert 0 < one["ms_per_face"] < 1000


def test_comparing_gives_each_model_the_numbers_it_has_alone(
    models: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    _, second = compared(capsys, *arguments, "--compare", "one", "two")
    (alone,) = compared(capsys, *arguments, "--model", "two")
    assert {name: second[name] for name in alone} == alone


def test_comparing_prints_a_table_for_people(
    models: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate(*arguments, "--compare", "one", "two")
    table = capsys.readouterr().out
    for row in (
        "accuracy",
        "difference to the first",
        "top-2 accuracy",
        "macro-F1",
        "ECE",
        "coverage",
        "selective error",
        "AURC",
        "AUROC",
        "MACs a face",
        "parameters",
        "ms a face",
    ):
        assert f"\n{row}" in table


def test_the_table_comes_in_markdown(
    models: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate(*arguments, "--compare", "one", "two", "--markdown")
    lines = capsys.readouterr().out.strip().splitlines()
    assert lines[2:4] == ["|  | one | two |", "| --- | --- | --- |"]
    assert all(line.count("|") == 4 for line in lines[2:])
    recalls = [line for line in lines if line.startswith("| recall of")]
    # Of what is drawn, and of nothing else.
    shown = [" ".join(line.split()[3:5]) for line in recalls]
    assert shown == ["happy (16)", "neutral (16)", "sad (16)", "surprise (16)"]
    assert all(re.search(r"% \(\d+–\d+%\) \|", line) for line in recalls)


@pytest.mark.parametrize(
    ("training", "shown"),
    [
        ({"minutes": 80.6, "epochs_done": 18, "network": {"name": "resnet9"}}, "81 min, 18 epochs"),
        (
            {
                "first": {"minutes": 80.4, "epochs_done": 18},
                "second": {"minutes": 108.4, "epochs_done": 46},
            },
            "189 min, 64 epochs in all",
        ),
        ({"first": {"minutes": 80.4, "epochs_done": 18}, "second": {}}, "–"),
        ({"network": {"name": "resnet9"}, "seed": 1}, "–"),
        ({}, "–"),
    ],
)
def test_the_time_of_a_training_is_told_where_all_of_it_is_known(
    models: Path,
    arguments: list[str],
    capsys: pytest.CaptureFixture[str],
    training: dict[str, Any],
    shown: str,
) -> None:
    write_tiny_model(models / "timed", training=training)
    evaluate(*arguments, "--model", "timed", "--markdown")
    assert f"| training time | {shown} |" in capsys.readouterr().out


def test_one_model_comes_in_markdown_too(
    models: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate(*arguments, "--model", "one", "--markdown")
    out = capsys.readouterr().out
    assert "|  | one |" in out
    assert "difference" not in out


def test_a_comparison_has_a_report_that_stands_alone(
    models: Path, arguments: list[str], tmp_path: Path
) -> None:
    report = tmp_path / "report.html"
    evaluate(*arguments, "--compare", "one", "two", "--report", report)
    page = Page(report)
    page.check_that_it_stands_alone()
    assert page.count("svg") == 4 + 2 * 2
    evaluate(*arguments, "--compare", "one", "--report", report)
    assert Page(report).count("svg") == 3 + 2


@pytest.mark.parametrize(
    ("added", "message"),
    [
        (["--compare", "one", "nonesuch"], 'no model "nonesuch"'),
        (["--compare", "one", "one"], 'The model "one" is named twice to be compared'),
        (["--model", "one", "--report", "nowhere/report.html"], "nowhere does not exist"),
        (["--model", "one", "--report", "."], "it is a folder"),
        (["--model", "one", "--report", "fer2013.csv"], "its name must end in .html"),
        (["--model", "one", "--report", "x" * 300], "File name too long"),
        (["--model", "one", "--history", "history.csv"], "--history belongs to"),
        (["--compare", "one", "--report", "r.html", "--history", "h.csv"], "--history belongs to"),
    ],
)
def test_wrong_usage_is_told_in_a_sentence(
    models: Path, arguments: list[str], added: list[str], message: str
) -> None:
    with pytest.raises(CommandError, match=message) as error:
        evaluate(*arguments, *added)
    assert error.value.returncode == 2


@pytest.mark.parametrize(
    ("added", "message"),
    [
        (["--compare", "one", "big"], "takes faces of 64x64 pixels"),
        (["--model", "one", "--split", "PrivateTest"], "has no PrivateTest rows"),
        (["--model", "one", "--report", "r.html", "--history", "h.csv"], "h.csv cannot be read"),
    ],
)
def test_what_cannot_be_evaluated_is_told_in_a_sentence(
    models: Path, arguments: list[str], added: list[str], message: str
) -> None:
    with pytest.raises(CommandError, match=message):
        evaluate(*arguments, *added)


def test_models_are_compared_by_the_names_they_have_here(
    models: Path, arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_tiny_model(models / "colleague", seed=8, name="one")
    report = tmp_path / "report.html"
    evaluate(*arguments, "--compare", "one", "colleague", "--json", "--report", report)
    said = capsys.readouterr()
    assert [json.loads(line)["model"] for line in said.out.splitlines()] == ["one", "colleague"]
    assert 'colleague is called "one" in its card.' in said.err
    assert "<h1>one, colleague</h1>" in report.read_text()
    evaluate(*arguments, "--compare", "one", "colleague", "--markdown")
    assert "|  | one | colleague |" in capsys.readouterr().out


def test_one_model_is_headed_by_the_name_it_has_here(
    models: Path, arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_tiny_model(models / "colleague", name="one")
    report = tmp_path / "report.html"
    evaluate(*arguments, "--model", "colleague", "--report", report)
    said = capsys.readouterr()
    assert said.out.startswith("colleague on FER-2013 with FER+ votes, PublicTest")
    assert 'colleague is called "one" in its card.' in said.err
    assert "<h1>colleague 2026.11</h1>" in report.read_text()


def test_a_report_that_may_not_be_written_is_told_before_the_work(
    models: Path, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Root may write everywhere, so the system is asked in its place.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    arguments[1] = "missing.csv"
    with pytest.raises(CommandError, match="no permission"):
        evaluate(*arguments, "--model", "one", "--report", tmp_path / "report.html")


def test_a_report_that_cannot_be_written_after_all_is_told_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"cannot be written: File name too long\."):
        reports.write(tmp_path / ("x" * 300), "reports/words.html", {})


def test_a_split_without_a_majority_is_told_in_a_sentence(
    models: Path, arguments: list[str], tmp_path: Path
) -> None:
    votes = [("PublicTest", {"happy": 5, "sad": 5})] * 64
    write_ferplus(tmp_path / "votes.csv", votes)
    with pytest.raises(CommandError, match="nothing to score"):
        evaluate(*arguments[:3], tmp_path / "votes.csv", "--model", "one")


FOREIGN = ("FER", "annotator", "voted on every", "Two label sets", "disagree")
"""What a report on people's own labels must not claim."""


def claims(text: str, which: tuple[str, ...] = FOREIGN) -> list[str]:
    # Of a page only what people read.
    shown = re.sub(r"<style>.*?</style>|<[^>]+>", " ", text, flags=re.DOTALL)
    return [claim for claim in which if claim in shown]


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for place in ("train/sad", "test/sad", "test/happy", "test/unknown"):
        for number in range(4):
            image = draw_face(Path(place).name, rng)
            write_picture(tmp_path / "mine" / place / f"{number}.png", image)
    return tmp_path / "mine"


def test_class_folders_are_reported_as_what_they_are(
    models: Path, folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "report.html"
    evaluate("faces", folders, "--model", "one", "--report", report)
    said = capsys.readouterr()
    page = Page(report)
    assert "Evaluation on mine (split folders), PublicTest" in page.text
    assert "Of 8 pictures labelled with an emotion" in page.text
    assert claims(page.text) == claims(said.out) == []
    assert said.out.startswith("one on mine (split folders), PublicTest\n\nLabels\n")
    assert "disagreement" not in said.out
    evaluate("faces", folders, "--compare", "one", "two", "--report", report)
    page = Page(report)
    assert "Comparison on mine (split folders), PublicTest" in page.text
    assert claims(page.text) == claims(capsys.readouterr().out) == []


def test_reviewed_faces_are_reported_by_their_votes(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    tallies = ({"sad": 2}, {"happy": 1}, {"happy": 2, "sad": 2})
    for number in range(len(tallies)):
        write_picture(tmp_path / f"lent/{number}.png", draw_face("sad", rng))
    rows = [
        VotedFace(f"{number}.png", tuple(tally.get(name, 0) for name in CLASSES), "", "PublicTest")
        for number, tally in enumerate(tallies)
    ]
    write_votes(tmp_path / "lent", rows)
    report = tmp_path / "report.html"
    evaluate("faces", tmp_path / "lent", "--model", "one", "--report", report)
    said = capsys.readouterr().out
    page = Page(report)
    assert "Evaluation on lent (reviewed faces), PublicTest" in page.text
    assert "Of 2 pictures on whose emotion most votes agree" in page.text
    # There people do disagree.
    assert claims(page.text) == claims(said) == ["disagree"]
    assert "votes: sad" in page.text or "votes: happy" in page.text


def test_fer2013_without_votes_is_reported_by_its_own_labels(
    models: Path, dataset: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "report.html"
    evaluate("faces", dataset[0], "--model", "one", "--report", report)
    said = capsys.readouterr().out
    assert "one on FER-2013 with its own labels, PublicTest\n\nFER-2013’s own labels\n" in said
    assert "FER-2013’s own labels, by the head for seven" in said
    for text in (said, Page(report).text):
        assert claims(text, ("FER+", "ferplus", *FOREIGN[1:])) == []


def test_a_packed_set_is_reported_by_what_its_rows_show(
    models: Path,
    dataset: tuple[Path, Path],
    folders: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    packed = [str(tmp_path / name) for name in ("public", "own")]
    call_command(
        "dataset", "pack", str(dataset[0]), "--ferplus", str(dataset[1]), "--output", packed[0]
    )
    call_command("dataset", "pack", str(folders), "--output", packed[1])
    evaluate("faces", packed[0], "--model", "one")
    assert "one on public (packed), PublicTest\n\nFER+ majority\n" in capsys.readouterr().out
    evaluate("faces", packed[1], "--model", "one")
    assert "one on own (packed), PublicTest\n\nLabels\n" in capsys.readouterr().out
