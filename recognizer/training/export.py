"""Write a fitted network as ONNX, and check that it answers as Keras does."""

import hashlib
import tempfile
from pathlib import Path

import keras
import numpy as np
import onnx

from recognizer.training.networks import HEAD_WIDTHS, Network

# Keras and ONNX Runtime add in another order; logits may differ by this much.
TOLERANCE = 1e-3


def in_float32(model: keras.Model, network: Network) -> keras.Model:
    """The same network in float32: what was fitted in bfloat16 is served in float32."""
    keras.mixed_precision.set_global_policy("float32")
    plain = network.build()
    plain.set_weights(model.get_weights())
    return plain


def write_onnx(model: keras.Model, path: Path) -> str:
    """Export a float32 model with input `faces` and outputs named by head; its SHA-256 in hex.

    Raises:
        RuntimeError: the exported network answers differently from the Keras model.
    """
    size = int(model.input_shape[1])
    signature = [keras.InputSpec(shape=(None, size, size, 1), dtype="float32", name="faces")]
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "model.onnx"
        model.export(raw, format="onnx", input_signature=signature, verbose=False)
        network = onnx.load(raw)
    _name_outputs(network, model)
    # Nothing of the machine that trained belongs in the file.
    network.ClearField("producer_version")
    network.doc_string = ""
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.checker.check_model(network)
    onnx.save(network, path)
    _compare(model, path, size)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _name_outputs(network: onnx.ModelProto, model: keras.Model) -> None:
    """Call the outputs by their heads; the exporter has names of its own."""
    by_width = {width: head for head, width in HEAD_WIDTHS.items()}
    if len(by_width) != len(HEAD_WIDTHS):
        raise RuntimeError("Two heads of the same width cannot be told apart in the export.")
    for output in network.graph.output:
        head = by_width[output.type.tensor_type.shape.dim[-1].dim_value]
        for node in network.graph.node:
            node.output[:] = [head if name == output.name else name for name in node.output]
        output.name = head
    if network.graph.input[0].name != "faces":
        raise RuntimeError(f'Expected the input "faces", got "{network.graph.input[0].name}".')


def _compare(model: keras.Model, path: Path, size: int) -> None:
    import onnxruntime

    faces = np.random.default_rng(0).normal(size=(9, size, size, 1)).astype(np.float32)
    expected = model(faces, training=False)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    heads = list(HEAD_WIDTHS)
    for head, logits in zip(heads, session.run(heads, {"faces": faces}), strict=True):
        difference = float(np.abs(logits - expected[head].numpy()).max())
        if difference > TOLERANCE:
            raise RuntimeError(
                f"The exported network differs from the fitted one by {difference:.2g} in {head}; "
                f"at most {TOLERANCE:g} was expected."
            )
