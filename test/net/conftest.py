import pytest
import torch

from cvgeo_ros.net import CrossViewLocator, NetConfig


@pytest.fixture
def small(small_config: NetConfig) -> CrossViewLocator:
    torch.manual_seed(0)
    return CrossViewLocator(small_config).eval()
