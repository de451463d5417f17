"""Write a fitted network as ONNX, check that it answers as Keras does, and draft its card."""

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import onnxruntime
from keras import layers
from numpy.typing import NDArray

from recognizer.training.datasets.preparation import TrainingSet, votes_per_emotion
from recognizer.training.fitting.fitted import EXPORTED
from recognizer.training.fitting.hyperparameters import Fitting
from recognizer.training.networks import (
    FEATURES,
    LEVEL,
    Network,
    count_macs,
    name_of,
    without_weights,
)
from recognizer.training.release import calibration
from recognizer.training.release.non_faces import (
    Features,
    LinearHead,
    NonFaceHead,
    fit_non_face_head,
)
from recognizer.training.release.quantization import precision_of, quantize, told
from recognizer.training.release.version import (
    LABELS,
    NOTES,
    OUT_OF_FOLD,
    VOTES,
    file_hash,
    write_labels,
)
from recognizer.training.settings import SettingsError
from recognizer.vision.cards import (
    AMBIGUITY_HEAD,
    NOT_A_FACE_HEAD,
    Head,
    ModelCard,
    UncertaintyRule,
    Weights,
)
from recognizer.vision.preprocessing import Preprocessing, normalize

# Keras and ONNX Runtime add in another order; logits may differ by this much.
TOLERANCE = 1e-3


def draft(
    model: keras.Model,
    how: Fitting,
    training: TrainingSet,
    folder: Path,
    name: str,
    data: Mapping[str, Any],
    report: Callable[[str], None],
) -> ModelCard:
    """Write `folder`/model.onnx of a fitted model, and its weights; its card, not calibrated yet.

    Args:
        model: fitted, as `loop.fit` returns it.
        how: its settings, for the card.
        training: what it learned from, with the targets it was given; a head without any is
            left out, and the non-face head is fitted to its pictures.
        folder: where to write.
        name: the model's.
        data: where `training` comes from and what was aimed for, for the card.
        report: called with a line per step.
    """
    plain = in_float32(model, how.network)
    folder.mkdir(parents=True, exist_ok=True)
    plain.save_weights(folder / EXPORTED)
    plain = keras.Model(
        plain.input,
        {head: logits for head, logits in plain.output.items() if _taught(head, training, how)},
    )
    found = fit_non_face_head(features_of(plain), training, how.augmentation)
    metrics = {}
    if found:
        report(_told(found))
        plain = with_head(plain, NOT_A_FACE_HEAD, found.head)
        metrics[OUT_OF_FOLD] = _plain(found)
    weights = write_weights(plain, folder, report, training.images if how.int8 else None)
    return ModelCard(
        name=name,
        version=f"{datetime.now(UTC):%Y.%m.%d}",
        architecture=name_of(how.network),
        parameters=int(plain.count_params()),
        macs=count_macs(plain),
        weights=weights,
        preprocessing=Preprocessing(size=training.images.shape[1]),
        heads={name: Head(labels, 1.0) for name, labels in LABELS.items() if name in plain.output},
        uncertainty=UncertaintyRule(
            "confidence",
            1.0,
            calibration.CLOSE_CALL_MARGIN,
            not_a_face=found.threshold if found else 1.0,
        ),
        metrics=metrics,
        data={**_data(training), **data},
        training=_recipe(how),
        notes=NOTES,
    )


def _taught(head: str, training: TrainingSet, how: Fitting) -> bool:
    """Has the head learned anything? One that has not would only answer at random."""
    if head == "fer2013":
        shown = bool(how.distillation and how.teachers) or bool(training.fer2013.any())
        return how.fer2013_weight > 0 and shown
    if head == AMBIGUITY_HEAD:
        return how.ambiguous_weight > 0 and bool(training.ambiguous.any())
    return True


def _recipe(how: Fitting) -> dict[str, Any]:
    """The settings as JSON has them; of files their names, without this machine's folders."""
    recipe: dict[str, Any] = json.loads(json.dumps(asdict(how)))
    for table, name in ((recipe, "start"), (recipe, "soft_labels"), (recipe["network"], "weights")):
        if name in table:
            table[name] = Path(table[name]).resolve().name if table[name] else ""
    recipe["teachers"] = [Path(folder).resolve().name for folder in recipe["teachers"]]
    return recipe


def _data(training: TrainingSet) -> dict[str, Any]:
    return {
        "training": "its Training rows",
        "validation": "its PublicTest rows",
        "images": len(training),
        "left_out": training.left_out,
        VOTES: votes_per_emotion(training),
    }


def _told(found: NonFaceHead) -> str:
    shares = {
        "the marked rows": found.found,
        "backgrounds": found.backgrounds_found,
        "photos' crops": found.crops_found,
        "faces": found.false_alarms,
    }
    told = [f"{share:.1%} of {what}" for what, share in shares.items() if share is not None]
    return f"No face: finds {', '.join(told)}, out of fold."


def _plain(found: NonFaceHead) -> dict[str, Any]:
    """How the head did, without its weights, which are in the network."""
    return {
        "threshold": found.threshold,
        "marked_rows_found": None if found.found is None else round(found.found, 4),
        "backgrounds_found": round(found.backgrounds_found, 4),
        "crops_found": None if found.crops_found is None else round(found.crops_found, 4),
        "faces_called_none": round(found.false_alarms, 4),
        "auroc": found.auroc,
    }


def in_float32(model: keras.Model, network: Network) -> keras.Model:
    """The same network in float32: what was fitted in bfloat16 is served in float32."""
    keras.mixed_precision.set_global_policy("float32")
    plain = without_weights(network).build(model.input_shape[1])
    plain.set_weights(model.get_weights())
    return plain


def features_of(model: keras.Model) -> Features:
    """What `with_head` sees: (N, size, size) uint8 pictures to (N, F) float32 features."""
    body = keras.Model(model.input, _features(model))

    def features(images: np.ndarray) -> np.ndarray:
        parts = [
            body(normalize(images[start : start + 256]), training=False).numpy()
            for start in range(0, len(images), 256)
        ]
        return np.concatenate(parts)

    return features


def _features(model: keras.Model) -> keras.KerasTensor:
    """(N, F): of the last stage but one, where the network has one, and of the last."""
    features = model.get_layer(FEATURES).output
    if LEVEL not in {layer.name for layer in model.layers}:
        return features
    return layers.Concatenate()([layers.Flatten()(model.get_layer(LEVEL).output), features])


def with_head(model: keras.Model, name: str, head: LinearHead) -> keras.Model:
    """The model with one more output (N, 1), linear in its features."""
    features = model.get_layer(FEATURES).output
    # Models made before heads saw two stages have one that sees the last alone.
    if len(head.weights) != features.shape[1]:
        features = _features(model)
    dense = layers.Dense(1, name=name)
    answer = dense(features)
    dense.set_weights([head.weights[:, None], np.array([head.bias])])
    return keras.Model(model.input, {**model.output, name: answer})


def head_of(path: Path, name: str) -> LinearHead:
    """The head that `with_head` gave a network, from the file that `write_onnx` wrote.

    Raises:
        SettingsError: the file has no such head, or one of another kind.
    """
    graph = onnx.load(path).graph
    made = {output: node for node in graph.node for output in node.output}
    known = {one.name: onnx.numpy_helper.to_array(one) for one in graph.initializer}
    # Its logits are features @ weights + bias, and nothing else.
    added = made.get(name)
    product = made.get(added.input[0]) if added and added.op_type == "Add" else None
    if added and product and product.op_type == "MatMul":
        weights, bias = known.get(product.input[1]), known.get(added.input[1])
        if weights is not None and bias is not None and weights.shape[1:] == bias.shape == (1,):
            return LinearHead(weights[:, 0].astype(np.float64), float(bias[0]))
    raise SettingsError(
        f'The output "{name}" of {path.name} is not the linear head that `manage.py train` '
        "writes, so the model can't go on learning. Promote one that it has made."
    )


def write_weights(
    model: keras.Model,
    folder: Path,
    report: Callable[[str], None],
    ranges: NDArray[np.uint8] | None = None,
) -> Weights:
    """Export a float32 model as `folder`/model.onnx, which says how its classes are called.

    Args:
        model: see `write_onnx`; its heads are among LABELS.
        folder: where to write.
        report: called with a line if it is quantized.
        ranges: (N, size, size) uint8 pictures that it learned from, to have its convolutions in
            8-bit integers; None keeps them as they are.

    Raises:
        ValueError: see `quantization.quantize`.
    """
    path = folder / "model.onnx"
    write_onnx(model, path)
    if ranges is not None:
        report(told(quantize(path, ranges)))
    write_labels(path, {head: LABELS[head] for head in model.output})
    return Weights(path.name, file_hash(path), precision_of(onnx.load(path)))


def write_onnx(model: keras.Model, path: Path) -> None:
    """Export a float32 model with input `faces` and outputs named by head.

    Raises:
        RuntimeError: the exported network answers differently from the Keras model.
    """
    size = int(model.input_shape[1])
    signature = [keras.InputSpec(shape=(None, size, size, 1), dtype="float32", name="faces")]
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "model.onnx"
        model.export(raw, format="onnx", input_signature=signature, verbose=False)
        network = onnx.load(raw)
    if network.graph.input[0].name != "faces":
        raise RuntimeError(f'Expected the input "faces", got "{network.graph.input[0].name}".')
    _name_outputs(network, model, size)
    # Nothing of the machine that trained belongs in the file.
    network.ClearField("producer_version")
    network.doc_string = ""
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.checker.check_model(network)
    onnx.save(network, path)


def _name_outputs(network: onnx.ModelProto, model: keras.Model, size: int) -> None:
    """Call each output by the head that gives the same logits; the exporter has its own names."""
    faces = np.random.default_rng(0).normal(size=(9, size, size, 1)).astype(np.float32)
    expected = {head: logits.numpy() for head, logits in model(faces, training=False).items()}
    session = onnxruntime.InferenceSession(
        network.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    answers = session.run(None, {"faces": faces})
    for output, answer in zip(network.graph.output, answers, strict=True):
        alike = {
            head: float(np.abs(answer - logits).max())
            for head, logits in expected.items()
            if logits.shape == answer.shape
        }
        head = min(alike, key=lambda name: alike[name])
        if alike[head] > TOLERANCE:
            raise RuntimeError(
                f"The exported network differs from the fitted one by {alike[head]:.2g} in {head}; "
                f"at most {TOLERANCE:g} was expected."
            )
        del expected[head]
        for node in network.graph.node:
            node.output[:] = [head if name == output.name else name for name in node.output]
        output.name = head
