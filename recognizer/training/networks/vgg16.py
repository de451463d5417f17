"""VGG16, its first layers as ImageNet taught them."""

from dataclasses import dataclass
from typing import ClassVar

from pydantic import NonNegativeInt

from recognizer.training.networks.base import register
from recognizer.training.networks.pretrained import Pretrained


@register("vgg16")
@dataclass(frozen=True, slots=True)
class Vgg16(Pretrained):
    """Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image
    Recognition" (2015), from `keras.applications`; by default its last block learns.
    """

    unfrozen: NonNegativeInt = 4
    application: ClassVar = "VGG16"
    layers: ClassVar = 18
