"""Operations, bytes and floors are those of the arithmetic."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from cvgeo_ros.bench.roofline import Peaks, Roofline, Work, count, peaks
from cvgeo_ros.net import dispatch
from cvgeo_ros.net.gmoe import ExpertPool


def test_a_product_and_a_sum_are_counted() -> None:
    a, b = torch.rand(8, 16), torch.rand(16, 4)
    work = count(lambda: a @ b + 1.0)
    assert work.operations == 2 * 8 * 16 * 4
    assert work.bytes == 4 * (8 * 16 + 16 * 4 + 8 * 4 + 2 * 8 * 4)
    assert count(lambda: a.t().unflatten(0, (4, 4))[:2]).bytes == 0, "views move nothing"


def test_grouped_products_count_as_the_loop_does() -> None:
    pool, x = ExpertPool(16, 32, 6), torch.randn(50, 16)
    weights, choice = torch.rand(50, 6).topk(2, dim=1)
    loop = count(lambda: dispatch.loop(pool.experts, x, weights, choice)).operations
    biases = 2 * 100 * 6 * (16 + 32)
    assert count(lambda: dispatch.grouped(pool.experts, x, weights, choice)).operations == loop + biases
    half = F.grouped_mm(torch.rand(8, 16), torch.rand(2, 16, 8), offs=torch.tensor([3, 8], dtype=torch.int32))
    assert half.shape == (8, 8)


@pytest.mark.parametrize("work, floor", [(Work(4e9, 1e9), 2.0), (Work(1e9, 6e9), 3.0)])
def test_the_floor_is_what_takes_longer(work: Work, floor: float) -> None:
    line = Roofline("it", work, Peaks(2e9, 2e9), np.array([floor, 2 * floor, 3 * floor]))
    assert line.floor == floor and line.ratio == 2.0
    assert line.to_dict()["ms"] == 2e3 * floor
    assert str(line).endswith(f"floor {1e3 * floor} ms, measured {2e3 * floor} ms, 2.00 times")


def test_peaks_are_of_this_machine() -> None:
    found = peaks(torch.device("cpu"), torch.float32, rounds=1, sides=(128,))
    assert 1e8 < found.operations < 1e15 and 1e8 < found.bytes < 1e13
