"""The graphs against plain NumPy, with slopes of every kind."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from recognizer.vision import mtcnn_networks
from recognizer.vision.mtcnn_networks import NETWORKS, Network

Floats = NDArray[Any]
# Kernel and pooling of each convolution, as in Zhang et al. 2016.
LAYERS = {
    "pnet": [(3, 2), (3, 0), (3, 0)],
    "rnet": [(3, 3), (3, 3), (2, 0)],
    "onet": [(3, 3), (3, 3), (3, 2), (2, 0)],
}
# TensorFlow's "valid", which drops what does not fill a window.
VALID = {("rnet", 1), ("onet", 1)}
OUTPUTS = {"rnet": ["offsets", "face"], "onet": ["offsets", "landmarks", "face"]}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("network", NETWORKS)
def test_any_slopes_give_the_answers_of_plain_layers(
    network: Network, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(seed)
    weights = [_with_any_slopes(one, rng) for one in mtcnn_networks._load(network)]
    monkeypatch.setattr(mtcnn_networks, "_load", lambda _: weights)
    side = {"pnet": 31, "rnet": 24, "onet": 48}[network]
    pixels = rng.integers(0, 256, (2, 3, side, side)).astype(np.float32)
    session = onnxruntime.InferenceSession(mtcnn_networks.build(network))
    expected = plainly(network, iter(weights), pixels)
    found = session.run([*expected], {"pixels": pixels})
    for answer, (name, wanted) in zip(found, expected.items(), strict=True):
        scale = np.abs(wanted).max()
        np.testing.assert_allclose(answer, wanted, atol=1e-4 * scale, err_msg=name)


def _with_any_slopes(weights: NDArray[np.float32], rng: np.random.Generator) -> Floats:
    """Slopes below 0, between 0 and 1, and above 1 for those of convolutions."""
    is_slopes = weights.ndim == 3
    slopes = rng.uniform(-1.5, 2, weights.shape).astype(np.float32)
    return slopes if is_slopes else weights


def plainly(network: Network, weights: Iterator[Floats], pixels: Floats) -> dict[str, Floats]:
    """What the package's layers compute, one after the other."""
    x = (pixels.transpose(0, 2, 3, 1).astype(np.float64) - 127.5) / 128
    for number, (kernel, pool) in enumerate(LAYERS[network]):
        x = prelu(convolve(x, next(weights), next(weights), kernel), next(weights))
        if pool:
            x = largest(x, pool, whole=(network, number) not in VALID)
    if network == "pnet":
        offsets = convolve(x, next(weights), next(weights), 1)
        face = convolve(x, next(weights), next(weights), 1)
        answer = np.concatenate([offsets, face[..., 1:] - face[..., :1]], axis=3)
        return {"map": answer.transpose(0, 3, 1, 2)}
    # Width, height, channels: the weights come from Matlab.
    flat = x.transpose(0, 2, 1, 3).reshape(len(x), -1)
    x = prelu(flat @ next(weights) + next(weights), next(weights))
    answers = {name: x @ next(weights) + next(weights) for name in OUTPUTS[network]}
    answers["face"] = answers["face"][:, 1:] - answers["face"][:, :1]
    return answers


def convolve(x: Floats, kernel: Floats, bias: Floats, side: int) -> Floats:
    windows = sliding_window_view(x, (side, side), axis=(1, 2))
    convolved: Floats = np.einsum("nhwcij,ijco->nhwo", windows, kernel, optimize=True) + bias
    return convolved


def prelu(x: Floats, slopes: Floats) -> Floats:
    answer: Floats = np.maximum(x, 0) + slopes.reshape(-1) * np.minimum(x, 0)
    return answer


def largest(x: Floats, side: int, *, whole: bool) -> Floats:
    """Max-pooling by twos; `whole` also takes windows that the map's end cuts off."""
    if whole:
        rest = [max(0, (-(-size // 2) - 1) * 2 + side - size) for size in x.shape[1:3]]
        filled = [(0, 0), (0, rest[0]), (0, rest[1]), (0, 0)]
        x = np.pad(x, filled, constant_values=-np.inf)
    pooled: Floats = sliding_window_view(x, (side, side), axis=(1, 2))[:, ::2, ::2].max(axis=(4, 5))
    return pooled
