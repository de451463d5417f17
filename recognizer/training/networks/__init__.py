"""Architectures by name. Imports TensorFlow: only the fitting side may import this."""

from recognizer.training.networks.base import (
    ARCHITECTURES,
    FEATURES,
    HEAD_WIDTHS,
    LEVEL,
    Network,
    at_size,
    changed,
    count_macs,
    name_of,
    named_network,
    network_from,
    settings_of,
    without_weights,
)
from recognizer.training.networks.mini_xception import MiniXception
from recognizer.training.networks.resnet9 import ResNet9
from recognizer.training.networks.resnet50 import ResNet50
from recognizer.training.networks.simple_cnn import SimpleCnn
from recognizer.training.networks.vgg16 import Vgg16

__all__ = [
    "ARCHITECTURES",
    "FEATURES",
    "HEAD_WIDTHS",
    "LEVEL",
    "MiniXception",
    "Network",
    "ResNet9",
    "ResNet50",
    "SimpleCnn",
    "Vgg16",
    "at_size",
    "changed",
    "count_macs",
    "name_of",
    "named_network",
    "network_from",
    "settings_of",
    "without_weights",
]
