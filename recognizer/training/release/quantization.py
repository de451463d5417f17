"""A network's convolutions in 8-bit integers: a wide network takes half the time on a CPU.

Static quantisation after training, with a scale for each channel of the weights (Jacob et al.,
"Quantization and training of neural networks for efficient integer-arithmetic-only inference",
2018; Krishnamoorthi, 2018). The heads stay in floating point. Imports no TensorFlow.
"""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnxruntime import quantization
from onnxruntime.quantization.shape_inference import quant_pre_process

from recognizer.training.augmentation import augment
from recognizer.training.presets import PRESETS
from recognizer.vision.cards import Precision
from recognizer.vision.preprocessing import normalize

# What stands between two convolutions, so that nothing is turned back into floating point there.
OPERATIONS: Final = ("Conv", "Add", "Mul", "Relu", "MaxPool")
FACES: Final = 512
"""Pictures that the ranges are taken from, each as it is and varied."""
MOST_MOVED: Final = 0.2
"""Mean share of their spread that logits may move by; resnet9's move by a twentieth."""
_BATCH: Final = 64
_WIDELY: Final = PRESETS["strong"]
"""More than in training, so that the ranges leave room for what photos bring."""


def quantize(path: Path, images: NDArray[np.uint8], seed: int = 1) -> float:
    """Replace the ONNX network in a file by one whose convolutions are of 8-bit integers.

    Args:
        path: takes "faces", as `export.write_onnx` writes it; read and written.
        images: (N, size, size) uint8 pictures that it learned from, at least one. The range of
            every layer's numbers is taken from a sample of them; what lies beyond is clipped.
        seed: of the sample and of how it is varied.

    Returns:
        How far the logits moved on the sample, as a mean share of how they spread; of the head
        whose moved most.

    Raises:
        ValueError: there is no picture, some convolutions are of integers already, or the
            answers would be others.
    """
    if not len(images):
        raise ValueError(
            "8-bit integers need pictures to take their ranges from, and the data set has no "
            "Training rows. Give one that has, or leave the model in floating point."
        )
    if precision_of(onnx.load(path)) != "float32":
        raise ValueError(
            f"{path} has convolutions of 8-bit integers already. Average the networks that it was "
            "made of instead."
        )
    sample = _varied(images, seed)
    with tempfile.TemporaryDirectory() as folder:
        shaped, small = Path(folder) / "shaped.onnx", Path(folder) / "small.onnx"
        with _quiet():
            # Without ONNX Runtime's own optimisation, which would hide what the heads are made of.
            quant_pre_process(path, shaped, skip_symbolic_shape=True, skip_optimization=True)
            quantization.quantize_static(
                shaped,
                small,
                _Ranges(sample),
                per_channel=True,
                # Of 7 bits: without VNNI, a CPU adds two products in 16 bits, which 8 would exceed.
                reduce_range=True,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
                op_types_to_quantize=list(OPERATIONS),
                nodes_to_exclude=_after_convolutions(onnx.load(shaped)),
            )
        moved = _moved(path, small, sample)
        network = onnx.load(small)
    if not moved <= MOST_MOVED:
        raise ValueError(
            "In 8-bit integers this network would answer otherwise: its logits would move by "
            f"{moved:.0%} of their spread, and {MOST_MOVED:.0%} is the most. Leave it in floating "
            "point."
        )
    network.ClearField("producer_version")
    network.ClearField("metadata_props")
    onnx.checker.check_model(network)
    onnx.save(network, path)
    return moved


def told(moved: float) -> str:
    """What `quantize` gives, in a sentence."""
    return f"In 8-bit integers, logits move by {moved:.1%} of their spread at most, on average."


def precision_of(network: onnx.ModelProto) -> Precision:
    """What the convolutions of a network calculate in."""
    constants = {one.name for one in network.graph.initializer}
    widened = {
        node.output[0]
        for node in network.graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] in constants
    }
    convolutions = [node for node in network.graph.node if node.op_type == "Conv"]
    small = [node.input[1] in widened for node in convolutions]
    if not any(small):
        return "float32"
    return "int8" if all(small) else "mixed"


def _moved(before: Path, after: Path, images: NDArray[np.uint8]) -> float:
    old, new = (_answers(path, images) for path in (before, after))
    shares = [
        float(np.abs(new[head] - said).mean() / max(said.std(), 1e-6)) for head, said in old.items()
    ]
    return max(shares)


def _answers(path: Path, images: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    parts = [session.run(names, batch) for batch in _batches(images)]
    return {name: np.concatenate(said) for name, *said in zip(names, *parts, strict=True)}


def _after_convolutions(network: onnx.ModelProto) -> list[str]:
    """Names of the nodes that lead to no convolution: the heads, whose answers are the logits."""
    leading: set[str] = set()
    after = []
    for node in reversed(network.graph.node):  # Each comes after all that it reads.
        if node.op_type == "Conv" or leading.intersection(node.output):
            leading.update(node.input)
        else:
            after.append(node.name)
    return after


def _varied(images: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    """A sample as it is, and varied, as photos are darker and brighter than data sets."""
    rng = np.random.default_rng(seed)
    chosen = images[rng.permutation(len(images))[:FACES]]
    return np.concatenate([chosen, np.stack([augment(one, _WIDELY, rng) for one in chosen])])


def _batches(images: NDArray[np.uint8]) -> Iterator[dict[str, NDArray[np.float32]]]:
    for start in range(0, len(images), _BATCH):
        yield {"faces": normalize(images[start : start + _BATCH])}


class _Ranges(quantization.CalibrationDataReader):  # type: ignore[misc]  # untyped
    """Batches of faces, as ONNX Runtime asks for them: one at a time, then None."""

    def __init__(self, images: NDArray[np.uint8]) -> None:
        self._batches = _batches(images)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        return next(self._batches, None)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the advice that ONNX Runtime gives to the root logger."""
    logger = logging.getLogger()
    disabled, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = disabled
