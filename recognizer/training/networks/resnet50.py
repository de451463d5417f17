"""ResNet50, its first layers as ImageNet taught them."""

from dataclasses import dataclass

import keras

from recognizer.training.networks.base import register
from recognizer.training.networks.pretrained import build_on


@register("resnet50")
@dataclass(frozen=True, slots=True)
class ResNet50:
    """He et al., "Deep Residual Learning for Image Recognition" (2016), from
    `keras.applications`; by default its last block and a half learn.

    Attributes:
        weights: to begin with: "none" at random, "imagenet" from the internet, or the path of
            a file of the backbone's weights without its top, .weights.h5 or .h5.
        unfrozen: how many of the backbone's last layers learn; those before keep the weights
            they began with, so with "none" all of them should learn.
        dropout, hidden: of what leads to the heads, see `with_heads`.
    """

    weights: str = "none"
    unfrozen: int = 15
    dropout: float = 0.5
    hidden: int = 0

    def build(self, size: int = 48) -> keras.Model:
        """Return a model from `faces` (N, size, size, 1) to the logits of every head.

        Raises:
            SettingsError: the weights cannot be fetched, or are not the backbone's.
        """
        application = keras.applications.ResNet50
        return build_on(application, self.weights, self.unfrozen, size, self.dropout, self.hidden)
