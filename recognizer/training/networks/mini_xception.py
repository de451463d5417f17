"""A network small enough for any machine."""

from dataclasses import dataclass

import keras
from keras import layers
from pydantic import NonNegativeInt, PositiveInt

from recognizer.training.networks.base import register, with_heads
from recognizer.training.settings import Settings, ShareBelow1, Widths


@register("mini_xception")
@dataclass(frozen=True, slots=True)
class MiniXception(Settings):
    """Residual depthwise-separable blocks and global average pooling, about 50,000 parameters.

    After Arriaga, Valdenegro-Toro and Plöger, "Real-time Convolutional Neural Networks for
    Emotion and Gender Classification" (2017), whose network began at 64x64: two convolutions
    without padding, then blocks that halve the side, each with a 1x1 convolution as its way
    around. The paper ends with a convolution to one map per class, averaged over the picture;
    here the maps of the last block are averaged first, and dense heads follow.

    Attributes:
        stem: channels of the two convolutions at full size.
        widths: channels of each block.
        dropout, hidden: of what leads to the heads, see `with_heads`.
    """

    stem: PositiveInt = 8
    widths: Widths = (16, 32, 64, 128)
    dropout: ShareBelow1 = 0.0
    hidden: NonNegativeInt = 0

    def build(self, size: int = 48) -> keras.Model:
        """Return a model from `faces` (N, size, size, 1) to the logits of every head."""
        faces = keras.Input((size, size, 1), name="faces")
        x = faces
        for _ in range(2):
            x = layers.Conv2D(self.stem, 3, use_bias=False)(x)
            x = layers.ReLU()(_normalized(x))
        for width in self.widths:
            x = _block(x, width)
        features = layers.GlobalAveragePooling2D()(x)
        return with_heads(faces, features, self.dropout, self.hidden)


def _block(x: keras.KerasTensor, width: int) -> keras.KerasTensor:
    around = layers.Conv2D(width, 1, strides=2, padding="same", use_bias=False)(x)
    x = layers.SeparableConv2D(width, 3, padding="same", use_bias=False)(x)
    x = layers.ReLU()(_normalized(x))
    x = layers.SeparableConv2D(width, 3, padding="same", use_bias=False)(x)
    x = layers.MaxPooling2D(3, strides=2, padding="same")(_normalized(x))
    return layers.Add()([x, _normalized(around)])


def _normalized(x: keras.KerasTensor) -> keras.KerasTensor:
    return layers.BatchNormalization(momentum=0.95)(x)
