"""The card beside each model's weights: what serving must know to use them rightly."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import isfinite
from pathlib import Path, PurePath
from typing import Any, Final, Literal, Self, TypeVar, get_args

from recognizer.vision.emotions import EMOTIONS
from recognizer.vision.preprocessing import Preprocessing

SCHEMA: Final = 1
MAIN_HEAD: Final = "ferplus"
AMBIGUITY_HEAD: Final = "ambiguous"
NOT_A_FACE_HEAD: Final = "not_a_face"
# FER-2013 has no contempt; a model may give its seven classes in any order.
FER2013_CLASSES: Final = frozenset(EMOTIONS) - {"contempt"}

ScoreKind = Literal["confidence", "margin", "entropy"]
Precision = Literal["float32", "int8", "mixed"]
T = TypeVar("T")


class CardError(ValueError):
    """A card that cannot be used; the message names the file, the fault and what is expected."""


@dataclass(frozen=True, slots=True)
class Weights:
    """The network's file.

    Attributes:
        file: its plain name; it lies beside the card.
        sha256: in hex.
        precision: what its convolutions calculate in; "mixed" where some are of 8-bit integers.
    """

    file: str
    sha256: str
    precision: Precision = "float32"

    @property
    def precision_in_words(self) -> str:
        words: dict[Precision, str] = {
            "float32": "floating point",
            "int8": "8-bit integers",
            "mixed": "both",
        }
        return words[self.precision]


@dataclass(frozen=True, slots=True)
class Head:
    """One output of the network, by its ONNX output name.

    Attributes:
        labels: classes in the order of the logits; a head of one label answers yes or no.
        temperature: the logits are divided by it before the softmax; fitted on held-out rows
            (Guo et al. 2017, "On Calibration of Modern Neural Networks").
        bias: added to the logits before that, one number a label: lifts emotions that were
            rare in training (Menon et al. 2021, "Long-tail learning via logit adjustment").
    """

    labels: tuple[str, ...]
    temperature: float
    bias: tuple[float, ...] = ()

    def columns(self, labels: Sequence[str]) -> list[int]:
        """Where each of these labels is among the head's, which may have another order."""
        return [self.labels.index(label) for label in labels]


@dataclass(frozen=True, slots=True)
class UncertaintyRule:
    """When the model declines to commit; `recognizer.vision.uncertainty` applies it.

    Attributes:
        score: what is made of the probabilities, higher is less sure.
        threshold: doubts above it are uncertain, see `uncertainty.doubt`.
        close_call_margin: below this p1 - p2 an uncertain face is a close call between two.
        min_face: longer side of a box in pixels of the photo, below which a face is too small.
        min_sharpness: variance of the Laplacian of the normalised crop, below which it is blurred.
        ambiguity_weight: share of the ambiguity head's answer in the doubt, 0-1.
        not_a_face: probability above which the crop is taken for something else than a face.
        lift: how far the probabilities lift each emotion, as differences of their logarithms;
            taken off again before the score. Empty for none.
    """

    score: ScoreKind
    threshold: float
    close_call_margin: float
    min_face: float = 0.0
    min_sharpness: float = 0.0
    ambiguity_weight: float = 0.0
    not_a_face: float = 1.0
    lift: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of affect, read as an expectation over one head's calibrated probabilities.

    Attributes:
        head: one of the card's.
        coordinates: where each label of that head lies on the axis, -1 to 1.
    """

    head: str
    coordinates: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Affect:
    """How valence and arousal are read.

    Attributes:
        arousal_experimental: whether arousal has not been shown to agree with people.
        source: where the coordinates come from, for people.
    """

    valence: Axis
    arousal: Axis
    arousal_experimental: bool
    source: str = ""


@dataclass(frozen=True, slots=True)
class ModelCard:
    """`card.json`, checked. `metrics`, `data` and `training` are free-form, for people.

    `affect` is None for a model that gives neither valence nor arousal.
    """

    name: str
    version: str
    architecture: str
    parameters: int
    macs: int
    weights: Weights
    preprocessing: Preprocessing
    heads: Mapping[str, Head]
    uncertainty: UncertaintyRule
    labels: tuple[str, ...] = EMOTIONS
    affect: Affect | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    notes: str = ""

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read and check a card.

        Raises:
            CardError: the file is missing, is no JSON, or a field is missing or wrong.
        """
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise CardError(f"{path}: cannot be read ({error.strerror}).") from error
        except (ValueError, RecursionError) as error:
            raise CardError(f"{path}: is not valid JSON ({error}).") from error
        return cls.from_dict(raw, source=str(path))

    @classmethod
    def from_dict(cls, raw: object, source: str = "card") -> Self:
        """Check a parsed card; `source` names it in errors.

        Raises:
            CardError: a field is missing or wrong.
        """
        fields = _Fields(raw, source)
        schema = fields.take("schema", int)
        if schema != SCHEMA:
            raise fields.error("schema", f"is {schema}, but this version reads {SCHEMA}")
        labels = fields.labels("labels")
        if labels != EMOTIONS:
            raise fields.error("labels", f"is {list(labels)}, expected {list(EMOTIONS)}")
        heads = _heads(fields.inside("heads"))
        return cls(
            name=fields.take("name", str),
            version=fields.take("version", str),
            architecture=fields.take("architecture", str),
            parameters=fields.take("parameters", int),
            macs=fields.take("macs", int),
            weights=_weights(fields.inside("weights")),
            preprocessing=_preprocessing(fields.inside("preprocessing")),
            heads=heads,
            uncertainty=_uncertainty(fields.inside("uncertainty")),
            labels=labels,
            affect=_affect(fields.inside("affect"), heads) if "affect" in fields.raw else None,
            metrics=fields.take("metrics", dict, default={}),
            data=fields.take("data", dict, default={}),
            training=fields.take("training", dict, default={}),
            notes=fields.take("notes", str, default=""),
        )

    def as_dict(self) -> dict[str, Any]:
        """The card as JSON types; `from_dict(card.as_dict()) == card`."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        if self.affect is None:
            del plain["affect"]
        # As cards were before there were others: what is the same is not another version.
        if self.weights.precision == "float32":
            del plain["weights"]["precision"]
        if not self.uncertainty.lift:
            del plain["uncertainty"]["lift"]
        return {"schema": SCHEMA, **plain}

    def save(self, path: Path) -> None:
        """Write the card as indented UTF-8 JSON."""
        text = json.dumps(self.as_dict(), indent=2, ensure_ascii=False)
        # Whoever reads it meanwhile sees the whole old card or the whole new one.
        draft = path.with_name(f".{path.name}.draft")
        draft.write_text(text + "\n", encoding="utf-8")
        draft.replace(path)


class _Fields:
    """One JSON object of a card, whose errors name the file and the whole path of a field."""

    def __init__(self, raw: object, source: str, prefix: str = "") -> None:
        self.source = source
        self.prefix = prefix
        if not isinstance(raw, dict):
            where = f'"{prefix[:-1]}"' if prefix else "the card"
            raise CardError(f"{source}: {where} must be a JSON object, not {_name(type(raw))}.")
        self.raw: dict[str, object] = raw

    def error(self, name: str, problem: str) -> CardError:
        return CardError(f'{self.source}: "{self.prefix}{name}" {problem}.')

    def take(self, name: str, kind: type[T], default: T | None = None) -> T:
        value = self.raw.get(name, default)
        if value is None:
            raise self.error(name, f"is missing; expected {_name(kind)}")
        # JSON writes 1.0 as 1; and bool is an int in Python, but never in a card.
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            try:
                value = float(value)
            except OverflowError as error:
                raise self.error(name, "is too large a number") from error
        if not isinstance(value, kind) or isinstance(value, bool):
            raise self.error(name, f"is {value!r}; expected {_name(kind)}")
        return value

    def number(self, name: str, low: float, high: float, default: float | None = None) -> float:
        value = self.take(name, float, default)
        if not low <= value <= high:  # Also refuses NaN, which json reads happily.
            raise self.error(name, f"is {value}; expected a number in {low:g} to {high:g}")
        return value

    def choice(self, name: str, known: tuple[T, ...], default: T | None = None) -> T:
        value = self.take(name, str, default if isinstance(default, str) else None)
        chosen = next((one for one in known if one == value), None)
        if chosen is None:
            raise self.error(name, f"is {value!r}; expected one of {list(known)}")
        return chosen

    def labels(self, name: str) -> tuple[str, ...]:
        values = self.take(name, list)
        if not values or not all(isinstance(value, str) for value in values):
            raise self.error(name, f"is {values!r}; expected a list of names")
        if len(set(values)) != len(values):
            raise self.error(name, f"names a class twice: {values!r}")
        return tuple(values)

    def numbers(self, name: str, count: int) -> tuple[float, ...]:
        """`count` numbers, or none at all."""
        values = self.take(name, list, default=[])
        numeric = all(type(value) in (int, float) and isfinite(value) for value in values)
        if not numeric or len(values) not in (0, count):
            raise self.error(name, f"is {values!r}; expected {count} numbers")
        return tuple(float(value) for value in values)

    def flag(self, name: str) -> bool:
        value = self.raw.get(name)
        if not isinstance(value, bool):
            raise self.error(name, f"is {value!r}; expected true or false")
        return value

    def inside(self, name: str) -> "_Fields":
        return _Fields(self.take(name, dict), self.source, f"{self.prefix}{name}.")


def _name(kind: type) -> str:
    names = {dict: "an object", list: "a list", str: "a text", int: "a whole number"}
    return names.get(kind, "a number" if kind is float else kind.__name__)


def _weights(fields: _Fields) -> Weights:
    file, sha256 = fields.take("file", str), fields.take("sha256", str).lower()
    if PurePath(file).name != file or file in ("", "..") or not file.isprintable():
        raise fields.error("file", f"is {file!r}; expected the name of a file beside the card")
    if len(sha256) != 64 or set(sha256) - set("0123456789abcdef"):
        raise fields.error("sha256", f"is {sha256!r}; expected 64 hexadecimal digits")
    return Weights(file, sha256, fields.choice("precision", get_args(Precision), "float32"))


def _preprocessing(fields: _Fields) -> Preprocessing:
    align = fields.take("align", str)
    if align not in ("none", "eyes"):
        raise fields.error("align", f'is {align!r}; expected "none" or "eyes"')
    try:
        return Preprocessing(
            size=fields.take("size", int),
            margin=fields.take("margin", float),
            shift_y=fields.number("shift_y", -1.0, 1.0),
            align="eyes" if align == "eyes" else "none",
        )
    except CardError:
        raise
    except ValueError as error:
        raise CardError(f'{fields.source}: "preprocessing": {error}') from error


def _head(fields: _Fields) -> Head:
    labels = fields.labels("labels")
    return Head(
        labels, fields.number("temperature", 0.01, 100.0), fields.numbers("bias", len(labels))
    )


def _heads(fields: _Fields) -> dict[str, Head]:
    heads = {}
    for name in fields.raw:
        heads[name] = _head(fields.inside(name))
    for name in (AMBIGUITY_HEAD, NOT_A_FACE_HEAD):
        if name in heads and len(heads[name].labels) != 1:
            found = list(heads[name].labels)
            raise fields.error(f"{name}.labels", f"is {found}; expected one label, yes or no")
    if MAIN_HEAD not in heads:
        raise fields.error(MAIN_HEAD, "is missing; expected a head with the eight emotions")
    if heads[MAIN_HEAD].labels != EMOTIONS:
        found = list(heads[MAIN_HEAD].labels)
        raise fields.error(f"{MAIN_HEAD}.labels", f"is {found}, expected {list(EMOTIONS)}")
    if "fer2013" in heads and set(heads["fer2013"].labels) != FER2013_CLASSES:
        found, known = list(heads["fer2013"].labels), sorted(FER2013_CLASSES)
        raise fields.error("fer2013.labels", f"is {found}, expected {known} in any order")
    return heads


def _uncertainty(fields: _Fields) -> UncertaintyRule:
    return UncertaintyRule(
        score=fields.choice("score", get_args(ScoreKind)),
        threshold=fields.number("threshold", 0.0, 1.0),
        close_call_margin=fields.number("close_call_margin", 0.0, 1.0),
        min_face=fields.number("min_face", 0.0, 10_000.0, default=0.0),
        min_sharpness=fields.number("min_sharpness", 0.0, 1e6, default=0.0),
        ambiguity_weight=fields.number("ambiguity_weight", 0.0, 1.0, default=0.0),
        not_a_face=fields.number("not_a_face", 0.0, 1.0, default=1.0),
        lift=fields.numbers("lift", len(EMOTIONS)),
    )


def _affect(fields: _Fields, heads: Mapping[str, Head]) -> Affect:
    return Affect(
        valence=_axis(fields.inside("valence"), heads),
        arousal=_axis(fields.inside("arousal"), heads),
        arousal_experimental=fields.flag("arousal_experimental"),
        source=fields.take("source", str, default=""),
    )


def _axis(fields: _Fields, heads: Mapping[str, Head]) -> Axis:
    head = fields.take("head", str)
    if head not in heads:
        raise fields.error("head", f"is {head!r}; expected one of {list(heads)}")
    places, labels = fields.inside("coordinates"), heads[head].labels
    if set(places.raw) != set(labels):
        raise fields.error("coordinates", f"names {list(places.raw)}; expected {list(labels)}")
    return Axis(head, {label: places.number(label, -1.0, 1.0) for label in labels})
