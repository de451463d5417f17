"""Tiny networks, fitted for real on drawn faces."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recognizer.training.datasets.faces import Faces
from recognizer.training.datasets.preparation import TrainingSet, prepare
from recognizer.training.settings import SettingsError
from recognizer.vision.preprocessing import normalize
from tests.training.release.test_framing import Whole

pytest.importorskip("tensorflow", reason="TensorFlow is needed to train")

import keras
import tensorflow as tf

from recognizer.training.fitting import (
    fitted,
    hyperparameters,
    loop,
    optimizers,
    run_folders,
    steps,
)
from recognizer.training.fitting.batches import batches
from recognizer.training.fitting.checkpoints import newest_first
from recognizer.training.fitting.fitted import logits
from recognizer.training.fitting.hyperparameters import Fitting
from recognizer.training.fitting.loop import fit
from recognizer.training.networks import (
    MiniXception,
    Network,
    ResNet9,
    SimpleCnn,
    Vgg16,
    count_macs,
)
from recognizer.training.presets import PRESETS
from recognizer.training.release import export, version

TINY = Fitting(
    epochs=2,
    batch=16,
    learning_rate=0.05,
    ema=0.9,
    mixed_precision="float32",
    network=ResNet9(widths=(4,), entry=0, blocks=(1,), dropout=0.1, squeeze=2),
)
# Large enough to tell drawn faces apart.
LEARNING = replace(
    TINY,
    learning_rate=0.1,
    network=ResNet9(widths=(4, 8), entry=0, blocks=(1, 1), dropout=0.1, squeeze=2),
    augmentation=PRESETS["gentle"],
)


@pytest.fixture(scope="module")
def training(faces: Faces) -> TrainingSet:
    return prepare(faces.split("Training"), faces.split("PublicTest").images)


@pytest.fixture(scope="module")
def held_out(faces: Faces) -> Faces:
    return faces.split("PublicTest")


def quiet(_: str) -> None:
    return None


def test_it_learns_to_tell_drawn_faces_apart(
    training: TrainingSet, held_out: Faces, tmp_path: Path
) -> None:
    model = fit(training, held_out, replace(LEARNING, epochs=30), tmp_path, quiet)
    right = logits(model, held_out.images)["fer2013"].argmax(axis=1) == held_out.labels
    assert right.mean() > 0.6  # Four kinds of faces: chance is 0.25.


def epochs_of(run: Path) -> list[str]:
    return [line.partition(",")[0] for line in (run / "history.csv").read_text().splitlines()[1:]]


@pytest.mark.parametrize(
    "how",
    [
        replace(TINY, small_epochs=1),
        replace(TINY, epochs=1, finish_epochs=1, finishes=2),
    ],
    ids=["small pictures first", "two finishes"],
)
def test_it_goes_on_exactly_where_it_was_stopped(
    training: TrainingSet, held_out: Faces, tmp_path: Path, how: Fitting
) -> None:
    straight = fit(training, held_out, how, tmp_path / "straight", quiet)

    class Killed(Exception):
        pass

    last = how.all_epochs

    def kill_before_the_last_epoch(line: str) -> None:
        if line.startswith(f"epoch {last - 1} "):
            raise Killed

    with pytest.raises(Killed):
        fit(training, held_out, how, tmp_path / "stopped", kill_before_the_last_epoch)
    # As a kill leaves it that comes before the checkpoint of the last epoch.
    run_folders.append(tmp_path / "stopped", {"epoch": last, "loss": 9, "seconds": 9})
    lines: list[str] = []
    resumed = fit(training, held_out, how, tmp_path / "stopped", lines.append)
    assert lines[0] == f"Going on after epoch {last - 1} of {last}."
    expected = [str(epoch) for epoch in range(1, last + 1)]
    assert epochs_of(tmp_path / "stopped") == epochs_of(tmp_path / "straight") == expected
    for one, other in zip(straight.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_a_kill_before_the_checkpoint_counts_no_end_twice(
    training: TrainingSet, held_out: Faces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    how = replace(TINY, epochs=1, finish_epochs=1, finishes=2)
    straight = fit(training, held_out, how, tmp_path / "straight", quiet)
    save, saved = tf.train.CheckpointManager.save, []

    def killed(self: tf.train.CheckpointManager) -> object:
        saved.append(self)
        if len(saved) == how.all_epochs:
            raise KeyboardInterrupt
        return save(self)

    with monkeypatch.context() as stopped:
        stopped.setattr(tf.train.CheckpointManager, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            fit(training, held_out, how, tmp_path / "stopped", quiet)
    resumed = fit(training, held_out, how, tmp_path / "stopped", quiet)
    for one, other in zip(straight.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_a_run_folder_of_other_settings_is_refused(
    training: TrainingSet, held_out: Faces, tmp_path: Path
) -> None:
    run_folders.claim_run(tmp_path, TINY, run_folders.fingerprint(training, held_out))
    run_folders.append(tmp_path, {"epoch": 1})
    with pytest.raises(ValueError, match=r"other settings \(seed differ"):
        fit(training, held_out, replace(TINY, seed=2), tmp_path, quiet)


def test_a_run_folder_that_does_not_say_all_settings_is_refused(tmp_path: Path) -> None:
    run_folders.claim_run(tmp_path, TINY, "data")
    run_folders.append(tmp_path, {"epoch": 1})
    config = json.loads((tmp_path / "config.json").read_text())
    del config["finishes"], config["augmentation"]["covered"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"other settings \(finishes, augmentation differ"):
        run_folders.claim_run(tmp_path, TINY, "data")


def test_a_run_that_never_finished_an_epoch_names_no_folder(tmp_path: Path) -> None:
    run_folders.claim_run(tmp_path, replace(TINY, learning_rate=1e30), "data")
    run_folders.claim_run(tmp_path, TINY, "data")
    run_folders.append(tmp_path, {"epoch": 1})
    with pytest.raises(ValueError, match=r"other settings \(learning_rate differ"):
        run_folders.claim_run(tmp_path, replace(TINY, learning_rate=1e30), "data")


def test_early_stopping_watches_other_rows_which_goes_without_saying(tmp_path: Path) -> None:
    run_folders.claim_run(tmp_path, TINY, "data")
    run_folders.append(tmp_path, {"epoch": 1})
    with pytest.raises(ValueError, match=r"other settings \(patience differ"):
        run_folders.claim_run(tmp_path, replace(TINY, patience=3), "the half of it")


def test_somebody_elses_settings_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ValueError, match="was begun with other settings"):
        run_folders.claim_run(tmp_path, TINY, "data")
    assert (tmp_path / "config.json").read_text() == '{"model_type": "bert"}'


def test_one_may_begin_with_a_run_whose_newest_checkpoint_is_damaged(
    training: TrainingSet, held_out: Faces, tmp_path: Path
) -> None:
    fit(training, held_out, replace(TINY, epochs=2, finish_epochs=0), tmp_path / "run", quiet)
    newest, before = newest_first(tmp_path / "run" / "checkpoint")
    newest.with_suffix(".index").write_bytes(b"")
    fitted.load(tmp_path / "run", TINY.network)
    before.with_suffix(".index").write_bytes(b"")
    with pytest.raises(SettingsError, match="cannot be taken for resnet9: the file is damaged"):
        fitted.load(tmp_path / "run", TINY.network)


def test_weights_of_other_widths_are_named_as_such(
    training: TrainingSet, held_out: Faces, tmp_path: Path
) -> None:
    fit(training, held_out, replace(TINY, epochs=1, finish_epochs=0), tmp_path / "run", quiet)
    with pytest.raises(SettingsError, match="its layers are others, or of other widths; give"):
        fitted.load(tmp_path / "run", ResNet9(widths=(8,), blocks=(1,), squeeze=2))


def test_a_run_folder_of_other_data_is_refused(
    training: TrainingSet, held_out: Faces, tmp_path: Path
) -> None:
    run_folders.claim_run(tmp_path, TINY, run_folders.fingerprint(training, held_out))
    run_folders.append(tmp_path, {"epoch": 1})
    images = training.images.copy()
    images[0, 0, 0] ^= 1
    with pytest.raises(ValueError, match=r"other settings \(data differ"):
        fit(replace(training, images=images), held_out, TINY, tmp_path, quiet)


def test_fewer_images_than_a_step_takes_are_refused(
    training: TrainingSet, held_out: Faces, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="a smaller `batch`"):
        fit(training, held_out, replace(TINY, batch=1000), tmp_path, quiet)


def test_layers_that_would_stay_random_are_refused(
    training: TrainingSet, held_out: Faces, tmp_path: Path
) -> None:
    how = replace(TINY, network=Vgg16(weights="none"))
    with pytest.raises(ValueError, match="would stay random"):
        fit(training, held_out, how, tmp_path / "run", quiet)
    assert not (tmp_path / "run").exists()


def test_pictures_too_small_for_the_augmentation_are_refused(
    training: TrainingSet, held_out: Faces, tmp_path: Path
) -> None:
    small = replace(training, images=training.images[:, :16, :16])
    with pytest.raises(ValueError, match=r"augmentation\.smallest = 16 is not smaller"):
        fit(small, held_out, TINY, tmp_path, quiet)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> tuple[list[float], list[list[np.ndarray]]]:
    """What the validation is to say, epoch by epoch, and the weights that it saw."""
    accuracies: list[float] = []
    seen: list[list[np.ndarray]] = []

    def score(model: keras.Model, _: Faces) -> dict[str, float]:
        seen.append(model.get_weights())
        return {"ferplus_accuracy": accuracies[len(seen) - 1], "fer2013_accuracy": np.nan}

    monkeypatch.setattr(fitted, "accuracies", score)
    return accuracies, seen


def test_it_stops_when_nothing_gets_better(
    training: TrainingSet,
    held_out: Faces,
    tmp_path: Path,
    watched: tuple[list[float], list[list[np.ndarray]]],
) -> None:
    accuracies, seen = watched
    accuracies += [0.7] * 9  # No float32: stored, it is a little less.
    fit(training, held_out, replace(TINY, epochs=9, patience=2), tmp_path, quiet)
    assert len(seen) == 3


def test_early_stopping_gives_the_best_weights(
    training: TrainingSet,
    held_out: Faces,
    tmp_path: Path,
    watched: tuple[list[float], list[list[np.ndarray]]],
) -> None:
    accuracies, seen = watched
    accuracies += [0.5, 0.8, 0.7, 0.6, 0.9]
    model = fit(training, held_out, replace(TINY, epochs=9, patience=2), tmp_path, quiet)
    assert len(seen) == 4
    for weight, best in zip(model.get_weights(), seen[1], strict=True):
        np.testing.assert_array_equal(weight, best)


def test_the_last_averaged_weights_come_out_and_not_the_last_ones(
    training: TrainingSet,
    held_out: Faces,
    tmp_path: Path,
    watched: tuple[list[float], list[list[np.ndarray]]],
) -> None:
    accuracies, seen = watched
    accuracies += [0.8, 0.5] * 2
    averaged = fit(training, held_out, TINY, tmp_path / "averaged", quiet)
    last = fit(training, held_out, replace(TINY, ema=0.0), tmp_path / "last", quiet)
    assert not np.allclose(averaged.get_weights()[0], last.get_weights()[0], atol=1e-4)
    for weight, end in zip(averaged.get_weights(), seen[1], strict=True):
        np.testing.assert_array_equal(weight, end)


def test_the_mean_of_what_each_finish_ended_with_comes_out(
    training: TrainingSet,
    held_out: Faces,
    tmp_path: Path,
    watched: tuple[list[float], list[list[np.ndarray]]],
) -> None:
    accuracies, seen = watched
    accuracies += [0.5] * 5
    how = replace(TINY, epochs=1, finish_epochs=2, finishes=2)
    model = fit(training, held_out, how, tmp_path, quiet)
    assert len(seen) == 5
    kept = fitted.load(tmp_path, how.network).get_weights()
    for weight, first, second, read in zip(
        model.get_weights(), seen[2], seen[4], kept, strict=True
    ):
        np.testing.assert_allclose(weight, (first + second) / 2, rtol=1e-5, atol=1e-7)
        np.testing.assert_array_equal(weight, read)


def test_dropout_is_another_one_at_every_step_and_in_every_layer() -> None:
    model = keras.Sequential([keras.Input((64,))] + [keras.layers.Dropout(0.5) for _ in range(2)])
    ones, masks = np.ones((1, 64), np.float32), set()
    for epoch in range(3):
        loop._seed_dropout(model, 7, epoch)
        masks |= {
            np.asarray(layer(ones, training=True)).tobytes()
            for _ in range(3)
            for layer in model.layers
        }
    assert len(masks) == 3 * 3 * 2


def test_a_loss_that_is_no_number_stops_the_run(
    training: TrainingSet, held_out: Faces, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="The loss is no number any more in epoch"):
        fit(training, held_out, replace(TINY, epochs=3, learning_rate=1e30), tmp_path, quiet)


def test_a_released_model_answers_as_the_fitted_one(
    training: TrainingSet, held_out: Faces, tmp_path: Path
) -> None:
    how = replace(TINY, epochs=3)
    disputed = np.arange(len(training)) % 3 == 0
    training = replace(training, ambiguous=disputed.astype(np.float32))
    model = fit(training, held_out, how, tmp_path / "run", quiet)
    folder = tmp_path / "tiny"
    card = export.draft(model, how, training, folder, "tiny", {}, quiet)
    classifier = version.release(card, held_out, folder, quiet, Whole())
    card = classifier.card
    assert card.name == "tiny"
    assert set(card.heads) == {"ferplus", "fer2013", "ambiguous"}
    assert card.macs == count_macs(model)
    assert card.data["images"] == len(training)
    assert card.metrics["PublicTest"]["ferplus"]["n"] == len(held_out)
    exported = classifier.logits(normalize(held_out.images), ["ferplus"])["ferplus"]
    fitted = logits(model, held_out.images)["ferplus"]
    np.testing.assert_allclose(exported, fitted, atol=1e-3)


def test_a_run_may_begin_with_the_weights_of_an_exported_model(
    training: TrainingSet, held_out: Faces, tmp_path: Path
) -> None:
    model = fit(training, held_out, TINY, tmp_path / "first", quiet)
    export.draft(model, TINY, training, tmp_path / "model", "tiny", {}, quiet)
    how = replace(TINY, start=str(tmp_path / "model"), epochs=1, learning_rate=0.0)
    again = fit(training, held_out, how, tmp_path / "second", quiet)
    for one, other in zip(model.trainable_variables, again.trainable_variables, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-6)
    with pytest.raises(ValueError, match=r"cannot be taken for resnet9: .* \(--set start=\)"):
        fit(training, held_out, replace(how, start=str(tmp_path)), tmp_path / "third", quiet)


@pytest.mark.parametrize("entry", [0, 32])
def test_the_default_network_stays_below_its_limit(entry: int) -> None:
    assert count_macs(ResNet9(entry=entry).build()) <= 100_000_000


@pytest.mark.parametrize(("entry", "channels"), [(0, 4), (5, 5)])
def test_macs_are_counted_as_by_hand(entry: int, channels: int) -> None:
    model = ResNet9(widths=(2, 3, 4), entry=entry, squeeze=1).build(size=16)
    macs = 16 * 16 * 9 * entry
    for side, before, width in ((8, channels, 2), (4, 2, 3), (2, 3, 4)):
        macs += side * side * 9 * (before * width + 2 * width * width) + 2 * width * width
    assert count_macs(model) == macs + 4 * (8 + 7 + 1)


def test_the_first_epochs_may_see_smaller_pictures(
    training: TrainingSet, held_out: Faces, tmp_path: Path
) -> None:
    """And what they learn is kept: the same variables, whatever the size."""
    how = replace(LEARNING, epochs=24, small_epochs=16, small_size=32)
    model = fit(training, held_out, how, tmp_path, quiet)
    right = logits(model, held_out.images)["fer2013"].argmax(axis=1) == held_out.labels
    assert model.input_shape[1] == 48
    assert right.mean() > 0.4  # Chance is 0.25.


def test_a_network_tied_to_its_size_cannot_begin_smaller(
    training: TrainingSet, held_out: Faces, tmp_path: Path
) -> None:
    how = replace(TINY, network=SimpleCnn(widths=(4,), dense=4), small_epochs=1)
    with pytest.raises(ValueError, match="tied to the full size"):
        fit(training, held_out, how, tmp_path / "run", quiet)
    assert not (tmp_path / "run").exists()  # So it can be tried again without small epochs.


def test_a_cpu_without_bfloat16_fits_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: "flags : sse2 avx2")
    assert hyperparameters.best_precision() == "float32"
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: "flags : avx512_bf16 amx_bf16")
    assert hyperparameters.best_precision() == "mixed_bfloat16"


def test_the_finish_is_as_rough_as_asked(training: TrainingSet) -> None:
    how = replace(TINY, epochs=1, finish_epochs=1, finish_augmentation=0.0)
    weights = np.ones(len(training))
    known = {image.tobytes() for image in normalize(training.images)}
    known |= {image.tobytes() for image in normalize(training.images[:, :, ::-1])}

    def untouched(how: Fitting, epoch: int) -> float:
        shown = [image for batch in batches(training, weights, how, epoch) for image in batch[0]]
        return float(np.mean([image.tobytes() in known for image in shown]))

    assert untouched(how, epoch=1) == 1
    assert untouched(how, epoch=0) < 0.2
    assert untouched(replace(how, finish_augmentation=1.0), epoch=1) < 0.2


@pytest.mark.parametrize("wild", [1e30, np.nan])
def test_answers_that_are_no_numbers_end_the_fitting(held_out: Faces, wild: float) -> None:
    model = TINY.network.build()
    assert fitted.accuracies(model, held_out)["ferplus_accuracy"] >= 0
    model.set_weights([weight * wild for weight in model.get_weights()])
    with pytest.raises(ValueError, match="answers are no numbers any more"):
        fitted.accuracies(model, held_out)


def test_the_finish_starts_again_low_and_ends_at_nothing() -> None:
    how = replace(TINY, epochs=3, finish_epochs=2, finish_learning_rate=0.01)
    rate = optimizers._Rate(how, steps=10)
    assert float(rate(20)) == pytest.approx(how.learning_rate)
    assert float(rate(29)) < 0.03 * how.learning_rate
    assert float(rate(30)) == pytest.approx(0.01)
    assert float(rate(49)) < 0.001


def test_every_finish_starts_where_the_first_one_did() -> None:
    how = replace(TINY, epochs=3, finish_epochs=2, finishes=3, finish_learning_rate=0.01)
    rate = optimizers._Rate(how, steps=10)
    first = [float(rate(step)) for step in range(30, 50)]
    for start in (50, 70):
        assert [float(rate(step)) for step in range(start, start + 20)] == pytest.approx(first)
    assert [epoch for epoch in range(1, 10) if how.ends_finish(epoch)] == [5, 7, 9]


def test_an_exponential_schedule_falls_to_a_hundredth() -> None:
    rate = optimizers._Rate(replace(TINY, epochs=6, schedule="exponential"), steps=10)
    assert float(rate(20)) == pytest.approx(TINY.learning_rate)
    assert float(rate(40)) == pytest.approx(TINY.learning_rate / 10)
    assert float(rate(59)) == pytest.approx(TINY.learning_rate / 100, rel=0.15)


@pytest.mark.parametrize(
    ("network", "pools"),
    [
        (ResNet9(), False),
        (SimpleCnn(), True),
        (MiniXception(), True),
        (Vgg16(weights="none"), True),
    ],
)
def test_max_pooling_is_seen_wherever_it_is(network: Network, pools: bool) -> None:
    assert steps._has_max_pooling(network.build(48)) is pools
