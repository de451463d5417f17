"""The default network."""

from dataclasses import dataclass

import keras
from keras import layers
from pydantic import NonNegativeInt, PositiveInt

from recognizer.training.networks.base import LEVEL, register, with_heads
from recognizer.training.settings import Settings, SettingsError, ShareBelow1, Widths


@register("resnet9")
@dataclass(frozen=True, slots=True)
class ResNet9(Settings):
    """A small residual network for 48x48 grey faces.

    After "Deep Residual Learning" (He et al., 2016) with squeeze-and-excitation
    (Hu et al., 2018). Without an entry the picture is first folded to half its side with four
    channels, which loses nothing (space-to-depth, Shi et al., 2016, the other way round): a
    convolution at the full side is mostly memory traffic, and costs a CPU a third of the time.

    Attributes:
        widths: channels of each stage; each halves the side, the first one by folding, or by
            its stride if there is an entry.
        entry: channels of a convolution at the full side; 0 folds instead.
        blocks: residual blocks of each stage, a number for each width.
        dropout, hidden: of what leads to the heads, see `with_heads`.
        squeeze: by how much squeeze-and-excitation narrows the channels.
    """

    widths: Widths = (48, 96, 192)
    entry: NonNegativeInt = 32
    blocks: Widths = (1, 1, 1)
    dropout: ShareBelow1 = 0.25
    squeeze: PositiveInt = 8
    hidden: NonNegativeInt = 0

    def __post_init__(self) -> None:
        if len(self.blocks) != len(self.widths):
            raise SettingsError(
                "resnet9 needs as many blocks as widths, one number for each stage, not "
                f"{len(self.blocks)} for {len(self.widths)}."
            )

    def build(self, size: int = 48) -> keras.Model:
        """Return a model from `faces` (N, size, size, 1) to the logits of every head."""
        if size % 2:
            raise SettingsError(f"resnet9 takes pictures of an even side, not {size} pixels.")
        faces = keras.Input((size, size, 1), name="faces")
        x = _convolution(faces, self.entry, stride=1) if self.entry else _folded(faces)
        for stage, (width, blocks) in enumerate(zip(self.widths, self.blocks, strict=True)):
            x = _convolution(x, width, stride=2 if stage or self.entry else 1)
            for _ in range(blocks):
                x = _residual(x, width)
            x = _squeeze_excite(x, self.squeeze, LEVEL if stage == len(self.widths) - 2 else None)
        return with_heads(faces, layers.GlobalAveragePooling2D()(x), self.dropout, self.hidden)


def _folded(x: keras.KerasTensor) -> keras.KerasTensor:
    """(N, side, side, C) to (N, side / 2, side / 2, 4 C): each 2x2 pixels become one."""
    corners = [x[:, top::2, left::2, :] for top in (0, 1) for left in (0, 1)]
    return layers.Concatenate()(corners)


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


def _squeeze_excite(x: keras.KerasTensor, squeeze: int, name: str | None) -> keras.KerasTensor:
    width = x.shape[-1]
    gate = layers.GlobalAveragePooling2D(keepdims=True, name=name)(x)
    gate = layers.Conv2D(max(1, width // squeeze), 1, activation="relu")(gate)
    gate = layers.Conv2D(width, 1, activation="sigmoid")(gate)
    return layers.Multiply()([x, gate])
