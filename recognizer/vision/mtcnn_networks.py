"""MTCNN's three published networks as ONNX models, made without TensorFlow.

They give the published answers, but are written the way ONNX Runtime computes them fastest:

- Convolutions have a multiple of 16 outputs, filled up with zeros: so they stay in the blocked
  layout that the runtime's vector kernels want.
- It has no PReLU in that layout and would reorder every map for it, twice. So PReLU is written
  as x + max((a - 1) x, 0), the second term a convolution of one value per channel, which it
  does have. That holds for slopes a up to 1; for the few above, see `_Graph.convolution` and
  `_Graph.pooled_convolution`.
- P-Net's first PReLU, which the large maps make expensive, comes after the pooling, see
  `_Graph.pooled_convolution`.
- Dense layers take the map as it lies in memory: their weights are reordered instead.
- P-Net's two heads are one convolution, and of its two classes only the difference of their
  logits is computed: its sigmoid is the probability of the second.

The weights are those of the `mtcnn` package (MIT), after Zhang et al. 2016, "Joint Face
Detection and Alignment Using Multitask Cascaded Convolutional Networks". The package is only
located, never imported: importing it would import TensorFlow.
"""

from importlib.util import find_spec
from math import ceil
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

Network = Literal["pnet", "rnet", "onet"]
NETWORKS: Final[tuple[Network, ...]] = ("pnet", "rnet", "onet")
Weight = NDArray[np.float32]

_BLOCK = 16  # channels; on CPUs without AVX-512 the runtime's block is 8


def build(network: Network) -> bytes:
    """A serialised ONNX model of one stage.

    Input "pixels" is float32 (N, 3, H, W) RGB, 0-255. P-Net's output "map" is (N, 5, h, w): four
    offsets of the box's corners, as shares of its sides, and the logit of "face". The others'
    outputs are "face" (N, 1), a logit too, "offsets" (N, 4) and, O-Net's alone, "landmarks"
    (N, 10): five x, then five y, as shares of the box.
    """
    graph = _Graph(_load(network))
    match network:
        case "pnet":
            graph.pooled_convolution(3, 2)
            _convolutions(graph, [(3, ""), (3, "")])
            outputs = {"map": graph.heads_map()}
        case "rnet":
            _convolutions(graph, [(3, "3 same"), (3, "3"), (2, "")])
            graph.fully_connected(3)
            outputs = {"offsets": graph.dense(), "face": graph.face()}
        case "onet":
            _convolutions(graph, [(3, "3 same"), (3, "3"), (3, "2 same"), (2, "")])
            graph.fully_connected(3)
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


def _for_grey_levels(weights: Weight, bias: Weight) -> tuple[Weight, Weight]:
    """The first convolution, for 0-255 instead of (0-255 - 127.5) / 128."""
    smaller = weights * np.float32(1 / 128)
    return smaller, bias - smaller.sum(axis=(1, 2, 3)) * np.float32(127.5)


def _second_class(kernel: Weight, bias: Weight) -> tuple[Weight, Weight]:
    """Of two classes' weights, those of the logit of the second."""
    return kernel[..., 1:] - kernel[..., :1], bias[1:] - bias[:1]


def _whole_blocks(channels: int) -> int:
    return ceil(channels / _BLOCK) * _BLOCK


def _filled(weights: Weight, length: int) -> Weight:
    """With zeros, up to that length."""
    return np.pad(weights, [(0, length - len(weights)), *[(0, 0)] * (weights.ndim - 1)])


def _convolutions(graph: "_Graph", layers: list[tuple[int, str]]) -> None:
    for kernel, pool in layers:
        graph.convolution(kernel)
        if pool:
            size, *same = pool.split()
            graph.max_pool(int(size), same=bool(same))


class _Graph:
    """Appends one layer after the other, taking weights in turn.

    The weights are channels-last, ONNX convolves channels-first: so kernels are transposed as
    they are added.
    """

    def __init__(self, weights: list[Weight]) -> None:
        from onnx import helper, numpy_helper

        self._helper: Any = helper
        self._to_tensor: Any = numpy_helper.from_array
        self._weights = iter(weights)
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._tip = "pixels"
        # Which of the weights' channels the tip's are, None for the picture itself; and how much
        # of each the next layer is to take.
        self._order: NDArray[np.intp] | None = None
        self._shares = np.ones(0, np.float32)

    def convolution(self, kernel: int) -> None:
        """A valid convolution and its PReLU, one slope per channel.

        With a slope a above 1, PReLU is a x - (a - 1) max(x, 0): two channels, of slopes 1 and
        0, whose difference is left to the next layer. Both rise with x, so that still holds for
        the largest of a window, should pooling come in between.
        """
        weights, bias, slopes = self._layer()
        steep = np.flatnonzero(slopes > 1)
        order = np.concatenate([np.arange(len(bias)), steep])
        factors = np.concatenate([slopes.clip(1), np.ones(len(steep), np.float32)])
        made = weights[order] * factors.reshape(-1, 1, 1, 1), bias[order] * factors
        outputs = _whole_blocks(len(order))
        self._tip = self._convolve(_filled(made[0], outputs), _filled(made[1], outputs), kernel)
        bent = np.concatenate([slopes.clip(max=1), np.zeros(len(steep), np.float32)])
        self._tip = self._prelu(self._tip, _filled(bent, outputs))
        self._order = np.concatenate([order, np.arange(len(order), outputs)])
        self._shares = np.concatenate([np.ones(len(bias)), 1 - slopes[steep]])
        self._shares = _filled(self._shares.astype(np.float32), outputs)

    def pooled_convolution(self, kernel: int, size: int) -> None:
        """As `convolution` and `max_pool(size, same=True)`, with the PReLU after the pooling.

        A channel with a slope of 0 or more keeps its order under PReLU, so it makes no
        difference to it. With a negative slope a, PReLU(x) is max(x, a x), and the largest of
        both in a window is the larger one of high = max(x) and low = max(a x): so a x is a
        channel of its own. The larger one is low + max(high - low, 0), which is again PReLU,
        with slopes 1 and 0; the sum is left to the next convolution, which takes both.

        With a slope above 1, -PReLU(x) is z + max((a - 1) z, 0) of z = -x: so there the sign is
        turned after the pooling, and turned back by the next layer.
        """
        weights, bias, slopes = self._layer()
        rising, falling = np.flatnonzero(slopes >= 0), np.flatnonzero(slopes < 0)
        order = np.concatenate([rising, falling, falling])
        factors = np.concatenate([np.ones(len(bias)), slopes[falling]]).astype(np.float32)
        made = weights[order] * factors.reshape(-1, 1, 1, 1), bias[order] * factors
        self._tip = self._convolve(*made, kernel)
        self.max_pool(size, same=True)
        signs = np.where(slopes[order] > 1, -1, 1).astype(np.float32)
        differences = np.diag(signs)
        high = len(rising) + np.arange(len(falling))
        differences[high, high + len(falling)] = -1
        self._tip = self._add("Conv", [self._tip, self._constant(differences[:, :, None, None])])
        zeros = np.zeros(len(falling), np.float32)
        bent = np.concatenate([slopes[rising], zeros, zeros + 1])
        self._tip = self._prelu(self._tip, bent)
        self._order, self._shares = order, signs

    def _layer(self) -> tuple[Weight, Weight, Weight]:
        """The next convolution's weights for the tip's channels, bias and slopes."""
        weights, bias = next(self._weights).transpose(3, 2, 0, 1), next(self._weights)
        slopes = next(self._weights).reshape(-1)
        if self._order is None:
            weights, bias = _for_grey_levels(weights, bias)
        else:
            weights = self._for_tip(weights.swapaxes(0, 1)).swapaxes(0, 1)
        return weights, bias, slopes

    def _for_tip(self, weights: Weight) -> Weight:
        """Weights by channel (first axis) as the tip has the channels."""
        assert self._order is not None
        # Channels that were filled up have no weights.
        weights = _filled(weights, self._order.max() + 1)[self._order]
        return weights * self._shares.reshape(-1, *[1] * (weights.ndim - 1))

    def max_pool(self, size: int, same: bool) -> None:
        """Stride 2. TensorFlow's "same" pads these sizes at the end only, as ceil_mode does."""
        self._tip = self._add(
            "MaxPool", [self._tip], kernel_shape=[size, size], strides=[2, 2], ceil_mode=int(same)
        )

    def fully_connected(self, side: int) -> None:
        """The first dense layer, with its PReLU, upon a map of side x side.

        Its weights, which come from Matlab, are for width, height, channels; the map is
        channels, height, width.
        """
        kernel, bias = next(self._weights), next(self._weights)
        by_place = kernel.reshape(side, side, -1, len(bias)).transpose(2, 1, 0, 3)
        kernel = self._for_tip(by_place).reshape(-1, len(bias))
        flat = self._add("Flatten", [self._tip], axis=1)
        self._tip = self._add("Gemm", [flat, self._constant(kernel), self._constant(bias)])
        self._tip = self._add("PRelu", [self._tip, self._constant(next(self._weights))])

    def dense(self) -> str:
        """A dense layer upon the tip, which stays where it is; several heads share it."""
        kernel, bias = next(self._weights), next(self._weights)
        return self._add("Gemm", [self._tip, self._constant(kernel), self._constant(bias)])

    def face(self) -> str:
        """The logit of "face", the second class, from a dense layer."""
        kernel, bias = _second_class(next(self._weights), next(self._weights))
        return self._add("Gemm", [self._tip, self._constant(kernel), self._constant(bias)])

    def heads_map(self) -> str:
        """The offsets and the logit of "face" at every place of P-Net's map."""
        offsets, bias = next(self._weights), next(self._weights)
        face, face_bias = _second_class(next(self._weights), next(self._weights))
        weights = self._for_tip(np.concatenate([offsets, face], axis=3)[0, 0]).T
        return self._convolve(weights[:, :, None, None], np.concatenate([bias, face_bias]), 1)

    def serialise(self, name: str, outputs: dict[str, str]) -> bytes:
        """The model; `outputs` maps the wanted names to those of the nodes."""
        helper = self._helper
        leftover = sum(1 for _ in self._weights)
        if leftover:
            raise RuntimeError(f"{name}: {leftover} weight arrays too many; wrong mtcnn version?")
        for wanted, made in outputs.items():
            self._nodes.append(helper.make_node("Identity", [made], [wanted]))
        pixels = helper.make_tensor_value_info("pixels", 1, [None, 3, None, None])
        results = [helper.make_tensor_value_info(wanted, 1, None) for wanted in outputs]
        graph = helper.make_graph(self._nodes, name, [pixels], results, self._constants)
        # Opset and IR fixed: what today's onnx writes by default, an older ONNX Runtime may refuse.
        opset = helper.make_opsetid("", 17)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
        serialised: bytes = model.SerializeToString()
        return serialised

    def _convolve(self, weights: Weight, bias: Weight, kernel: int) -> str:
        inputs = [self._tip, self._constant(weights), self._constant(bias)]
        return self._add("Conv", inputs, kernel_shape=[kernel, kernel])

    def _prelu(self, x: str, slopes: Weight) -> str:
        """x + max((a - 1) x, 0), which is PReLU where no slope a is above 1."""
        return self._add("Add", [x, self._add("Relu", [self._scale(x, slopes - 1)])])

    def _scale(self, x: str, factors: Weight) -> str:
        """Multiply each channel by its factor."""
        weights = self._constant(factors.reshape(-1, 1, 1, 1))
        return self._add("Conv", [x, weights], kernel_shape=[1, 1], group=len(factors))

    def _constant(self, values: NDArray[Any]) -> str:
        name = f"constant_{len(self._constants)}"
        self._constants.append(self._to_tensor(np.array(values, order="C"), name))
        return name

    def _add(self, kind: str, inputs: list[str], **attributes: Any) -> str:
        name = f"{kind.lower()}_{len(self._nodes)}"
        self._nodes.append(self._helper.make_node(kind, inputs, [name], **attributes))
        return name
