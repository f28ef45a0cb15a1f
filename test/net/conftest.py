"""A small network: the same code as the shipped sizes, fast enough for hundreds of tests."""

import pytest
import torch

from cvgeo_ros.net import CrossViewLocator, NetConfig

SMALL = NetConfig(
    name="small",
    embed_dim=8,
    depths=(1, 2, 2),
    num_heads=(1, 2, 4),
    window_size=4,
    conv_stem=True,
    moe_blocks=((), (1,), (0, 1)),
    expert_ratio=2.0,
    mlp_ratio=2.0,
    match_dim=16,
    context_dim=16,
    query_size=64,
)


@pytest.fixture
def small() -> CrossViewLocator:
    torch.manual_seed(0)
    return CrossViewLocator(SMALL).eval()
