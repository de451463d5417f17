"""The default network."""

from dataclasses import dataclass

import keras
from keras import layers

from recognizer.training.networks.base import register, with_heads


@register("resnet9")
@dataclass(frozen=True, slots=True)
class ResNet9:
    """A small residual network for 48x48 grey faces.

    After "Deep Residual Learning" (He et al., 2016) with squeeze-and-excitation
    (Hu et al., 2018). One stem convolution at full size, then three stages that each
    halve the side: almost all the work is done at 24x24 and below, where a CPU is quick.

    Attributes:
        widths: channels of the stem and of the three stages after it.
        dropout, hidden: of what leads to the heads, see `with_heads`.
        squeeze: by how much squeeze-and-excitation narrows the channels.
    """

    widths: tuple[int, int, int, int] = (32, 48, 96, 192)
    dropout: float = 0.3
    squeeze: int = 8
    hidden: int = 0

    def build(self, size: int = 48) -> keras.Model:
        """Return a model from `faces` (N, size, size, 1) to the logits of every head."""
        faces = keras.Input((size, size, 1), name="faces")
        x = _convolution(faces, self.widths[0], stride=1)
        for width in self.widths[1:]:
            x = _convolution(x, width, stride=2)
            x = _residual(x, width)
            x = _squeeze_excite(x, self.squeeze)
        return with_heads(faces, layers.GlobalAveragePooling2D()(x), self.dropout, self.hidden)


def _convolution(
    x: keras.KerasTensor, width: int, stride: int, *, activate: bool = True
) -> keras.KerasTensor:
    x = layers.Conv2D(
        width, 3, strides=stride, padding="same", use_bias=False, kernel_initializer="he_normal"
    )(x)
    x = layers.BatchNormalization(momentum=0.95)(x)
    return layers.ReLU()(x) if activate else x


def _residual(x: keras.KerasTensor, width: int) -> keras.KerasTensor:
    y = _convolution(x, width, stride=1)
    y = _convolution(y, width, stride=1, activate=False)
    return layers.ReLU()(layers.Add()([x, y]))


def _squeeze_excite(x: keras.KerasTensor, squeeze: int) -> keras.KerasTensor:
    width = x.shape[-1]
    gate = layers.GlobalAveragePooling2D(keepdims=True)(x)
    gate = layers.Conv2D(max(1, width // squeeze), 1, activation="relu")(gate)
    gate = layers.Conv2D(width, 1, activation="sigmoid")(gate)
    return layers.Multiply()([x, gate])
