"""MTCNN's three published networks as ONNX models, made without TensorFlow.

The weights are those of the `mtcnn` package (MIT), after Zhang et al. 2016, "Joint Face
Detection and Alignment Using Multitask Cascaded Convolutional Networks". The package is only
located, never imported: importing it would import TensorFlow.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Network = Literal["pnet", "rnet", "onet"]
Weight = NDArray[np.float32]


def build(network: Network) -> bytes:
    """A serialised ONNX model of one stage.

    Input "pixels" is float32 (N, H, W, 3) RGB, normalised as (grey level - 127.5) / 128.
    Outputs are "face" (probability) and "offsets" (corners, as shares of the box's sides): for
    P-Net maps of (N, h, w) and (N, h, w, 4), else (N,) and (N, 4); O-Net adds "landmarks" (N, 10):
    five x, then five y, as shares of the box.
    """
    graph = _Graph(_load(network))
    match network:
        case "pnet":
            _convolutions(graph, [(3, "2 same"), (3, ""), (3, "")])
            outputs = {"offsets": graph.dense_map(), "face": graph.face_map()}
        case "rnet":
            _convolutions(graph, [(3, "3 same"), (3, "3"), (2, "")])
            graph.fully_connected()
            outputs = {"offsets": graph.dense(), "face": graph.face()}
        case "onet":
            _convolutions(graph, [(3, "3 same"), (3, "3"), (3, "2 same"), (2, "")])
            graph.fully_connected()
            outputs = {
                "offsets": graph.dense(),
                "landmarks": graph.dense(),
                "face": graph.face(),
            }
    return graph.serialise(network, outputs)


def _load(network: Network) -> list[Weight]:
    """The layers' arrays in the order in which Keras lists them."""
    # Only serving processes that really detect pay for this import.
    import joblib

    package = find_spec("mtcnn")
    if package is None or not package.submodule_search_locations:
        raise RuntimeError(
            "The face detector's weights come from the Python package mtcnn, which is not "
            "installed. Install the requirements: pip install -r requirements-serve.txt"
        )
    folder = Path(package.submodule_search_locations[0]) / "assets" / "weights"
    weights: list[Weight] = joblib.load(folder / f"{network}.lz4")
    return weights


def _convolutions(graph: "_Graph", layers: list[tuple[int, str]]) -> None:
    for kernel, pool in layers:
        graph.convolution(kernel)
        if pool:
            size, *same = pool.split()
            graph.max_pool(int(size), same=bool(same))


class _Graph:
    """Appends one layer after the other, taking weights in turn.

    The weights are channels-last, ONNX convolves channels-first: so the picture is transposed
    once at the entry, kernels as they are added, and the last feature map before it is flattened.
    """

    def __init__(self, weights: list[Weight]) -> None:
        from onnx import helper, numpy_helper

        self._helper: Any = helper
        self._to_tensor: Any = numpy_helper.from_array
        self._weights = iter(weights)
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._tip = self._add("Transpose", ["pixels"], perm=[0, 3, 1, 2])

    def convolution(self, kernel: int) -> None:
        """A valid convolution and its PReLU, one slope per channel."""
        self._tip = self._convolve(kernel)
        slopes = next(self._weights).reshape(-1, 1, 1)
        self._tip = self._add("PRelu", [self._tip, self._constant(slopes)])

    def max_pool(self, size: int, same: bool) -> None:
        """Stride 2. TensorFlow's "same" pads these sizes at the end only, as ceil_mode does."""
        self._tip = self._add(
            "MaxPool", [self._tip], kernel_shape=[size, size], strides=[2, 2], ceil_mode=int(same)
        )

    def fully_connected(self) -> None:
        """Flatten and the first dense layer with its PReLU.

        The package swaps height and width before flattening (its weights come from Matlab):
        width, height, channels.
        """
        turned = self._add("Transpose", [self._tip], perm=[0, 3, 2, 1])
        self._tip = self._add("Flatten", [turned], axis=1)
        self._tip = self.dense()
        self._tip = self._add("PRelu", [self._tip, self._constant(next(self._weights))])

    def dense(self) -> str:
        """A dense layer upon the tip, which stays where it is; several heads share it."""
        kernel, bias = next(self._weights), next(self._weights)
        return self._add("Gemm", [self._tip, self._constant(kernel), self._constant(bias)])

    def face(self) -> str:
        """Probability of "face", the second class, from a dense layer."""
        return self._second_class(self.dense())

    def dense_map(self) -> str:
        """As `dense`, at every place of P-Net's map; channels last."""
        return self._add("Transpose", [self._convolve(1)], perm=[0, 2, 3, 1])

    def face_map(self) -> str:
        """As `face`, at every place of P-Net's map."""
        return self._second_class(self._convolve(1))

    def serialise(self, name: str, outputs: dict[str, str]) -> bytes:
        """The model; `outputs` maps the wanted names to those of the nodes."""
        helper = self._helper
        leftover = sum(1 for _ in self._weights)
        if leftover:
            raise RuntimeError(f"{name}: {leftover} weight arrays too many; wrong mtcnn version?")
        for wanted, made in outputs.items():
            self._nodes.append(helper.make_node("Identity", [made], [wanted]))
        pixels = helper.make_tensor_value_info("pixels", 1, [None, None, None, 3])
        results = [helper.make_tensor_value_info(wanted, 1, None) for wanted in outputs]
        graph = helper.make_graph(self._nodes, name, [pixels], results, self._constants)
        # Opset and IR fixed: what today's onnx writes by default, an older ONNX Runtime may refuse.
        opset = helper.make_opsetid("", 17)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
        serialised: bytes = model.SerializeToString()
        return serialised

    def _convolve(self, kernel: int) -> str:
        weights = next(self._weights).transpose(3, 2, 0, 1)
        inputs = [self._tip, self._constant(weights), self._constant(next(self._weights))]
        return self._add("Conv", inputs, kernel_shape=[kernel, kernel])

    def _second_class(self, logits: str) -> str:
        shares = self._add("Softmax", [logits], axis=1)
        return self._add("Gather", [shares, self._constant(np.array(1))], axis=1)

    def _constant(self, values: NDArray[Any]) -> str:
        name = f"constant_{len(self._constants)}"
        self._constants.append(self._to_tensor(np.array(values, order="C"), name))
        return name

    def _add(self, kind: str, inputs: list[str], **attributes: Any) -> str:
        name = f"{kind.lower()}_{len(self._nodes)}"
        self._nodes.append(self._helper.make_node(kind, inputs, [name], **attributes))
        return name
