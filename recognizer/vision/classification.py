"""Which emotion a face shows: calibrated probabilities from an exported model."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from recognizer.vision.affect import heads_of, read_affect
from recognizer.vision.cards import AMBIGUITY_HEAD, MAIN_HEAD, NOT_A_FACE_HEAD, Head, ModelCard
from recognizer.vision.detection import Detection, Image
from recognizer.vision.preprocessing import crop_face, normalize
from recognizer.vision.sessions import LazySession
from recognizer.vision.uncertainty import sharpness

DEFAULT_MODEL: Final = "resnet9-ferplus"
MODELS_FOLDER: Final = Path(__file__).resolve().parent.parent / "weights"

LABELS_KEY: Final = "labels"
"""Metadata of an ONNX file: JSON of each head's classes, in the order of its logits."""

_INPUT = "faces"
_BATCH = 16  # faces per run; more are not quicker, and take more memory


class ModelError(ValueError):
    """A model that cannot be used; the message says what is wrong and what to do."""


@dataclass(frozen=True, slots=True, eq=False)
class Classification:
    """One face's answer.

    Attributes:
        probabilities: (8,) float64, calibrated, summing to 1, in the order of EMOTIONS.
        sharpness: of the crop that the model saw, see `uncertainty.sharpness`.
        ambiguity: probability that people would disagree about the face; None without such
            a head.
        not_a_face: probability that this is no face at all; None without such a head.
        valence, arousal: -1 to 1, or None if the card does not say how to read them.
    """

    probabilities: NDArray[np.float64]
    sharpness: float
    ambiguity: float | None = None
    not_a_face: float | None = None
    valence: float | None = None
    arousal: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What a model says of N crops, calibrated.

    Attributes:
        probabilities: (N, 8) in the order of EMOTIONS.
        ambiguity: (N,) see `Classification`, or None.
        not_a_face: (N,) see `Classification`, or None.
        affect: N pairs of valence and arousal, see `Classification`.
    """

    probabilities: NDArray[np.float64]
    ambiguity: NDArray[np.float64] | None = None
    not_a_face: NDArray[np.float64] | None = None
    affect: Sequence[tuple[float, float] | tuple[None, None]] = ()


class Classifier(Protocol):
    """Anything that reads expressions; called from several threads at once."""

    @property
    def name(self) -> str:
        """The model version's name, stored with every prediction."""
        ...

    @property
    def card(self) -> ModelCard:
        """Labels, preprocessing, temperature and the uncertain rule."""
        ...

    def classify(self, image: Image, detections: Sequence[Detection]) -> list[Classification]:
        """One answer per detection, in the same order."""
        ...


class OnnxClassifier:
    """A folder with card.json and weights, run in ONNX Runtime.

    The network takes "faces", float32 (N, size, size, 1) normalised crops, and gives logits
    under the name of each of the card's heads: "ferplus" (N, 8), perhaps "fer2013" (N, 7),
    "ambiguous" (N, 1) and "not_a_face" (N, 1).
    """

    def __init__(self, folder: Path, threads: int = 0) -> None:
        """Read and check the card and the weights; the session is made on first use.

        Args:
            folder: holds card.json and the file that the card names.
            threads: ONNX Runtime's threads; 0 takes one per physical core.

        Raises:
            CardError: the card is missing or wrong.
            ModelError: the weights are missing, or not those the card describes.
        """
        card = read_card(folder)
        self._card = card
        self._path = folder / card.weights.file
        self._session = LazySession(lambda: _read_weights(folder, card), threads)
        self._checked = False

    @property
    def name(self) -> str:
        """The card's name and version, such as "resnet9-ferplus 2026.11"."""
        return f"{self._card.name} {self._card.version}"

    @property
    def card(self) -> ModelCard:
        """The model's card."""
        return self._card

    @property
    def folder(self) -> Path:
        """Where card and weights lie; its name is what the model is called here."""
        return self._path.parent

    @property
    def weights(self) -> Path:
        """The file of the network."""
        return self._path

    def classify(self, image: Image, detections: Sequence[Detection]) -> list[Classification]:
        """Read the expression of each detected face of an (H, W, 3) RGB uint8 photo."""
        if not detections:
            return []
        preprocessing = self._card.preprocessing
        crops = np.stack(
            [crop_face(image, one.box, one.landmarks, preprocessing) for one in detections]
        )
        faces = normalize(crops)
        answers = self.answers(faces)
        return [
            Classification(
                answers.probabilities[row],
                float(sharp),
                None if answers.ambiguity is None else float(answers.ambiguity[row]),
                None if answers.not_a_face is None else float(answers.not_a_face[row]),
                *answers.affect[row],
            )
            for row, sharp in enumerate(sharpness(faces))
        ]

    def answers(self, faces: NDArray[np.float32]) -> Answers:
        """Everything that the model says of (N, size, size, 1) normalised crops, asked once."""
        asked = (MAIN_HEAD, AMBIGUITY_HEAD, NOT_A_FACE_HEAD, *heads_of(self._card))
        # Each head once: ONNX Runtime refuses to give an output twice.
        heads = [head for head in dict.fromkeys(asked) if head in self._card.heads]
        by_head = {
            head: calibrate(logits, self._card.heads[head])
            for head, logits in self.logits(faces, heads).items()
        }
        ambiguity, not_a_face = by_head.get(AMBIGUITY_HEAD), by_head.get(NOT_A_FACE_HEAD)
        return Answers(
            by_head[MAIN_HEAD],
            None if ambiguity is None else ambiguity[:, 0],
            None if not_a_face is None else not_a_face[:, 0],
            read_affect(self._card, by_head, len(faces)),
        )

    def probabilities(
        self, faces: NDArray[np.float32], head: str = MAIN_HEAD
    ) -> NDArray[np.float64]:
        """Calibrated probabilities of normalised crops.

        Args:
            faces: (N, size, size, 1) as `preprocessing.normalize` gives them.
            head: one of the card's heads.

        Returns:
            (N, K), in the order of that head's labels.
        """
        if head not in self._card.heads:
            known = ", ".join(self._card.heads)
            raise ModelError(f'{self.name} has no head "{head}"; it has {known}.')
        return calibrate(self.logits(faces, [head])[head], self._card.heads[head])

    def logits(
        self, faces: NDArray[np.float32], heads: Sequence[str]
    ) -> Mapping[str, NDArray[np.float64]]:
        """The network's raw answers by head, (N, K) each, a bounded batch at a time."""
        self._check_network()
        parts: list[list[NDArray[np.float32]]] = [
            [np.empty((0, len(self._card.heads[head].labels)), np.float32)] for head in heads
        ]
        for start in range(0, len(faces), _BATCH):
            answers = self._session.run(list(heads), {_INPUT: faces[start : start + _BATCH]})
            for part, answer in zip(parts, answers, strict=True):
                part.append(answer)
        return {
            head: np.concatenate(part).astype(np.float64)
            for head, part in zip(heads, parts, strict=True)
        }

    def check(self) -> None:
        """Make the session now, and see that the network fits the card and answers in numbers.

        Raises:
            ModelError: it cannot be run, takes or gives something else, or gives NaN.
        """
        try:
            self._check_network()
            size = self._card.preprocessing.size
            faces = np.random.default_rng(0).normal(size=(1, size, size, 1)).astype(np.float32)
            answers = self.logits(faces, [*self._card.heads])
        except ModelError:
            raise
        except Exception as error:  # ONNX Runtime's own errors share no class.
            raise ModelError(f"{self._path}: is no network that can be run ({error}).") from error
        for head, logits in answers.items():
            if not np.isfinite(logits).all():
                raise ModelError(
                    f'{self._path}: its output "{head}" is not a finite number for a plain input. '
                    "The weights are damaged, or training went wrong; take another model."
                )

    def _check_network(self) -> None:
        """Once: does the network take and give what the card says?"""
        if self._checked:
            return
        inputs, outputs = self._session.shapes()
        size = self._card.preprocessing.size
        if [*inputs] != [_INPUT] or inputs[_INPUT][1:] != [size, size, 1]:
            raise ModelError(
                f'{self._path}: expected one input "{_INPUT}" of (N, {size}, {size}, 1), '
                f"but it takes {inputs}."
            )
        for head, described in self._card.heads.items():
            if outputs.get(head, [None])[-1] != len(described.labels):
                raise ModelError(
                    f'{self._path}: expected an output "{head}" of (N, {len(described.labels)}), '
                    f"but it gives {outputs}."
                )
        self._check_labels()
        self._checked = True

    def _check_labels(self) -> None:
        """Does the card call the classes what the file does? One from elsewhere may say nothing."""
        said = _labels_in(self._session.metadata().get(LABELS_KEY, ""))
        for head, described in self._card.heads.items():
            if said.get(head, list(described.labels)) != list(described.labels):
                raise ModelError(
                    f'{self._path}: its head "{head}" gives {said[head]}, but the card calls them '
                    f"{list(described.labels)}. Restore both files of the model."
                )


def _labels_in(text: str) -> dict[str, object]:
    """By head, what a file says in our way; what others write under that name is none of it."""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def calibrate(logits: NDArray[np.float64], head: Head) -> NDArray[np.float64]:
    """Probabilities of a head's (N, K) logits: of K classes, or of yes where K is 1."""
    scaled = (logits + np.array(head.bias or 0.0)) / head.temperature
    if scaled.shape[1] == 1:
        return softmax(np.concatenate([scaled, np.zeros_like(scaled)], axis=1))[:, :1]
    return softmax(scaled)


def read_card(folder: Path) -> ModelCard:
    """A model's card, once it is certain that the weights are those it describes.

    Raises:
        CardError: the card is missing or wrong.
        ModelError: the weights are missing, or others.
    """
    card = ModelCard.load(folder / "card.json")
    _read_weights(folder, card)
    return card


def _read_weights(folder: Path, card: ModelCard) -> bytes:
    """The serialised network, if it is the one that the card describes."""
    path = folder / card.weights.file
    try:
        weights = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}).") from error
    found = hashlib.sha256(weights).hexdigest()
    expected = card.weights.sha256
    if found != expected:
        raise ModelError(
            f"{path}: is not the file that its card.json describes "
            f"(SHA-256 {found[:12]}…, expected {expected[:12]}…). "
            "Restore both files of the model."
        )
    return weights


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Over the last axis, safe from overflow."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True, initial=-np.inf))
    shares: NDArray[np.float64] = powers / powers.sum(axis=-1, keepdims=True)
    return shares


def available_models(folder: Path | None = None) -> list[str]:
    """Names of the models in a folder, the shipped ones if none is given; sorted."""
    return sorted(card.parent.name for card in (folder or MODELS_FOLDER).glob("*/card.json"))


def load_model(name: str = "", threads: int = 0, folder: Path | None = None) -> OnnxClassifier:
    """A shipped model by its folder's name; "" is the default.

    Raises:
        ModelError: there is no such model, or its weights are wrong.
        CardError: its card is wrong.
    """
    wanted = name or DEFAULT_MODEL
    folder = folder or MODELS_FOLDER
    known = available_models(folder)
    if wanted not in known:
        choice = f"Available: {', '.join(known)}." if known else f"There are none in {folder}."
        raise ModelError(f'There is no model "{wanted}". {choice}')
    return OnnxClassifier(folder / wanted, threads)
