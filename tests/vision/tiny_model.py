"""A classifier of a few kilobytes, made on the spot: random but fixed weights, a real card."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from recognizer.vision.emotions import EMOTIONS

FER2013 = ["anger", "disgust", "fear", "happy", "sad", "surprise", "neutral"]

TINY_AFFECT: dict[str, Any] = {
    "valence": {"head": "fer2013", "coordinates": dict.fromkeys(FER2013, -0.5) | {"happy": 1}},
    "arousal": {"head": "ferplus", "coordinates": dict.fromkeys(EMOTIONS, 0.25)},
    "arousal_experimental": True,
}


def write_tiny_model(
    folder: Path, size: int = 48, network: bytes | None = None, seed: int = 7, **changes: Any
) -> Path:
    """Write model.onnx and card.json; `changes` replace entries of the card."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = tiny_network(size, seed=seed) if network is None else network
    (folder / "model.onnx").write_bytes(weights)
    card = tiny_card(size) | {
        "name": folder.name,
        "weights": {"file": "model.onnx", "sha256": hashlib.sha256(weights).hexdigest()},
    }
    (folder / "card.json").write_text(json.dumps(card | changes), encoding="utf-8")
    return folder


def tiny_card(size: int = 48) -> dict[str, Any]:
    """A right card, as JSON types."""
    return {
        "schema": 1,
        "name": "tiny",
        "version": "2026.11",
        "labels": list(EMOTIONS),
        "architecture": "two dense layers side by side",
        "parameters": size * size * 15,
        "macs": size * size * 15,
        "weights": {"file": "model.onnx", "sha256": "0" * 64},
        "preprocessing": {"size": size, "margin": 1.2, "shift_y": 0.05, "align": "eyes"},
        "heads": {
            "ferplus": {"labels": list(EMOTIONS), "temperature": 1.5},
            "fer2013": {"labels": FER2013, "temperature": 1.0},
        },
        "uncertainty": {
            "score": "entropy",
            "threshold": 0.5,
            "close_call_margin": 0.2,
            "min_face": 24,
            "min_sharpness": 0.01,
        },
        "metrics": {"accuracy": 0.125},
        "data": {},
        "training": {},
        "notes": "for tests",
    }


def tiny_network(
    size: int = 48, scale: float = 1.5, classes: tuple[int, int] = (8, 7), seed: int = 7
) -> bytes:
    """A serialised network from faces (N, size, size, 1) to logits of eight and of seven."""
    widths = dict(zip(("ferplus", "fer2013"), classes, strict=True))
    random = np.random.default_rng(seed)
    return linear_network(
        {
            head: random.normal(0, 1 / size, (size * size, width)).astype(np.float32) * scale
            for head, width in widths.items()
        }
    )


def linear_network(weights: dict[str, NDArray[np.float32]]) -> bytes:
    """A serialised network whose heads are linear in the pixels: (size * size, classes) each."""
    pixels = len(next(iter(weights.values())))
    size = round(pixels**0.5)
    nodes = [helper.make_node("Flatten", ["faces"], ["flat"])]
    constants = []
    for head, values in weights.items():
        constants.append(numpy_helper.from_array(values, f"{head}_weights"))
        nodes.append(helper.make_node("MatMul", ["flat", f"{head}_weights"], [head]))
    faces = helper.make_tensor_value_info("faces", TensorProto.FLOAT, ["n", size, size, 1])
    heads = [
        helper.make_tensor_value_info(head, TensorProto.FLOAT, ["n", values.shape[1]])
        for head, values in weights.items()
    ]
    graph = helper.make_graph(nodes, "tiny", [faces], heads, constants)
    opset = helper.make_opsetid("", 17)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
    serialised: bytes = model.SerializeToString()
    return serialised
