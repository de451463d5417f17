"""Every architecture: built, counted, exported, and made from plain data."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="TensorFlow is needed to train")

import keras
from keras import layers
from keras.src.applications import resnet

from recognizer.training.networks import (
    ARCHITECTURES,
    FEATURES,
    HEAD_WIDTHS,
    MiniXception,
    Network,
    ResNet9,
    ResNet50,
    SimpleCnn,
    Vgg16,
    changed,
    count_macs,
    name_of,
    network_from,
    settings_of,
    without_weights,
)
from recognizer.training.networks.pretrained import Pretrained, build_on, require_taught
from recognizer.training.release import export
from recognizer.training.release.non_faces import LinearHead
from recognizer.training.settings import SettingsError
from recognizer.vision.preprocessing import normalize

SMALL: list[Network] = [
    ResNet9(widths=(4, 8), entry=0, blocks=(1, 1), squeeze=2),
    ResNet9(widths=(4, 8), entry=4, blocks=(1, 2), squeeze=2),
    SimpleCnn(widths=(4, 8), dense=16),
    MiniXception(stem=2, widths=(4, 8)),
]
PRETRAINED: list[Pretrained] = [Vgg16(), ResNet50()]


@pytest.fixture(scope="module")
def vgg16() -> keras.Model:
    return Vgg16(unfrozen=4, hidden=5).build()


@pytest.fixture(scope="module")
def resnet50() -> keras.Model:
    return ResNet50(unfrozen=4).build()


def tiny(include_top: bool, weights: str | None, input_shape: tuple[int, ...]) -> keras.Model:
    """Made as those of `keras.applications` are, in a moment."""
    assert not include_top
    assert weights is None
    picture = keras.Input(input_shape)
    x = layers.Conv2D(4, 3, strides=2)(picture)
    return keras.Model(picture, layers.BatchNormalization()(x), name="tiny")


def faces(count: int, size: int = 48) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(count, size, size, 1)).astype(np.float32)


def test_all_architectures_are_known_by_name() -> None:
    assert set(ARCHITECTURES) == {"resnet9", "simple_cnn", "mini_xception", "vgg16", "resnet50"}
    assert {name_of(network) for network in [*SMALL, *PRETRAINED]} == set(ARCHITECTURES)


@pytest.mark.parametrize("network", SMALL, ids=name_of)
def test_a_network_gives_features_and_all_heads_and_exports(
    network: Network, tmp_path: Path
) -> None:
    model = network.build()
    assert model.get_layer(FEATURES).output.shape[0] is None
    assert len(model.get_layer(FEATURES).output.shape) == 2
    answers = model(faces(3), training=False)
    assert {head: answer.shape for head, answer in answers.items()} == {
        head: (3, width) for head, width in HEAD_WIDTHS.items()
    }
    export.write_onnx(model, tmp_path / "model.onnx")  # Compares the answers of both.
    assert (tmp_path / "model.onnx").stat().st_size > 5_000


@pytest.mark.slow
def test_vgg16_exports_with_small_faces_enlarged_inside(tmp_path: Path) -> None:
    export.write_onnx(Vgg16().build(size=16), tmp_path / "model.onnx")


def test_the_layers_of_resnet50_export(resnet50: keras.Model, tmp_path: Path) -> None:
    """Those of the first blocks, with few channels: all 24 million weights take long to write."""

    def narrow(include_top: bool, weights: str | None, input_shape: tuple[int, ...]) -> keras.Model:
        def blocks(x: keras.KerasTensor) -> keras.KerasTensor:
            x = resnet.stack_residual_blocks_v1(x, 4, 2, stride1=1, name="conv2")
            return resnet.stack_residual_blocks_v1(x, 8, 2, name="conv3")

        return resnet.ResNet(
            blocks,
            preact=False,
            use_bias=True,
            include_top=include_top,
            weights=weights,
            input_shape=input_shape,
            name="narrow",
        )

    model = build_on(narrow, "none", 4, size=48, dropout=0.1, hidden=0)
    layers_of = {type(layer) for layer in resnet50.get_layer("resnet50").layers}
    assert layers_of == {type(layer) for layer in model.get_layer("narrow").layers}
    export.write_onnx(model, tmp_path / "model.onnx")


def test_the_way_into_a_backbone_exports(tmp_path: Path) -> None:
    model = build_on(tiny, "none", 1, size=16, dropout=0.1, hidden=3)
    assert model.get_layer("tiny").input.shape == (None, 32, 32, 3)
    export.write_onnx(model, tmp_path / "model.onnx")


def test_only_the_last_layers_of_vgg16_learn(vgg16: keras.Model) -> None:
    learning = {variable.path.split("/")[-2] for variable in vgg16.trainable_variables}
    block = {"block5_conv1", "block5_conv2", "block5_conv3"}
    assert learning == block | {"hidden"} | set(HEAD_WIDTHS)


def test_frozen_batch_normalisation_keeps_its_statistics(resnet50: keras.Model) -> None:
    backbone = resnet50.get_layer("resnet50")
    norms = [one for one in backbone.layers if isinstance(one, layers.BatchNormalization)]
    before = [norm.moving_mean.numpy() for norm in norms]
    resnet50(faces(2), training=True)
    changes = [
        bool((norm.moving_mean.numpy() != old).any())
        for norm, old in zip(norms, before, strict=True)
    ]
    # Of the last four layers one is a normalisation.
    assert changes == [False] * (len(norms) - 1) + [True]


def test_what_is_no_face_is_told_by_the_last_two_stages() -> None:
    model = ResNet9(widths=(8, 16, 24)).build()
    pictures = np.random.default_rng(0).integers(0, 256, (3, 48, 48)).astype(np.uint8)
    head = LinearHead(np.random.default_rng(1).normal(size=16 + 24), 0.5)
    seen = export.features_of(model)(pictures)
    last = keras.Model(model.input, model.get_layer(FEATURES).output)
    np.testing.assert_allclose(seen[:, -24:], last(normalize(pictures)), atol=1e-5)
    whole = export.with_head(model, "not_a_face", head)
    answers = whole(normalize(pictures))["not_a_face"][:, 0]
    np.testing.assert_allclose(answers, head.logits(seen), atol=1e-4)


def test_a_head_that_saw_the_last_stage_alone_still_does() -> None:
    model = ResNet9(widths=(8, 16, 24)).build()
    pictures = np.random.default_rng(0).integers(0, 256, (3, 48, 48)).astype(np.uint8)
    head = LinearHead(np.random.default_rng(1).normal(size=24), 0.5)
    seen = export.features_of(model)(pictures)[:, -24:]
    whole = export.with_head(model, "not_a_face", head)
    answers = whole(normalize(pictures))["not_a_face"][:, 0]
    np.testing.assert_allclose(answers, head.logits(seen), atol=1e-4)


def test_a_network_without_named_stages_has_its_features_alone() -> None:
    model = SimpleCnn().build()
    pictures = np.random.default_rng(0).integers(0, 256, (3, 48, 48)).astype(np.uint8)
    last = keras.Model(model.input, model.get_layer(FEATURES).output)
    np.testing.assert_allclose(
        export.features_of(model)(pictures), last(normalize(pictures)), atol=1e-6
    )


def test_a_backbone_sees_faces_as_its_pictures_were() -> None:
    def as_it_is(include_top: bool, weights: None, input_shape: tuple[int, ...]) -> keras.Model:
        picture = keras.Input(input_shape)
        return keras.Model(picture, layers.Identity()(picture))

    model = build_on(as_it_is, "none", 1, size=48, dropout=0, hidden=0)
    levels = np.random.default_rng(0).integers(60, 180, (1, 48, 48, 1)).astype(np.float32)
    pictures = np.repeat((levels - levels.mean()) / levels.std() * 57.0 + 117.4, 3, axis=3)
    expected = keras.applications.vgg16.preprocess_input(np.clip(pictures, 0, 255))
    pooled = keras.Model(model.input, model.get_layer(FEATURES).output)
    seen = pooled((levels - levels.mean()) / levels.std())
    np.testing.assert_allclose(seen, expected.mean(axis=(1, 2)), atol=1e-2)


def test_a_backbone_begins_with_the_weights_of_a_file(tmp_path: Path) -> None:
    taught = tiny(include_top=False, weights=None, input_shape=(32, 32, 3))
    # The second is the format of Keras' own …_notop.h5.
    for file in (tmp_path / "taught.weights.h5", tmp_path / "taught.h5"):
        taught.save_weights(file) if ".weights" in file.name else taught.save(file)
        model = build_on(tiny, str(file), 1, 48, 0.1, 0)
        for one, other in zip(
            taught.get_weights(), model.get_layer("tiny").get_weights(), strict=True
        ):
            np.testing.assert_array_equal(one, other)


def test_weights_of_another_network_are_refused_in_plain_words(tmp_path: Path) -> None:
    other = keras.Sequential([keras.Input((32, 32, 1)), layers.Conv2D(64, 3, padding="same")])
    other.save_weights(tmp_path / "other.weights.h5")
    with pytest.raises(SettingsError, match=r"other\.weights\.h5 does not hold the weights of vgg"):
        Vgg16(weights=str(tmp_path / "other.weights.h5")).build()


@pytest.mark.parametrize(
    ("name", "words"),
    [("missing.h5", "there is no file"), ("notes.txt", "must be a file of Keras weights")],
)
def test_what_is_no_file_of_weights_is_refused(name: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(SettingsError, match=words):
        Vgg16(weights=str(tmp_path / name)).build()


def test_a_broken_file_of_weights_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.weights.h5").write_text("hello")
    with pytest.raises(SettingsError, match="does not hold the weights of tiny"):
        build_on(tiny, str(tmp_path / "broken.weights.h5"), 1, 48, 0.1, 0)


def test_without_internet_it_says_how_to_get_imagenet_weights(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # Nothing listens on port 9, and nothing has been fetched before.
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path))
    with pytest.raises(SettingsError, match=r"cannot be fetched .* or set weights to the path"):
        Vgg16(weights="imagenet").build()


def test_fitted_weights_are_served_without_fetching_the_first_ones() -> None:
    assert without_weights(Vgg16(weights="gone.h5", unfrozen=2)) == Vgg16(unfrozen=2)
    assert without_weights(SMALL[0]) is SMALL[0]


@pytest.mark.parametrize("network", PRETRAINED, ids=name_of)
def test_layers_that_would_stay_random_are_refused(network: Pretrained) -> None:
    for unfrozen in (0, network.unfrozen, network.layers - 1):
        with pytest.raises(SettingsError) as refused:
            require_taught(changed(network, unfrozen=unfrozen))
        words = str(refused.value)
        assert f"All but the last {unfrozen} layers of {name_of(network)} would stay" in words
        assert 'Set network.weights to "imagenet"' in words
        assert f"network.unfrozen = {network.layers}" in words


@pytest.mark.parametrize("network", PRETRAINED, ids=name_of)
def test_a_network_may_be_taught_or_learn_everything(network: Pretrained) -> None:
    require_taught(changed(network, weights="imagenet"))
    require_taught(changed(network, weights="taught.h5", unfrozen=0))
    require_taught(changed(network, unfrozen=network.layers))
    require_taught(SMALL[0])


def test_what_is_said_to_unfreeze_everything_does(
    vgg16: keras.Model, resnet50: keras.Model
) -> None:
    for network, model in zip(PRETRAINED, (vgg16, resnet50), strict=True):
        with_weights = [bool(one.weights) for one in model.get_layer(name_of(network)).layers]
        assert with_weights[-network.layers]
        assert not any(with_weights[: -network.layers])


def test_heads_stay_in_float32_in_mixed_precision() -> None:
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        for network in [*SMALL, Vgg16(hidden=4)]:
            model = network.build()
            assert model.get_layer(FEATURES).compute_dtype == "bfloat16"
            assert {answer.dtype.name for answer in model(faces(1)).values()} == {"float32"}
    finally:
        keras.mixed_precision.set_global_policy("float32")


def test_macs_of_separable_and_grouped_convolutions_are_counted_as_by_hand() -> None:
    picture = keras.Input((10, 8, 4))
    x = layers.SeparableConv2D(6, 3, padding="same", depth_multiplier=2)(picture)
    x = layers.DepthwiseConv2D(5, strides=2, padding="same")(x)
    x = layers.Conv2D(9, (3, 1), groups=3, padding="valid")(x)
    model = keras.Model(picture, layers.Dense(2)(x))
    separable = 10 * 8 * (4 * 2 * 9 + 4 * 2 * 6)
    depthwise = 5 * 4 * 6 * 25
    grouped = 3 * 4 * 9 * 3 * (6 // 3)
    dense = 3 * 4 * 9 * 2
    assert count_macs(model) == separable + depthwise + grouped + dense


def test_macs_of_mini_xception_are_counted_as_by_hand() -> None:
    stem = 46 * 46 * 9 * 8 + 44 * 44 * 9 * 8 * 8
    blocks = 0
    for side, before, width in ((44, 8, 16), (22, 16, 32), (11, 32, 64), (6, 64, 128)):
        blocks += side * side * (before * (9 + width) + width * (9 + width))
        blocks += ((side + 1) // 2) ** 2 * before * width
    model = MiniXception().build()
    assert count_macs(model) == stem + blocks + 128 * (8 + 7 + 1)
    assert model.count_params() < 60_000


def test_macs_of_a_backbone_are_counted_as_by_hand(vgg16: keras.Model) -> None:
    blocks = [(48, 3, 64, 2), (24, 64, 128, 2), (12, 128, 256, 3), (6, 256, 512, 3)]
    total = 0
    for side, before, width, depth in [*blocks, (3, 512, 512, 3)]:
        total += side * side * 9 * (before * width + (depth - 1) * width * width)
    assert count_macs(vgg16) == total + 512 * 5 + 5 * (8 + 7 + 1)


def test_the_hidden_layer_lies_between_features_and_heads() -> None:
    for network in SMALL:
        plain, wider = network.build(), changed(network, hidden=12).build()
        width = plain.get_layer(FEATURES).output.shape[1]
        assert wider.get_layer("hidden").input.shape[1] == width
        assert count_macs(wider) - count_macs(plain) == width * 12 + (12 - width) * 16


@pytest.mark.parametrize("network", [*SMALL, *PRETRAINED], ids=name_of)
def test_settings_make_the_same_network_again(network: Network) -> None:
    assert network_from(name_of(network), settings_of(network)) == network


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("resnet10", {}, 'no architecture "resnet10"; there are mini_xception, resnet50, resnet9'),
        ("vgg16", {"layers": 3}, "no setting layers; there are weights, unfrozen, dropout, hidden"),
        ("vgg16", {"unfrozen": "all"}, 'unfrozen = "all": input should be a valid integer.'),
        ("vgg16", {"unfrozen": True}, "unfrozen = true: input should be a valid integer."),
        ("vgg16", {"unfrozen": -1}, "unfrozen = -1: input should be greater than or equal to 0."),
        ("vgg16", {"weights": 7}, "weights = 7: input should be a valid string."),
        ("resnet9", {"dropout": 1.0}, "dropout = 1.0: input should be less than 1."),
        ("resnet9", {"dropout": float("nan")}, "dropout = NaN: input should be a finite number."),
        (
            "resnet9",
            {"widths": [1, 2]},
            "as many blocks as widths, one number for each stage, not 3 for 2",
        ),
        ("resnet9", {"widths": [], "blocks": []}, "blocks = []: input should not be empty."),
        ("resnet9", {"widths": 64}, "widths = 64: input should be a list."),
        ("resnet9", {"widths": [8, 8, 0]}, "widths = 0: input should be greater than 0."),
        ("resnet9", {"widths": ["a"]}, 'widths = "a": input should be a valid integer.'),
        ("simple_cnn", {"widths": []}, "widths = []: input should not be empty."),
    ],
)
def test_wrong_settings_are_named(name: str, given: dict[str, object], words: str) -> None:
    with pytest.raises(SettingsError) as refused:
        network_from(name, given)
    assert words in str(refused.value)
