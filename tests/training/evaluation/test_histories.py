from pathlib import Path

import pytest

from recognizer.training.evaluation.histories import read_history


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_a_history_is_grouped_into_losses_accuracies_and_the_rest(tmp_path: Path) -> None:
    text = "epoch,loss,ferplus_accuracy,fer2013_accuracy,rate,seconds\n1,2,0.5,nan,0.1,9\n"
    groups = read_history(write(tmp_path / "history.csv", text + "2,1,0.6,0.4,0.2,9\n"))
    assert [group.title for group in groups] == ["Loss", "Accuracy", "Rate"]
    assert [curve.name for curve in groups[1].curves] == ["ferplus accuracy", "fer2013 accuracy"]
    assert groups[0].curves[0].x.tolist() == [1, 2]
    assert groups[0].curves[0].y.tolist() == [2, 1]


def test_a_history_without_an_epoch_has_no_curves(tmp_path: Path) -> None:
    assert read_history(write(tmp_path / "history.csv", "epoch,loss\n")) == []
    assert read_history(write(tmp_path / "history.csv", "")) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("step,loss\n1,2\n", "no column epoch"),
        ("epoch,loss\n1,high\n", "something else than numbers"),
        ("epoch,loss\n1\n", "something else than numbers"),
    ],
)
def test_another_file_is_no_history(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_history(write(tmp_path / "history.csv", text))


def test_a_missing_history_is_named() -> None:
    with pytest.raises(ValueError, match=r"nowhere\.csv cannot be read"):
        read_history(Path("nowhere.csv"))
