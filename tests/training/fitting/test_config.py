import json
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("tensorflow", reason="TensorFlow is needed to train")

from recognizer.training.augmentation import Augmentation
from recognizer.training.fitting import config
from recognizer.training.fitting.fitted import EXPORTED
from recognizer.training.fitting.hyperparameters import Fitting
from recognizer.training.networks import MiniXception, Vgg16, name_of, settings_of
from recognizer.training.presets import PRESETS
from recognizer.training.settings import SettingsError


def test_what_is_left_out_keeps_its_default(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        'epochs = 5\noptimizer = "adam"\nlearning_rate = 1\n\n'
        '[network]\nname = "mini_xception"\nwidths = [8, 16]\n\n'
        "[augmentation]\nscale = [0.9, 1]\n"
    )
    assert config.load(file) == Fitting(
        epochs=5,
        optimizer="adam",
        learning_rate=1.0,
        network=MiniXception(widths=(8, 16)),
        augmentation=Augmentation(scale=(0.9, 1.0)),
    )


def test_an_augmentation_may_go_by_its_name(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('augmentation = "gentle"\n')
    gentle = Fitting(augmentation=PRESETS["gentle"])
    assert config.load(file) == gentle != Fitting()
    assert config.with_assignments(Fitting(), ["augmentation=gentle"]) == gentle
    assert config.with_assignments(
        Fitting(), ["augmentation=gentle", "augmentation.blur=0"]
    ) == Fitting(augmentation=replace(PRESETS["gentle"], blur=0.0))


@pytest.mark.parametrize(
    "how",
    [
        Fitting(),
        replace(
            Fitting(weight_decay=1e-7, schedule="exponential"),
            network=Vgg16(weights='a "quoted" \\ näme.h5', hidden=3),
            augmentation=Augmentation(flip=0),
        ),
    ],
)
def test_what_is_written_is_read_again(how: Fitting, tmp_path: Path) -> None:
    file = tmp_path / "new folder" / "mine.toml"
    config.dump(how, file, heading="Found in a search.\n\nTwo lines.")
    assert file.read_text(encoding="utf-8").startswith("# Found in a search.\n#\n# Two lines.\n")
    assert config.load(file) == how
    assert config.from_plain(config.to_plain(how)) == how


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('augmentation = "wild"', 'augmentation must be a table or one of "default", "gentle"'),
        ("epochs = 0", "epochs = 0: input should be greater than 0."),
        ("epochs = 1.5", "epochs = 1.5: input should be a valid integer."),
        ("epochs = true", "epochs = true: input should be a valid integer."),
        ("momentum = 1.0", "momentum = 1.0: input should be less than 1."),
        ("learning_rate = inf", "learning_rate = Infinity: input should be a finite number."),
        ("seed = 1979-05-27", "1979-05-27 is a date or a time, and no setting is"),
        ("teachers = [10:00:00]", "10:00:00 is a date or a time, and no setting is"),
        ("epoch = 3\nepochz = 4", "There is no setting epoch, epochz; there are seed, start,"),
        ("[augmentation]\nscale = [1]", "augmentation.scale = [1]: input has too few values."),
        ("[augmentation]\nscale = [1, 1, 1]", "scale = [1, 1, 1]: input has too many values."),
        ('optimizer = "lion"', "optimizer = \"lion\": input should be 'sgd' or 'adam'."),
        (
            'mixed_precision = "half"',
            "input should be 'auto', 'float32' or 'mixed_bfloat16'.",
        ),
        (
            "seed = 4294967296",
            "seed = 4294967296: input should be less than or equal to 4294967295.",
        ),
        ("epoch = 3", "There is no setting epoch; there are seed, start, epochs"),
        ('network = "resnet9"', 'network = "resnet9": input should be a table.'),
        ("[network]\nhidden = 1", "network.name must be the name of an architecture"),
        ('[network]\nname = "alexnet"', 'There is no architecture "alexnet"; there are mini_'),
        ('[network]\nname = "resnet9"\ndepth = 3', "There is no setting network.depth; there are"),
        (
            '[network]\nname = "resnet9"\nhidden = "x"',
            'network.hidden = "x": input should be a valid integer.',
        ),
        (
            "[augmentation]\nflip = 2",
            "augmentation.flip = 2: input should be less than or equal to 1.",
        ),
        ("[augmentation]\nscale = [1.2, 0.8]", "input should go from the smallest to the largest."),
        ("augmentation = 3", "augmentation = 3: input should be a table."),
        ("epochs = ", "is not valid TOML"),
        ("distillation = 0.3", "distillation = 0.3 needs soft_labels, a file that `manage.py"),
        ('soft_labels = "a.npz"\nteachers = ["b"]', "are two ways of teaching; set one of them"),
        ('teachers = ["b", "a", "../{folder}/b"]', "is named twice in teachers"),
        ('teachers = "resnet9"', 'resnet9": input should be a list.'),
        ("teachers = [3]", "teachers = 3: input should be a valid string."),
        (
            '[network]\nname = "resnet9"\nwidths = []',
            "network.widths = []: input should not be empty.",
        ),
        ("epochs = 4\nfinish_epochs = 2\nsmall_epochs = 6", "leaves none of the 6 epochs"),
        ("fer2013_weight = 1", "leaves nothing of the loss to the eight emotions"),
        ("patience = 3\nfinish_epochs = 2", "set finish_epochs = 0 with it"),
        ("finishes = 3\nfinish_epochs = 0", "finishes = 3 needs finish_epochs, the epochs of"),
        ("finishes = 0", "finishes = 0: input should be greater than 0."),
    ],
)
def test_an_error_names_the_file_and_the_setting(text: str, words: str, tmp_path: Path) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text(text.replace("{folder}", tmp_path.name))
    with pytest.raises(SettingsError) as refused:
        config.load(file)
    assert words in str(refused.value)
    assert "wrong.toml" in str(refused.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.toml cannot be read"):
        config.load(tmp_path / "nowhere.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match=r"binary\.toml cannot be read"):
        config.load(tmp_path / "binary.toml")


CONFIGS = Path(config.__file__).parents[1] / "configs"


@pytest.mark.parametrize("file", sorted(CONFIGS.glob("*.toml")), ids=lambda file: file.stem)
def test_the_settings_that_come_along_need_nothing_but_a_data_set(file: Path) -> None:
    how = config.load(file)
    assert how.soft_labels == ""
    for folder in (how.start, *how.teachers) if how.start else how.teachers:
        assert Path(folder).resolve().is_relative_to(CONFIGS.parent.parent)
        assert (Path(folder) / "card.json").exists()
    assert not how.start or (Path(how.start) / EXPORTED).exists()


SHIPPED = {
    "resnet9-ferplus": CONFIGS.parents[1] / "weights" / "resnet9-ferplus",
    "resnet9-taught": CONFIGS.parent / "members" / "resnet9-taught",
    "resnet9-wide": CONFIGS.parent / "members" / "resnet9-wide",
    "resnet9-deep": CONFIGS.parent / "members" / "resnet9-deep",
    "resnet9": CONFIGS.parent / "members" / "resnet9-seed1",
    "resnet9-gentle": CONFIGS.parent / "members" / "resnet9-first",
}


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_network_was_fitted_with_what_its_file_says(name: str) -> None:
    card = json.loads((SHIPPED[name] / "card.json").read_text(encoding="utf-8"))
    how = config.load(CONFIGS / f"{name}.toml")
    said = config.to_plain(how) | {
        "start": Path(how.start).name,
        "teachers": [Path(folder).name for folder in how.teachers],
        "network": settings_of(how.network),
        # Decided for the machine.
        "mixed_precision": card["training"]["mixed_precision"],
    }
    # Some cards are older than teachers that are asked about each picture.
    assert {"teachers": [], **card["training"]}.items() >= said.items()
    assert card["architecture"] == name_of(how.network)


def test_settings_can_be_replaced_one_by_one() -> None:
    how = Fitting(network=MiniXception(widths=(8, 16)))
    assignments = [
        "balance=0.5",
        "optimizer = adam",
        "start=2026-01-01",
        "network.dropout=0.1",
        "network.name=mini_xception",
        "augmentation.scale = [0.9, 1]",
    ]
    assert config.with_assignments(how, assignments) == replace(
        how,
        balance=0.5,
        optimizer="adam",
        start="2026-01-01",
        network=MiniXception(widths=(8, 16), dropout=0.1),
        augmentation=Augmentation(scale=(0.9, 1.0)),
    )


@pytest.mark.parametrize("place", [0, 1])
def test_another_network_begins_with_its_defaults(place: int) -> None:
    how = Fitting(network=MiniXception(widths=(8, 16), dropout=0.4))
    assignments = ["network.weights=none"]
    assignments.insert(place, "network.name=vgg16")
    how = replace(how, start="runs/mini")
    assert config.with_assignments(how, assignments) == replace(
        how, network=Vgg16(weights="none"), start=""
    )


def test_settings_are_judged_when_all_are_there(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("epochs = 8\nfinish_epochs = 2\nsmall_epochs = 6\n")
    with pytest.raises(SettingsError, match="leaves none of the 5 epochs"):
        config.load(file, ["epochs=3"])
    how = config.load(file, ["epochs=3", "small_epochs=2"])
    assert (how.epochs, how.small_epochs) == (3, 2)


def test_a_start_that_is_named_beside_another_network_counts() -> None:
    how = Fitting(start="runs/first")
    named = config.with_assignments(how, ["start=runs/mini", "network.name=mini_xception"])
    assert named.start == "runs/mini"


def test_nothing_can_be_assigned_too() -> None:
    assert config.with_assignments(Fitting(start="runs/first"), ["start="]).start == ""


def test_paths_are_relative_to_the_file_that_names_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "settings").mkdir()
    monkeypatch.chdir(tmp_path)
    file = Path("settings/mine.toml")
    file.write_text(
        'start = "../runs/first"\ndistillation = 0.5\nsoft_labels = "soft.npz"\n\n'
        '[network]\nname = "vgg16"\nweights = "/data/vgg16.h5"\n'
    )
    how = config.load(file)
    assert (how.start, how.soft_labels) == ("runs/first", "settings/soft.npz")
    assert how.network == Vgg16(weights="/data/vgg16.h5")
    config.dump(how, Path("elsewhere/again.toml"))
    assert config.load(Path("elsewhere/again.toml")) == how
    monkeypatch.chdir(tmp_path / "settings")
    assert config.load(Path("mine.toml")).soft_labels == "soft.npz"


def test_teachers_are_folders_relative_to_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "settings" / "mine.toml"
    file.parent.mkdir()
    file.write_text('distillation = 0.7\nteachers = ["../members/one", "/models/two"]\n')
    how = config.load(file)
    assert how.teachers == ("members/one", "/models/two")
    config.dump(how, Path("elsewhere/again.toml"))
    assert config.load(Path("elsewhere/again.toml")) == how
    alone = config.load(file, ["teachers=[]", "distillation=0"])
    assert (alone.teachers, alone.distillation) == ((), 0)


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("balance", '"balance" sets nothing; expected NAME=VALUE'),
        ("=1", "sets nothing"),
        ("", "sets nothing"),
        ("#balance=1", "There is no setting #balance"),
        ("balance=0.5\nema=0.9", 'balance = .*ema=0.9": input should be a valid number.'),
        ("balanse=1", "There is no setting balanse"),
        ("balance=much", 'balance = "much": input should be a valid number.'),
        ("balance.more=1", r"There is no setting balance\.more"),
        ("network=resnet9", 'network = "resnet9": input should be a table.'),
        ("network.widht=3", r"network\.widht"),
        ("network.name=alexnet", "alexnet"),
    ],
)
def test_an_assignment_that_is_none_is_refused(assignment: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        config.with_assignments(Fitting(), [assignment])
