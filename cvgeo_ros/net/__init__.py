"""The network, without ROS and without geodesy: tensors in, tensors out."""

from .config import CONFIGS, NANO, STRIDE, TINY, NetConfig, View
from .model import Answer, CrossViewLocator, TileFeatures

__all__ = ["CONFIGS", "NANO", "STRIDE", "TINY", "Answer", "CrossViewLocator", "NetConfig", "TileFeatures", "View"]
