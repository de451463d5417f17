import os
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from recognizer.services import model_archives, model_store
from recognizer.vision.classification import DEFAULT_MODEL, ModelError
from tests.services.models import damage, own_model
from tests.vision.tiny_model import write_tiny_model

MakeZip = Callable[..., Path]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model from elsewhere, with a report."""
    folder = write_tiny_model(tmp_path / "elsewhere" / "visitor")
    (folder / "report.md").write_text("# How it does\n")
    (folder / "report").mkdir()
    (folder / "report" / "confusion.png").write_bytes(b"picture")
    return folder


@pytest.fixture
def zipped(tmp_path: Path, model: Path) -> MakeZip:
    """`zipped(extra, under)`: the model as a ZIP with further entries."""

    def write(extra: dict[str | zipfile.ZipInfo, bytes] | None = None, under: str = "") -> Path:
        target = tmp_path / "model.zip"
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(model.rglob("*")):
                if path.is_file():
                    archive.write(path, under + path.relative_to(model).as_posix())
            for name, content in (extra or {}).items():
                archive.writestr(name, content)
        return target

    return write


def left_behind() -> list[str]:
    return sorted(path.name for path in model_store.own_root().iterdir())


def test_what_is_exported_comes_in_again_with_its_report(tmp_path: Path, model: Path) -> None:
    folder = model_archives.add(model)
    assert folder == model_store.own_root() / "visitor"
    target = tmp_path / "visitor.zip"
    model_archives.export("visitor", target)
    assert sorted(zipfile.ZipFile(target).namelist()) == [
        "visitor/card.json",
        "visitor/model.onnx",
        "visitor/report.md",
        "visitor/report/confusion.png",
    ]
    again = model_archives.add(target, "again")
    for path in ("card.json", "model.onnx", "report.md", "report/confusion.png"):
        assert (again / path).read_bytes() == (model / path).read_bytes()
    assert left_behind() == ["again", "visitor"]


def test_the_same_model_gives_the_same_archive(tmp_path: Path) -> None:
    folder = own_model("mine")
    model_archives.export("mine", tmp_path / "a.zip")
    os.utime(folder / "card.json", (1, 1))
    model_archives.export("mine", tmp_path / "b.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


@pytest.mark.parametrize("under", ["", "any folder/"])
def test_a_zip_may_hold_the_files_or_one_folder_of_them(zipped: MakeZip, under: str) -> None:
    assert model_archives.add(zipped(under=under)).name == "visitor"


@pytest.mark.parametrize(
    "name",
    ["../outside.txt", "/etc/outside", "a/../../outside", "..\\outside", "C:outside", "a\nb"],
)
def test_a_zip_that_reaches_outside_is_refused(zipped: MakeZip, tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelError, match="not a plain file inside the archive"):
        model_archives.add(zipped({name: b"x"}))
    assert left_behind() == []
    assert not list(tmp_path.rglob("*outside*"))


def test_a_link_in_a_zip_is_refused(zipped: MakeZip) -> None:
    link = zipfile.ZipInfo("report.html")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(ModelError, match="not a plain file"):
        model_archives.add(zipped({link: b"/etc/passwd"}))


def test_a_zip_that_unpacks_too_large_is_refused(
    zipped: MakeZip, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_archives, "MAX_BYTES", 3_000_000)
    with pytest.raises(ModelError, match="holds more than a model has"):
        model_archives.add(zipped({"report.txt": bytes(4_000_000)}))
    assert left_behind() == []


def test_a_zip_that_lies_about_its_sizes_is_refused(
    zipped: MakeZip, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = zipped({"report.txt": bytes(4_000_000)})
    monkeypatch.setattr(model_archives, "MAX_BYTES", 3_000_000)
    raw = target.read_bytes()
    true, claimed = (4_000_000).to_bytes(4, "little"), (9).to_bytes(4, "little")
    assert true in raw
    target.write_bytes(raw.replace(true, claimed))
    with pytest.raises(ModelError):
        model_archives.add(target)
    assert left_behind() == []


def test_too_many_files_are_refused(zipped: MakeZip) -> None:
    extra: dict[str | zipfile.ZipInfo, bytes] = {f"{number}.txt": b"" for number in range(300)}
    with pytest.raises(ModelError, match="at most 200 files"):
        model_archives.add(zipped(extra))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_twice_in_a_zip_is_refused(zipped: MakeZip) -> None:
    with pytest.raises(ModelError, match="two files of the same name"):
        model_archives.add(zipped({"card.json": b"{}"}))


def test_what_is_no_zip_is_refused(tmp_path: Path, zipped: MakeZip) -> None:
    text = tmp_path / "text.zip"
    text.write_text("no archive")
    cut = zipped()
    cut.write_bytes(cut.read_bytes()[:-30])
    for path in (text, cut):
        with pytest.raises(ModelError, match="is no ZIP that can be read"):
            model_archives.add(path)
    with pytest.raises(ModelError, match="no such folder and no such file"):
        model_archives.add(tmp_path / "missing.zip")


def test_a_damaged_model_is_not_taken_in_and_its_source_is_named(model: Path) -> None:
    damage(model)
    with pytest.raises(ModelError, match="SHA-256") as refused:
        model_archives.add(model)
    assert str(refused.value).startswith(f"{model}/model.onnx")
    assert left_behind() == []


def test_links_in_a_folder_are_not_followed(model: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (model / "report.txt").symlink_to(tmp_path / "secret")
    (model / "more").symlink_to(tmp_path, target_is_directory=True)
    folder = model_archives.add(model)
    assert not (folder / "report.txt").exists()
    assert not (folder / "more").exists()


@pytest.mark.parametrize("name", [DEFAULT_MODEL, "taken", "../up"])
def test_a_name_that_is_taken_or_strange_is_refused(model: Path, name: str) -> None:
    own_model("taken")
    with pytest.raises(ModelError):
        model_archives.add(model, name)
    assert left_behind() == ["taken"]


@pytest.mark.parametrize("files", [3, 300])
def test_a_data_set_is_no_model(tmp_path: Path, files: int) -> None:
    pictures = tmp_path / "set" / "happy"
    pictures.mkdir(parents=True)
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for number in range(files):
            (pictures / f"{number}.png").write_bytes(b"picture")
            archive.write(pictures / f"{number}.png", f"set/happy/{number}.png")
    for source in (tmp_path / "set", tmp_path / "set.zip"):
        with pytest.raises(ModelError, match=r"is no model, as there is no card\.json") as refused:
            model_archives.add(source)
        assert str(refused.value).startswith(f"{source}: ")
    assert left_behind() == []


def test_an_archive_that_can_not_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    own_model("mine")
    for target, problem in {
        tmp_path: "it is a folder",
        tmp_path / "none" / "mine.zip": f"the folder {tmp_path / 'none'} does not exist",
        tmp_path / "fer2013.csv": "its name must end in .zip",
        tmp_path / "file" / "mine.zip": f"the folder {tmp_path / 'file'} does not exist",
    }.items():
        with pytest.raises(ModelError) as refused:
            model_archives.export("mine", target)
        assert str(refused.value).startswith(f"The archive {target} can't be written: {problem}")


def test_an_archive_that_can_not_be_written_after_all_is_named(tmp_path: Path) -> None:
    own_model("mine")
    target = tmp_path / f"{'x' * 300}.zip"
    with pytest.raises(OSError, match=r"^The archive .*x\.zip can't be written: File name too"):
        model_archives.export("mine", target)


def test_a_damaged_model_is_not_handed_on(tmp_path: Path) -> None:
    damage(own_model("mine"))
    with pytest.raises(ModelError, match="SHA-256"):
        model_archives.export("mine", tmp_path / "mine.zip")
    assert not list(tmp_path.glob("*mine.zip*"))
