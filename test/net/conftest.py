import pytest
import torch

from cvgeo_ros.net import CrossViewLocator, NetConfig


@pytest.fixture
def small(small_config: NetConfig) -> CrossViewLocator:
    torch.manual_seed(0)
    return CrossViewLocator(small_config).eval()


def field(channels: int, height: int, width: int, seed: int = 0) -> torch.Tensor:
    """Smooth random unit descriptors, so that neighbours resemble each other as in real maps."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(1, channels, height + 4, width + 4, generator=generator)
    return torch.nn.functional.normalize(torch.nn.functional.avg_pool2d(noise, 5, 1), dim=1)
