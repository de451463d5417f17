"""Exported models in one: their logits averaged, over several views of each face.

Averaging independently fitted networks is the oldest way to a better one (Hansen and Salamon,
1990); averaging what one network says about shifted pictures and their mirror images is nearly
as old ("ten-crop", Krizhevsky et al., 2012). The result is one ONNX file with the same inputs
and outputs as its members. Imports no TensorFlow.
"""

import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, compose, helper, numpy_helper

from recognizer.training.release.calibration import CLOSE_CALL_MARGIN
from recognizer.training.release.quantization import precision_of, quantize
from recognizer.training.release.version import NOTES, VOTES, file_hash, write_labels
from recognizer.vision.cards import NOT_A_FACE_HEAD, Head, ModelCard, UncertaintyRule, Weights
from recognizer.vision.classification import OnnxClassifier
from recognizer.vision.emotions import EMOTIONS

OPSET_OF_EVEN_SPLITS = 18
LARGEST_SHIFT = 8  # Pixels; a shift beyond leaves too little of the face.
# Weights of this many values and more are kept in half precision on disk.
LARGE = 256
# A probability this near to 0 or to 1 counts as that near, as their logits have no end.
CERTAIN = 1e-6


def average(
    members: Sequence[Path],
    path: Path,
    *,
    mirror: bool = True,
    shift: int = 0,
    ranges: NDArray[np.uint8] | None = None,
) -> None:
    """Write the average of ONNX models that take "faces" of the same size.

    Args:
        members: model.onnx files. An output that only some of them have is the average of
            those.
        path: where to write.
        mirror: also average over each face and its mirror image, for twice the work.
        shift: instead of each face as it is, average over it moved by so many pixels towards
            each of the four corners, the edge repeated, every other one mirrored if `mirror`,
            for four times the work in all; 0 does not.
        ranges: (N, size, size) uint8 pictures to learn from, to have the convolutions of all
            members in 8-bit integers, see `quantization.quantize`; None leaves each as it is.

    Raises:
        ValueError: there is no member, or they take other sizes, or there is no picture, or
            the shift is negative or above LARGEST_SHIFT.
    """
    if not members:
        raise ValueError("There is no model to average; name at least one.")
    require_shift(shift)
    networks = [_loaded(member, ranges) for member in members]
    opset = max(_opset(network) for network in networks)
    networks = [onnx.version_converter.convert_version(network, opset) for network in networks]
    size = _shape(networks[0].graph.input[0])[1]
    for member, network in zip(members, networks, strict=True):
        if _shape(network.graph.input[0])[1] != size:
            raise ValueError(
                f"{member} has another input size than {members[0]}; only models that take the "
                "same size can be averaged."
            )
    nodes, constants, seen = _views(size, mirror, shift)
    answers: dict[str, list[str]] = {}
    outputs: dict[str, onnx.ValueInfoProto] = {}
    for number, network in enumerate(networks):
        for output in network.graph.output:
            shape: list[str | int | None] = ["n", _shape(output)[-1]]
            value = helper.make_tensor_value_info(output.name, TensorProto.FLOAT, shape)
            outputs.setdefault(output.name, value)
            answers.setdefault(output.name, []).append(f"m{number}_{output.name}")
        part = compose.add_prefix(network, f"m{number}_").graph
        nodes += [_reading(node, f"m{number}_faces", seen) for node in part.node]
        constants += part.initializer
    for head, parts in answers.items():
        nodes += _mean(head, parts, count_views(mirror, shift))
    nodes, constants = _halved(nodes, constants)
    faces = helper.make_tensor_value_info("faces", TensorProto.FLOAT, ["n", size, size, 1])
    graph = helper.make_graph(nodes, "average", [faces], [*outputs.values()], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)


def draft(
    members: Sequence[OnnxClassifier],
    folder: Path,
    name: str,
    *,
    mirror: bool = True,
    shift: int = 0,
    ranges: NDArray[np.uint8] | None = None,
) -> ModelCard:
    """Write `folder`/model.onnx, the average of the members; its card, not calibrated yet.

    The arguments are those of `average`.

    Raises:
        ValueError: see `average`.
    """
    cards = [member.card for member in members]
    heads: dict[str, Head] = {}
    for card in cards:
        for label_set, head in card.heads.items():
            if heads.setdefault(label_set, Head(head.labels, 1.0)).labels != head.labels:
                raise ValueError(
                    f"{card.name} has the labels of its head {label_set} in another order than "
                    f"{cards[0].name}; only like heads can be averaged."
                )
    path = folder / "model.onnx"
    weights = [member.weights for member in members]
    average(weights, path, mirror=mirror, shift=shift, ranges=ranges)
    write_labels(path, {label_set: head.labels for label_set, head in heads.items()})
    *names, last = (f"{card.name} {card.version}" for card in cards)
    of = f"{', '.join(names)} and {last}" if names else last
    return ModelCard(
        name=name,
        version=f"{datetime.now(UTC):%Y.%m.%d}",
        architecture=f"average of {of}{_seen_how(mirror, shift)}",
        parameters=sum(card.parameters for card in cards),
        macs=count_views(mirror, shift) * sum(card.macs for card in cards),
        weights=Weights(path.name, file_hash(path), precision_of(onnx.load(path))),
        preprocessing=cards[0].preprocessing,
        heads=heads,
        uncertainty=UncertaintyRule(
            "confidence", 1.0, CLOSE_CALL_MARGIN, not_a_face=no_face_threshold(cards)
        ),
        data=_data(cards),
        training={name: card.training for name, card in _named(cards).items()},
        notes=NOTES,
    )


def _named(cards: Sequence[ModelCard]) -> dict[str, ModelCard]:
    """The members by their names; of one name, by name, version and weights."""
    names = [card.name for card in cards]
    return {
        card.name
        if names.count(card.name) == 1
        else f"{card.name} {card.version} {card.weights.sha256[:8]}": card
        for card in cards
    }


def _data(cards: Sequence[ModelCard]) -> dict[str, Any]:
    """What all members say of their data, and under `members` what only some do.

    How often each emotion was seen is added up where they differ.
    """
    first, *others = cards
    same = {
        name: value
        for name, value in first.data.items()
        if all(name in card.data and card.data[name] == value for card in others)
    }
    apart = {
        name: {key: value for key, value in card.data.items() if key not in same}
        for name, card in _named(cards).items()
    }
    if any(apart.values()):
        same["members"] = apart
    if VOTES not in same and all(card.data.get(VOTES) for card in cards):
        seen = [card.data[VOTES] for card in cards]
        same[VOTES] = {emotion: sum(votes[emotion] for votes in seen) for emotion in EMOTIONS}
    return same


def require_shift(shift: int) -> None:
    """ValueError when faces cannot be moved by so many pixels."""
    if not 0 <= shift <= LARGEST_SHIFT:
        raise ValueError(f"The shift must lie in 0-{LARGEST_SHIFT} pixels, not {shift}.")


def count_views(mirror: bool, shift: int) -> int:
    """How often an average's members see a face, see `average`."""
    return 4 if shift else 2 if mirror else 1


def no_face_threshold(cards: Sequence[ModelCard]) -> float:
    """The probability above which there is no face: the members' own, averaged as logits.

    Each of theirs was settled out of fold; answers to rows that a member has learned from would
    settle it too low. As averages vary less than their members, it is exceeded by fewer faces.
    """
    logits = []
    for card in cards:
        if head := card.heads.get(NOT_A_FACE_HEAD):
            share = min(max(card.uncertainty.not_a_face, CERTAIN), 1 - CERTAIN)
            logits.append(head.temperature * np.log(share / (1 - share)))
    return round(float(1 / (1 + np.exp(-np.mean(logits)))), 4) if logits else 1.0


def _loaded(member: Path, ranges: NDArray[np.uint8] | None) -> onnx.ModelProto:
    network = _widened(onnx.load(member))
    if ranges is None or precision_of(network) == "int8":
        return network
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "model.onnx"
        onnx.save(network, copy)
        quantize(copy, ranges)
        return onnx.load(copy)


def _opset(network: onnx.ModelProto) -> int:
    version: int = next(
        one.version for one in network.opset_import if one.domain in ("", "ai.onnx")
    )
    return max(version, OPSET_OF_EVEN_SPLITS)


def _shape(value: onnx.ValueInfoProto) -> list[int]:
    return [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]


def _reading(node: onnx.NodeProto, name: str, instead: str) -> onnx.NodeProto:
    node.input[:] = [instead if one == name else one for one in node.input]
    return node


def _seen_how(mirror: bool, shift: int) -> str:
    if shift:
        return f", each face moved by {shift} pixels to four corners" + (
            ", two of them mirrored" if mirror else ""
        )
    return ", each face and its mirror image" if mirror else ""


def _views(
    size: int, mirror: bool, shift: int
) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto], str]:
    """What makes one batch of all views of the faces, one view after another, and its name.

    With `mirror`, a face and its mirror image have the same views, so they get the same answer.
    """
    nodes: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []

    def constant(name: str, values: Sequence[int]) -> str:
        constants.append(numpy_helper.from_array(np.array(values, np.int64), name))
        return name

    views = ["faces"]
    if shift:
        pads = constant("room_to_move", [0, shift, shift, 0] * 2)
        nodes.append(helper.make_node("Pad", ["faces", pads], ["roomy"], mode="edge"))
        axes = constant("height_and_width", [1, 2])
        # Plain and mirrored ones take turns around the face.
        corners = {"up_left": (1, 1), "up_right": (1, 0), "down_right": (0, 0), "down_left": (0, 1)}
        views = [f"moved_{corner}" for corner in corners]
        for view, corner in zip(views, corners.values(), strict=True):
            top, left = (2 * shift * one for one in corner)
            start = constant(f"{view}_from", [top, left])
            end = constant(f"{view}_to", [top + size, left + size])
            nodes.append(helper.make_node("Slice", ["roomy", start, end, axes], [view]))
    if mirror:
        indices = constant("from_right_to_left", range(size - 1, -1, -1))
        plain, turned = (views[::2], views[1::2]) if shift else (views, views)
        mirrored = [f"{view}_mirrored" for view in turned]
        for view, name in zip(turned, mirrored, strict=True):
            nodes.append(helper.make_node("Gather", [view, indices], [name], axis=2))
        views = plain + mirrored
    if len(views) == 1:
        return nodes, constants, views[0]
    nodes.append(helper.make_node("Concat", views, ["views"], axis=0))
    return nodes, constants, "views"


def _mean(head: str, members: list[str], views: int) -> list[onnx.NodeProto]:
    if views == 1:
        return [helper.make_node("Mean", members, [head])]
    parts = [f"{head}_of_view_{view}" for view in range(views)]
    return [
        helper.make_node("Mean", members, [f"{head}_of_views"]),
        helper.make_node("Split", [f"{head}_of_views"], parts, num_outputs=views),
        helper.make_node("Mean", parts, [head]),
    ]


def _widened(network: onnx.ModelProto) -> onnx.ModelProto:
    """The same with its weights in single precision, where `_halved` has been at them."""
    graph = network.graph
    halves = {one.name: one for one in graph.initializer if one.data_type == TensorProto.FLOAT16}
    casts = [node for node in graph.node if node.op_type == "Cast" and node.input[0] in halves]
    for node in casts:
        half = halves[node.input[0]]
        values = numpy_helper.to_array(half).astype(np.float32)
        graph.initializer.remove(half)
        graph.initializer.append(numpy_helper.from_array(values, node.output[0]))
        graph.node.remove(node)
    return network


def _halved(
    nodes: list[onnx.NodeProto], constants: list[onnx.TensorProto]
) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """Large weights in half precision, widened again when the model is loaded.

    The scales of integers stay: they may be too small for half precision.
    """
    scales = {
        name
        for node in nodes
        if node.op_type in ("QuantizeLinear", "DequantizeLinear")
        for name in node.input[1:]
    }
    casts, kept = [], []
    for constant in constants:
        values = numpy_helper.to_array(constant)
        if values.dtype != np.float32 or values.size < LARGE or constant.name in scales:
            kept.append(constant)
            continue
        half = f"{constant.name}_half"
        kept.append(numpy_helper.from_array(values.astype(np.float16), half))
        casts.append(helper.make_node("Cast", [half], [constant.name], to=TensorProto.FLOAT))
    return casts + nodes, kept
