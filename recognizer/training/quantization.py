"""A network's convolutions in 8-bit integers: half the time on a CPU, a quarter of the file.

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
from numpy.typing import NDArray
from onnxruntime import quantization
from onnxruntime.quantization.shape_inference import quant_pre_process

from recognizer.training.augmentation import Augmentation, augment
from recognizer.vision.preprocessing import normalize

# What stands between two convolutions, so that nothing is turned back into floating point there.
OPERATIONS: Final = ("Conv", "Add", "Mul", "Relu", "MaxPool")
FACES: Final = 512
"""Pictures that the ranges are taken from, each as it is and varied."""
_BATCH: Final = 64


def quantize(path: Path, images: NDArray[np.uint8], seed: int = 1) -> None:
    """Replace the ONNX network in a file by one whose convolutions are of 8-bit integers.

    Args:
        path: takes "faces", as `export.write_onnx` writes it; read and written.
        images: (N, size, size) uint8 pictures that it learned from, at least one. The range of
            every layer's numbers is taken from a sample of them; what lies beyond is clipped.
        seed: of the sample and of how it is varied.

    Raises:
        ValueError: there is no picture.
    """
    if not len(images):
        raise ValueError(
            "8-bit integers need pictures to take their ranges from, and the data set has no "
            "Training rows. Give one that has, or leave the model in floating point."
        )
    with tempfile.TemporaryDirectory() as folder:
        shaped, small = Path(folder) / "shaped.onnx", Path(folder) / "small.onnx"
        with _quiet():
            # Without ONNX Runtime's own optimisation, which would hide what the heads are made of.
            quant_pre_process(path, shaped, skip_symbolic_shape=True, skip_optimization=True)
            quantization.quantize_static(
                shaped,
                small,
                _Ranges(_varied(images, seed)),
                per_channel=True,
                # Of 7 bits: without VNNI, a CPU adds two products in 16 bits, which 8 would exceed.
                reduce_range=True,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
                op_types_to_quantize=list(OPERATIONS),
                nodes_to_exclude=_after_convolutions(onnx.load(shaped)),
            )
        network = onnx.load(small)
    network.ClearField("producer_version")
    network.ClearField("metadata_props")
    onnx.checker.check_model(network)
    onnx.save(network, path)


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


def is_quantized(network: onnx.ModelProto) -> bool:
    """Whether `quantize` has been at it."""
    return any(node.op_type == "QuantizeLinear" for node in network.graph.node)


def _varied(images: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    """A sample as it is, and varied, as photos are darker and brighter than data sets."""
    rng = np.random.default_rng(seed)
    chosen = images[rng.permutation(len(images))[:FACES]]
    return np.concatenate([chosen, np.stack([augment(one, Augmentation(), rng) for one in chosen])])


class _Ranges(quantization.CalibrationDataReader):  # type: ignore[misc]  # untyped
    """Batches of faces, as ONNX Runtime asks for them: one at a time, then None."""

    def __init__(self, images: NDArray[np.uint8]) -> None:
        starts = range(0, len(images), _BATCH)
        self._batches = (normalize(images[start : start + _BATCH]) for start in starts)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        batch = next(self._batches, None)
        return None if batch is None else {"faces": batch}


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the advice that ONNX Runtime gives to the root logger."""
    logger = logging.getLogger()
    disabled, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = disabled
