import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from django.core.management import CommandError, call_command
from numpy.typing import NDArray
from pytest_django import Settings

from recognizer.training.datasets.detected import detect
from recognizer.training.datasets.pictures import read_image
from recognizer.training.evaluation.corruptions import CORRUPTIONS
from recognizer.vision.classification import load_model
from recognizer.vision.detection import MTCNN
from recognizer.vision.emotions import EMOTIONS
from recognizer.vision.pipeline import Recognizer
from recognizer.vision.preprocessing import crop_face
from tests.training.conftest import Asked
from tests.training.drawing import SHOWN, draw_face, write_fer2013, write_ferplus
from tests.training.pictures import faceless, write_picture
from tests.vision.tiny_model import write_tiny_model


def evaluate(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    call_command("evaluate", "fer2013", *map(str, arguments), "--json")
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    result: dict[str, Any] = json.loads(out)
    return result


def test_it_prints_one_object_with_both_protocols(
    dataset: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    result = evaluate(capsys, dataset[0], "--ferplus", dataset[1])
    assert result["split"] == "PublicTest"
    assert set(result["fer2013"]) == {
        "n",
        "accuracy",
        "top2_accuracy",
        "macro_f1",
        "mean_recall",
        "ece",
        "ece_by_chance",
        "nll",
        "per_class",
        "confusion",
    }
    assert set(result["ferplus"]) - set(result["fer2013"]) == {
        "coverage",
        "selective_error",
        "aurc",
        "disagreement_auroc",
        "without_lift",
    }
    assert result["fer2013"]["n"] == result["ferplus"]["n"] == 64
    assert list(result["ferplus"]["per_class"]) == list(EMOTIONS)


def test_a_model_is_not_asked_again_where_its_answers_are_kept(
    dataset: tuple[Path, Path],
    tmp_path: Path,
    asked: Asked,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = [dataset[0], "--ferplus", dataset[1]]
    results = []
    for _ in range(2):
        results.append(evaluate(capsys, *given, "--run", tmp_path / "run"))
        assert asked.faces == 64
    assert results[0] == results[1] == evaluate(capsys, *given)
    with pytest.raises(CommandError, match="is no folder that can be written to") as refused:
        evaluate(capsys, *given, "--run", dataset[0])
    assert refused.value.returncode == 2


def test_what_a_stop_leaves_is_told_as_it_is(
    dataset: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    given = [str(dataset[0]), "--ferplus", str(dataset[1]), "--run", str(tmp_path / "run")]
    for place, expected in (
        ("recognizer.management.commands.evaluate.read_source", "Nothing was written."),
        (
            "recognizer.training.evaluation.reporting.evaluated",
            "goes on with what the models said, in",
        ),
    ):
        with monkeypatch.context() as stopped:
            stopped.setattr(place, stop)
            with pytest.raises(SystemExit):
                call_command("evaluate", "fer2013", *given)
        assert expected in capsys.readouterr().err


def test_it_scores_only_the_split_that_is_asked_for(
    dataset: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    result = evaluate(capsys, dataset[0], "--ferplus", dataset[1], "--split", "Training")
    assert result["fer2013"]["n"] == 96


def test_rows_without_a_majority_count_as_disagreement(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    rows = [("happy", "PublicTest", draw_face("happy", rng)) for _ in range(4)]
    write_fer2013(tmp_path / "a.csv", rows)
    tally = [{"happy": 9}, {"happy": 5, "sad": 5}, {"unknown": 9}, {"NF": 9}]
    write_ferplus(tmp_path / "b.csv", [("PublicTest", votes) for votes in tally])
    result = evaluate(capsys, tmp_path / "a.csv", "--ferplus", tmp_path / "b.csv")
    assert result["fer2013"]["n"] == 4
    assert result["ferplus"]["n"] == 1
    assert result["ferplus"]["disagreement_auroc"] is not None


def test_it_prints_a_table_for_people(
    dataset: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("evaluate", "fer2013", str(dataset[0]), "--ferplus", str(dataset[1]))
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 100
    # Both label sets; one bracket below the other.
    brackets = re.findall(
        r"^  (?:accuracy|ece) .*?(?=\([\d.]+–[\d.]+%?\)(?:  by chance|$))", out, re.M
    )
    assert len(brackets) == 4
    assert len(set(map(len, brackets))) == 1
    assert "In brackets 95% intervals" in out
    # Where people never disagree, nothing is told apart, and that has no interval.
    assert "  disagreement_auroc   –\n" in out
    # Nobody in the drawings is contemptuous, so there is no share of them.
    assert "  contempt             recall      –             precision      –  n 0\n" in out


def test_it_tells_what_leaked_pictures_would_be_worth(
    dataset: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows, votes = (path.read_text(encoding="utf-8").splitlines() for path in dataset)
    leaking = [tmp_path / "fer2013.csv", tmp_path / "fer2013new.csv"]
    for path, lines in zip(leaking, (rows, votes), strict=True):
        # PublicTest's last row once more, to learn from.
        copy = lines[-1].replace("PublicTest", "Training")
        path.write_text("\n".join([*lines, copy]) + "\n", encoding="utf-8")
    assert "leaks" not in evaluate(capsys, dataset[0], "--ferplus", dataset[1])

    report = tmp_path / "report.html"
    source = [leaking[0], "--ferplus", leaking[1]]
    result = evaluate(capsys, *source, "--report", report)
    leaks = result["leaks"]
    assert leaks["pictures"] == 1
    assert 0 <= leaks["accuracy"] - result["ferplus"]["accuracy"] <= 1 / 64
    assert 0 <= leaks["own_accuracy"] - result["fer2013"]["accuracy"] <= 1 / 64
    said = "Of the split’s pictures 1 is in Training, too, pixel by pixel."
    assert said in report.read_text(encoding="utf-8")
    assert "leaks" not in evaluate(capsys, *source, "--split", "Training")

    call_command("evaluate", "fer2013", *map(str, source))
    assert said in capsys.readouterr().out
    names = ["resnet9-ferplus", "accurate"]
    call_command("evaluate", "fer2013", *map(str, source), "--compare", *names, "--markdown")
    table = capsys.readouterr().out
    assert f"| accuracy, knowing 1 leaked | {leaks['accuracy']:.2%} | " in table
    assert f"| that on FER-2013's labels | {leaks['own_accuracy']:.2%} | " in table


def test_it_scores_the_pictures_spoilt_in_every_way(
    dataset: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "report.html"
    source = ["fer2013", str(dataset[0]), "--ferplus", str(dataset[1]), "--corrupted"]
    call_command("evaluate", *source, "--json", "--report", str(report))
    result = json.loads(capsys.readouterr().out)
    assert list(result["corrupted"]) == [how.key for how in CORRUPTIONS]
    untouched = result["corrupted"]["none"]
    low, high = untouched.pop("accuracy_interval")
    assert low < untouched["accuracy"] < high
    del untouched["selective_error_interval"], untouched["key"], untouched["name"]
    assert untouched == {name: result["ferplus"][name] for name in untouched}
    page = report.read_text(encoding="utf-8")
    assert 'id="corrupted-accuracy-0-title"' in page
    assert 'id="corrupted-error-0-title"' in page
    assert '<th scope="row">mouth covered</th>' in page

    call_command("evaluate", *source)
    alone = capsys.readouterr().out
    call_command("evaluate", *source, "--compare", "resnet9-ferplus", "accurate", "--markdown")
    compared = capsys.readouterr().out
    shown = f"{untouched['accuracy']:.1%} / {untouched['mean_recall']:.1%} / "
    assert re.search(rf"^  as they are +{re.escape(shown)}", alone, re.M)
    assert f"| as they are | {shown}" in compared
    chance = result["ferplus"]["ece_by_chance"]
    assert (
        f"| ECE by chance, 95% limit | {chance['expected']:.4f}, {chance['at_most']:.4f} |"
        in compared
    )
    assert compared.count("\n| ---") == 2


def test_spoilt_faces_of_photos_are_refused_as_on_the_site(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("evaluate", "faces", str(photos), "--detect", "--corrupted", "--json")
    corrupted = json.loads(capsys.readouterr().out)["corrupted"]
    assert corrupted["none"]["coverage"] == 1
    # 16 pixels are too small a face; the photos' own sides would not be.
    assert corrupted["third_size"]["coverage"] == 0
    assert corrupted["third_size"]["selective_error"] is None


def test_a_missing_file_is_named(dataset: tuple[Path, Path]) -> None:
    with pytest.raises(CommandError, match=r"missing\.csv: there is no such file"):
        call_command("evaluate", "fer2013", "missing.csv", "--ferplus", str(dataset[1]))


def test_the_votes_of_fer2013_are_asked_for(dataset: tuple[Path, Path]) -> None:
    with pytest.raises(CommandError, match="add --ferplus") as refused:
        call_command("evaluate", "fer2013", str(dataset[0]))
    assert refused.value.returncode == 2


def test_a_model_of_any_size_is_scored_on_class_folders(
    tmp_path: Path, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.MODELS_ROOT = tmp_path / "models"
    write_tiny_model(tmp_path / "models" / "large", size=64)
    rng = np.random.default_rng(0)
    for emotion in SHOWN:
        (tmp_path / "set/test" / emotion).mkdir(parents=True)
        for number in range(3):
            file = tmp_path / "set/test" / emotion / f"{number}.png"
            cv2.imwrite(str(file), draw_face(emotion, rng))
    (tmp_path / "set/test/sad/broken.png").write_text("no picture")
    source = ["faces", str(tmp_path / "set"), "--model", "large", "--json"]
    with pytest.raises(CommandError, match=r"broken\.png"):
        call_command("evaluate", *source)
    call_command("evaluate", *source, "--bad", "skip")
    scores = json.loads(capsys.readouterr().out)
    assert scores["ferplus"]["n"] == 12


@pytest.fixture
def photos(tmp_path: Path, astronaut: NDArray[np.uint8]) -> Path:
    """A photo of a smile, another way round, and a picture of nobody."""
    write_picture(tmp_path / "set/test/happy/a.png", astronaut)
    write_picture(tmp_path / "set/test/happy/b.png", astronaut[:, ::-1])
    write_picture(tmp_path / "set/test/sad/c.png", faceless())
    return tmp_path / "set"


def test_models_of_two_sizes_are_compared_on_the_faces_found(
    photos: Path, tmp_path: Path, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.MODELS_ROOT = tmp_path / "models"
    write_tiny_model(tmp_path / "models" / "large", size=64)
    compare = ["evaluate", "faces", str(photos), "--detect", "--json", "--compare"]
    call_command(*compare, "resnet9-ferplus", "large")
    found = map(json.loads, capsys.readouterr().out.splitlines())
    assert [one["ferplus"]["n"] for one in found] == [2, 2]


def test_faces_are_found_in_photos_and_cut_out_as_the_site_does(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate = ["evaluate", "faces", str(photos), "--json"]
    call_command(*evaluate, "--detect")
    told = capsys.readouterr()
    scores = json.loads(told.out)
    assert (scores["ferplus"]["n"], scores["no_face_found"]) == (2, 1)
    assert scores["ferplus"]["per_class"]["happy"]["recall"] == 1
    assert "A face was found in 2 of 3 pictures." in told.err
    call_command(*evaluate[:-1], "--detect", "--compare", "resnet9-ferplus", "accurate", "--json")
    compared = map(json.loads, capsys.readouterr().out.splitlines())
    assert [(one["no_face_found"], one["ferplus"]["n"]) for one in compared] == [(1, 2)] * 2
    # The whole photo in the face's square is no face that one could read.
    call_command(*evaluate)
    squeezed = json.loads(capsys.readouterr().out)
    assert squeezed["ferplus"]["n"] == 3
    assert "no_face_found" not in squeezed


def test_models_see_the_same_faces_each_in_its_own_way(photos: Path) -> None:
    files = sorted((photos / "test").rglob("*.png"))
    own = load_model().card.preprocessing
    wide = replace(own, margin=1.5, align="none", size=64)
    detected = detect(files, [own, wide], MTCNN())
    tight, loose = detected.crops
    assert detected.found.tolist() == [True, True, False]
    assert (tight.shape, loose.shape) == ((2, 48, 48), (2, 64, 64))
    for row, file in enumerate(files[:2]):
        image = read_image(file)
        assert not isinstance(image, str)
        face = Recognizer().recognize(image).faces[0]
        assert detected.sides[row] == max(face.box[2:])
        for crop, way in ((tight[row], own), (loose[row], wide)):
            np.testing.assert_array_equal(crop, crop_face(image, face.box, face.landmarks, way))


def test_small_faces_are_not_answered_as_on_the_site(
    photos: Path, tmp_path: Path, astronaut: NDArray[np.uint8], capsys: pytest.CaptureFixture[str]
) -> None:
    small = cv2.resize(astronaut, (112, 112), interpolation=cv2.INTER_AREA)
    write_picture(photos / "test/happy/b.png", np.asarray(small, np.uint8))
    report = tmp_path / "report.html"
    evaluate = ["evaluate", "faces", str(photos), "--detect"]
    call_command(*evaluate, "--json", "--report", str(report))
    assert json.loads(capsys.readouterr().out)["ferplus"]["coverage"] == 0.5
    assert "faces found in 2 of 3 pictures" in report.read_text(encoding="utf-8")


def test_faces_are_not_looked_for_where_there_are_no_photos(
    dataset: tuple[Path, Path], photos: Path
) -> None:
    with pytest.raises(CommandError, match="looks for faces in picture files, and there are none"):
        call_command("evaluate", "faces", str(dataset[0]), "--detect")
    for file in (photos / "test/happy").iterdir():
        file.unlink()
    with pytest.raises(CommandError, match="No face was found in any of the 1 pictures"):
        call_command("evaluate", "faces", str(photos), "--detect", "--bad", "skip")


def test_an_unknown_model_is_a_usage_error(dataset: tuple[Path, Path]) -> None:
    arguments = ["fer2013", str(dataset[0]), "--ferplus", str(dataset[1])]
    with pytest.raises(CommandError, match="nonesuch") as error:
        call_command("evaluate", *arguments, "--model", "nonesuch")
    assert error.value.returncode == 2


def test_it_runs_without_tensorflow(dataset: tuple[Path, Path], tmp_path: Path) -> None:
    for name in ("tensorflow", "keras"):
        blocked = tmp_path / f"{name}.py"
        blocked.write_text("raise ImportError('TensorFlow must not be imported to evaluate')\n")
    report = tmp_path / "report.html"
    command = [sys.executable, "manage.py", "evaluate", "fer2013", str(dataset[0])]
    done = subprocess.run(
        [*command, "--ferplus", str(dataset[1]), "--json", "--report", str(report)],
        env={"PYTHONPATH": str(tmp_path), "WEBEMOTION_DATA": str(tmp_path / "data"), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["fer2013"]["n"] == 64
    assert report.exists()
