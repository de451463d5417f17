"""Architectures by name. Imports TensorFlow: only the fitting side may import this."""

from recognizer.training.networks import resnet9 as resnet9
from recognizer.training.networks.base import (
    ARCHITECTURES,
    FEATURES,
    HEAD_WIDTHS,
    Network,
    count_macs,
    name_of,
)
from recognizer.training.networks.resnet9 import ResNet9

__all__ = [
    "ARCHITECTURES",
    "FEATURES",
    "HEAD_WIDTHS",
    "Network",
    "ResNet9",
    "count_macs",
    "name_of",
]
