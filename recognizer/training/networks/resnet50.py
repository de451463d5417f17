"""ResNet50, its first layers as ImageNet taught them."""

from dataclasses import dataclass
from typing import ClassVar

from pydantic import NonNegativeInt

from recognizer.training.networks.base import register
from recognizer.training.networks.pretrained import Pretrained


@register("resnet50")
@dataclass(frozen=True, slots=True)
class ResNet50(Pretrained):
    """He et al., "Deep Residual Learning for Image Recognition" (2016), from
    `keras.applications`; by default its last block, and some of the one before, learn.
    """

    unfrozen: NonNegativeInt = 15
    application: ClassVar = "ResNet50"
    layers: ClassVar = 173
