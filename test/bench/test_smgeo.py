"""The trunk that stands for SMGeo's released code costs what that one costs."""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from cvgeo_ros.bench.smgeo import MACS, DensePool, SMGeoTrunk, dense_pool
from cvgeo_ros.net import NetConfig, View
from cvgeo_ros.net.gmoe import ExpertPool


def test_the_pair_takes_as_many_operations_as_released() -> None:
    trunk = SMGeoTrunk().eval()
    nothing_computed = FakeTensorMode(allow_non_fake_inputs=True)
    with nothing_computed, FlopCounterMode(display=False) as counter, torch.no_grad():
        for side in (256, 1024):
            trunk(torch.rand(1, 3, side, side), View.SATELLITE, torch.tensor([0.3]))
    assert counter.get_total_flops() / 2 == pytest.approx(MACS, rel=0.02)


def test_all_experts_give_what_the_chosen_ones_give() -> None:
    torch.manual_seed(0)
    pool = ExpertPool(8, 16, 6)
    tokens, logits = torch.randn(40, 8), torch.randn(40, 6)
    weights, choice = logits.topk(2, dim=1)
    dense = dense_pool(pool)
    assert dense.w1 is pool.w1
    torch.testing.assert_close(dense.sparse(tokens, weights, choice), pool.sparse(tokens, weights, choice))


def test_windows_do_not_shift_and_the_last_stage_comes_out(small_config: NetConfig) -> None:
    trunk = SMGeoTrunk(small_config).eval()
    assert all(isinstance(pool, DensePool) for pool in trunk.pools.values())
    assert not any(any(block.shift_size) for stage in trunk.trunk.layers for block in stage.blocks)
    image = torch.rand(1, 3, 64, 64)
    features, _ = trunk(image, View.DRONE, torch.tensor([0.3]))
    assert features.match.shape == (1, 32, 4, 4)
    # Cells of one window see nothing of the next.
    image[..., 32:] = 0
    other, _ = trunk(image, View.DRONE, torch.tensor([0.3]))
    assert not torch.equal(other.match, features.match)
