"""Several exported models in one: their logits averaged, over each face and its mirror image.

Averaging independently fitted networks is the oldest way to a better one (Hansen and Salamon,
1990). The result is one ONNX file with the same inputs and outputs as its members. Imports no
TensorFlow.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, compose, helper, numpy_helper

OPSET_OF_EVEN_SPLITS = 18
# Weights of this many values and more are kept in half precision on disk.
LARGE = 256


def average(members: Sequence[Path], path: Path, *, mirror: bool = True) -> None:
    """Write the average of ONNX models with the input "faces" and the same outputs.

    Args:
        members: model.onnx files.
        path: where to write.
        mirror: also average over each face and its mirror image, for twice the work.

    Raises:
        ValueError: there is no member, or they do not fit together.
    """
    networks = [onnx.load(member) for member in members]
    if not networks:
        raise ValueError("There is no model to average; name at least one.")
    opset = max(_opset(network) for network in networks)
    networks = [onnx.version_converter.convert_version(network, opset) for network in networks]
    heads = [output.name for output in networks[0].graph.output]
    widths = [_shape(output)[-1] for output in networks[0].graph.output]
    size = _shape(networks[0].graph.input[0])[1]
    for member, network in zip(members, networks, strict=True):
        if {output.name for output in network.graph.output} != set(heads) or _shape(
            network.graph.input[0]
        )[1] != size:
            raise ValueError(
                f"{member} has other outputs or another input size than {members[0]}; only models "
                "with the same heads and the same size can be averaged."
            )
    nodes, constants = _both_sides(size) if mirror else ([], [])
    seen = "both_sides" if mirror else "faces"
    for number, network in enumerate(networks):
        part = compose.add_prefix(network, f"m{number}_").graph
        nodes += [_reading(node, f"m{number}_faces", seen) for node in part.node]
        constants += part.initializer
    for head in heads:
        nodes += _mean(head, [f"m{number}_{head}" for number in range(len(networks))], mirror)
    nodes, constants = _halved(nodes, constants)
    faces = helper.make_tensor_value_info("faces", TensorProto.FLOAT, ["n", size, size, 1])
    outputs = [
        helper.make_tensor_value_info(head, TensorProto.FLOAT, ["n", width])
        for head, width in zip(heads, widths, strict=True)
    ]
    graph = helper.make_graph(nodes, "average", [faces], outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)


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


def _both_sides(size: int) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """Faces, then their mirror images, as one batch."""
    indices = numpy_helper.from_array(np.arange(size - 1, -1, -1), "from_right_to_left")
    return [
        helper.make_node("Gather", ["faces", "from_right_to_left"], ["mirrored"], axis=2),
        helper.make_node("Concat", ["faces", "mirrored"], ["both_sides"], axis=0),
    ], [indices]


def _mean(head: str, members: list[str], mirror: bool) -> list[onnx.NodeProto]:
    if not mirror:
        return [helper.make_node("Mean", members, [head])]
    return [
        helper.make_node("Mean", members, [f"{head}_of_both"]),
        helper.make_node("Split", [f"{head}_of_both"], [f"{head}_a", f"{head}_b"], num_outputs=2),
        helper.make_node("Mean", [f"{head}_a", f"{head}_b"], [head]),
    ]


def _halved(
    nodes: list[onnx.NodeProto], constants: list[onnx.TensorProto]
) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """Large weights in half precision, widened again when the model is loaded."""
    casts, kept = [], []
    for constant in constants:
        values = numpy_helper.to_array(constant)
        if values.dtype != np.float32 or values.size < LARGE:
            kept.append(constant)
            continue
        half = f"{constant.name}_half"
        kept.append(numpy_helper.from_array(values.astype(np.float16), half))
        casts.append(helper.make_node("Cast", [half], [constant.name], to=TensorProto.FLOAT))
    return casts + nodes, kept
