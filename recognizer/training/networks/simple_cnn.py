"""A plain convolutional network: what to compare the others with."""

from dataclasses import dataclass

import keras
from keras import layers
from pydantic import NonNegativeInt, PositiveInt

from recognizer.training.networks.base import register, with_heads
from recognizer.training.settings import Settings, ShareBelow1, Widths


@register("simple_cnn")
@dataclass(frozen=True, slots=True)
class SimpleCnn(Settings):
    """Blocks of convolution, batch normalisation, max-pooling and dropout, then dense layers.

    Every block halves the side. The features are those of a dense layer over all that is left
    of the picture, so unlike with pooling it matters where on the face something is.

    Attributes:
        widths: channels of each block.
        block_dropout: share of a block's output dropped.
        dense: width of the dense layer that gives the features.
        dropout, hidden: of what leads to the heads, see `with_heads`.
    """

    widths: Widths = (32, 64, 128)
    block_dropout: ShareBelow1 = 0.25
    dense: PositiveInt = 128
    dropout: ShareBelow1 = 0.5
    hidden: NonNegativeInt = 0

    def build(self, size: int = 48) -> keras.Model:
        """Return a model from `faces` (N, size, size, 1) to the logits of every head."""
        faces = keras.Input((size, size, 1), name="faces")
        x = faces
        for width in self.widths:
            x = layers.Conv2D(width, 3, padding="same", use_bias=False)(x)
            x = layers.BatchNormalization(momentum=0.95)(x)
            x = layers.ReLU()(x)
            x = layers.MaxPooling2D(2, padding="same")(x)
            x = layers.Dropout(self.block_dropout)(x)
        x = layers.Dense(self.dense, activation="relu")(layers.Flatten()(x))
        return with_heads(faces, x, self.dropout, self.hidden)
