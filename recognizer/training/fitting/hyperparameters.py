"""Every number that decides how a network is fitted. Importing this module imports TensorFlow."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import (
    BeforeValidator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PlainValidator,
    PositiveInt,
)

from recognizer.training.augmentation import Augmentation
from recognizer.training.networks import Network, ResNet9, named_network
from recognizer.training.presets import preset_as_table
from recognizer.training.settings import Seed, Settings, Share, ShareBelow1

NO_PATHS: Final = ("", "none", "imagenet")
"""What can stand in a setting instead of a path."""


@dataclass(frozen=True, slots=True)
class Fitting(Settings):
    """Every number that decides how a network is fitted; saved with the run.

    The defaults are what the fitting of the shipped networks has in common; what each has of its
    own is in its file of settings.

    Attributes:
        seed: drives the initial weights, the order and the augmentation.
        start: begin with the weights of a fitted network of the same architecture, see
            `fitted.load`; "" begins at random.
        epochs: passes over the training set, the rate falling to 0 along the schedule.
        small_epochs: how many of these passes, the first ones, see the pictures shrunk to
            `small_size`: they cost a fraction, and what is learned there holds at full size
            (progressive resizing, as in Tan and Le, 2021). Needs a network without layers that
            are tied to the size, as resnet9 and mini_xception are.
        small_size: side of the shrunk pictures, pixels.
        finish_epochs: further passes from a low rate, with less augmentation if wanted.
        finishes: how many such finishes follow one another, each from `finish_learning_rate`
            down to 0. With more than one, the weights that come out are the mean of what each
            ended with (stochastic weight averaging, Izmailov et al., 2018; here the batch
            statistics are averaged, too), which is steadier than any of them.
        finish_augmentation: how strong the augmentation is in them, as a share of what it was;
            with less, the network settles on faces as they are, after having seen them battered.
        batch: faces per step.
        optimizer: "sgd" with Nesterov momentum, or "adam" (AdamW).
        schedule: "cosine" falls to 0, "exponential" to a hundredth (Keras' ExponentialDecay).
        learning_rate: where the schedule begins; two epochs of warm-up lead to it.
        finish_learning_rate: where a finish begins; it falls to 0 along a cosine.
        weight_decay: decoupled, on kernels only.
        momentum: of SGD.
        ema: decay per step of the averaged weights, the ones evaluated and exported.
        patience: epochs at full size without a better validation accuracy before stopping
            early, with the best weights seen; 0 never stops early. Needs `finish_epochs` = 0.
        fer2013_weight: share of the loss given to FER-2013's own labels.
        ambiguous_weight: weight of the ambiguity head's cross-entropy, on top of the others.
        balance: how far rare emotions are shown more often, see `preparation.sampling_weights`.
        logit_adjustment: tau of the logit-adjusted loss (Menon et al., 2021) of the FER+ head;
            0 is the plain cross-entropy.
        label_smoothing: share of the FER+ targets spread over all classes.
        distillation: share of the targets taken from the soft labels or the teachers, 0-1.
        soft_labels: file that `manage.py teach` has written; "" for none.
        teachers: folders of models that are asked about each picture as it is shown, see
            `teachers.Teachers`; instead of soft labels, which are about pictures as they are.
        mixed_precision: Keras' policy; "mixed_bfloat16" pays where the CPU has instructions for
            it, and "auto" is that there and "float32" elsewhere, see `with_best_precision`.
            Without loss scaling float16 loses small gradients, so it is not offered.
        int8: export the convolutions in 8-bit integers, see `quantization.quantize`; fitting is
            the same.
    """

    seed: Seed = 1
    start: str = ""
    epochs: PositiveInt = 100
    small_epochs: NonNegativeInt = 0
    small_size: Annotated[int, Field(ge=16)] = 32
    finish_epochs: NonNegativeInt = 0
    finishes: PositiveInt = 1
    finish_augmentation: Share = 1.0
    batch: PositiveInt = 128
    optimizer: Literal["sgd", "adam"] = "sgd"
    schedule: Literal["cosine", "exponential"] = "cosine"
    learning_rate: NonNegativeFloat = 0.1
    finish_learning_rate: NonNegativeFloat = 0.05
    weight_decay: NonNegativeFloat = 5e-3
    momentum: ShareBelow1 = 0.9
    ema: ShareBelow1 = 0.998
    patience: NonNegativeInt = 0
    fer2013_weight: Share = 0.4
    ambiguous_weight: NonNegativeFloat = 0.1
    balance: Share = 0.3
    logit_adjustment: NonNegativeFloat = 0.0
    label_smoothing: ShareBelow1 = 0.0
    distillation: Share = 0.0
    soft_labels: str = ""
    teachers: tuple[str, ...] = ()
    mixed_precision: Literal["auto", "float32", "mixed_bfloat16"] = "auto"
    int8: bool = False
    network: Annotated[Network, PlainValidator(named_network)] = field(default_factory=ResNet9)
    augmentation: Annotated[Augmentation, BeforeValidator(preset_as_table)] = field(
        default_factory=Augmentation
    )

    @property
    def all_epochs(self) -> int:
        return self.epochs + self.finishes * self.finish_epochs

    def ends_finish(self, epoch: int) -> bool:
        """Whether the epoch, the first being 1, is the last of a finish."""
        finishing = epoch - self.epochs
        return finishing > 0 and finishing % self.finish_epochs == 0


def with_best_precision(how: Fitting) -> Fitting:
    """The settings with "auto" decided for this machine."""
    return replace(how, mixed_precision=best_precision()) if how.mixed_precision == "auto" else how


def best_precision() -> Literal["float32", "mixed_bfloat16"]:
    """The keras policy that is fastest on this CPU: bfloat16 where it has instructions for it."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return "float32"
    quick = "amx_bf16" in flags or "avx512_bf16" in flags
    return "mixed_bfloat16" if quick else "float32"
