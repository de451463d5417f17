"""Convolutions in 8-bit integers, on a network of two convolutions and a head."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from recognizer.training.datasets.faces import Faces
from recognizer.training.release import quantization
from recognizer.training.release.averaging import average
from recognizer.training.release.quantization import precision_of, quantize
from recognizer.vision.classification import OnnxClassifier
from recognizer.vision.emotions import EMOTIONS
from recognizer.vision.preprocessing import normalize
from tests.vision.tiny_model import write_tiny_model


def convolutional(seed: int, width: int = 8) -> bytes:
    """A serialised network with a residual block, from faces to the logits of eight emotions."""
    random = np.random.default_rng(seed)
    kernels = {"first": (width, 1, 5, 5), "second": (width, width, 3, 3)}
    weights = {name: random.normal(0, 0.3, shape) for name, shape in kernels.items()}
    # As weight decay leaves them: some channels hardly say anything but their bias.
    weights["second"][: width // 4] *= 1e-6
    weights |= {"product": random.normal(0, 1, (width, 8)), "bias": random.normal(0, 1, 8)}
    weights |= {"offsets": random.normal(0, 3, width)}
    constants = [
        numpy_helper.from_array(values.astype(np.float32), name) for name, values in weights.items()
    ]
    constants.append(numpy_helper.from_array(np.array([0, 1, 48, 48]), "channels_first"))
    nodes = [
        helper.make_node("Reshape", ["faces", "channels_first"], ["planes"]),
        helper.make_node("Conv", ["planes", "first"], ["a"], strides=[4, 4]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "second", "offsets"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["b", "c"], ["d"]),
        helper.make_node("Relu", ["d"], ["e"]),
        helper.make_node("GlobalAveragePool", ["e"], ["f"]),
        helper.make_node("Flatten", ["f"], ["g"]),
        helper.make_node("MatMul", ["g", "product"], ["h"]),
        helper.make_node("Add", ["h", "bias"], ["ferplus"]),
    ]
    for number, node in enumerate(nodes):
        node.name = f"node {number}"
    faces = helper.make_tensor_value_info("faces", TensorProto.FLOAT, ["n", 48, 48, 1])
    logits = helper.make_tensor_value_info("ferplus", TensorProto.FLOAT, ["n", 8])
    graph = helper.make_graph(nodes, "convolutional", [faces], [logits], constants)
    opset = helper.make_opsetid("", 15)
    model: bytes = helper.make_model(graph, opset_imports=[opset], ir_version=8).SerializeToString()
    return model


def written(folder: Path, network: bytes) -> Path:
    heads = {"ferplus": {"labels": list(EMOTIONS), "temperature": 1.0}}
    return write_tiny_model(folder, network=network, heads=heads) / "model.onnx"


def logits(file: Path, faces: Faces) -> NDArray[np.float64]:
    """What the network in a file says, whatever its card claims of the file."""
    classifier = OnnxClassifier(written(file.parent.parent / "asked", file.read_bytes()).parent)
    return classifier.logits(normalize(faces.images), ["ferplus"])["ferplus"]


@pytest.fixture
def network(tmp_path: Path) -> Path:
    return written(tmp_path / "one", convolutional(seed=1))


def test_it_answers_nearly_as_before(network: Path, faces: Faces) -> None:
    before = logits(network, faces)
    moved = quantize(network, faces.images)
    after = logits(network, faces)
    assert 0 < np.abs(after - before).mean() < 0.03 * before.std()
    assert 0 < moved < 0.03


def test_convolutions_are_of_integers_and_heads_are_not(network: Path, faces: Faces) -> None:
    assert precision_of(onnx.load(network)) == "float32"
    quantize(network, faces.images)
    small = onnx.load(network)
    assert precision_of(small) == "int8"
    types = {one.name: one.data_type for one in small.graph.initializer}
    assert types["product"] == types["bias"] == TensorProto.FLOAT
    kernels = [name for name in types if name.startswith(("first", "second"))]
    assert {types[name] for name in kernels if name.endswith("_quantized")} == {TensorProto.INT8}
    made = {output: node.op_type for node in small.graph.node for output in node.output}
    assert made["ferplus"] == "Add"


def test_what_it_saw_of_lighter_and_darker_faces_is_not_clipped(
    network: Path, faces: Faces
) -> None:
    before = logits(network, faces)
    # A single face would set the ranges for all, were it not varied.
    quantize(network, faces.images[:1])
    assert np.abs(logits(network, faces) - before).mean() < 0.2 * before.std()


def test_the_same_pictures_give_the_same_file(network: Path, faces: Faces, tmp_path: Path) -> None:
    again = written(tmp_path / "again", network.read_bytes())
    quantize(network, faces.images)
    quantize(again, faces.images)
    assert network.read_bytes() == again.read_bytes()


def test_without_pictures_there_are_no_ranges(network: Path, faces: Faces) -> None:
    before = network.read_bytes()
    with pytest.raises(ValueError, match="no Training rows"):
        quantize(network, faces.images[:0])
    assert network.read_bytes() == before


def test_an_answer_that_would_be_another_is_refused(
    network: Path, faces: Faces, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = network.read_bytes()
    monkeypatch.setattr(quantization, "MOST_MOVED", 1e-6)
    with pytest.raises(ValueError, match="would answer otherwise"):
        quantize(network, faces.images)
    assert network.read_bytes() == before


def test_integers_are_not_made_integers_again(network: Path, faces: Faces) -> None:
    quantize(network, faces.images)
    with pytest.raises(ValueError, match="of 8-bit integers already"):
        quantize(network, faces.images)


def test_an_average_of_integers_answers_as_one_of_floats(
    network: Path, faces: Faces, tmp_path: Path
) -> None:
    members = [network, written(tmp_path / "two", convolutional(seed=2))]
    average(members, tmp_path / "float" / "model.onnx")
    before = [member.read_bytes() for member in members]
    average(members, tmp_path / "small" / "model.onnx", ranges=faces.images)
    assert [member.read_bytes() for member in members] == before
    expected = logits(tmp_path / "float" / "model.onnx", faces)
    small = logits(tmp_path / "small" / "model.onnx", faces)
    assert 0 < np.abs(small - expected).mean() < 0.03 * expected.std()
    # One that is of integers already is taken as it is.
    quantize(network, faces.images)
    average(members, tmp_path / "mixed" / "model.onnx", ranges=faces.images)
    np.testing.assert_array_equal(logits(tmp_path / "mixed" / "model.onnx", faces), small)


def test_an_average_says_what_it_is_made_of(network: Path, faces: Faces, tmp_path: Path) -> None:
    members = [network, written(tmp_path / "two", convolutional(seed=2))]
    quantize(network, faces.images)
    for given, precision in (([network], "int8"), (members, "mixed"), (members[1:], "float32")):
        average(given, tmp_path / "average.onnx")
        assert precision_of(onnx.load(tmp_path / "average.onnx")) == precision


def test_half_precision_does_not_lose_the_scales_of_integers(faces: Faces, tmp_path: Path) -> None:
    wide = written(tmp_path / "wide", convolutional(seed=3, width=256))
    quantize(wide, faces.images)
    average([wide], tmp_path / "average" / "model.onnx", mirror=False)
    expected = logits(wide, faces)
    found = logits(tmp_path / "average" / "model.onnx", faces)
    np.testing.assert_allclose(found, expected, atol=0.02 * expected.std())


def test_an_average_of_averages_is_of_integers_throughout(
    network: Path, faces: Faces, tmp_path: Path
) -> None:
    wide = written(tmp_path / "wide", convolutional(seed=3, width=256))
    inner, outer = tmp_path / "inner" / "model.onnx", tmp_path / "outer" / "model.onnx"
    average([network, wide], inner)
    average([inner], outer, ranges=faces.images, mirror=False)
    assert precision_of(onnx.load(outer)) == "int8"
    assert outer.stat().st_size < 0.6 * inner.stat().st_size
    expected = logits(inner, faces)
    assert np.abs(logits(outer, faces) - expected).mean() < 0.03 * expected.std()
