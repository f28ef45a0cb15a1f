"""What SMGeo's released code computes for a pair, rebuilt from our modules to be timed beside them.

SMGeo: arXiv 2511.14093. Its code encodes query and tile anew for each pair and click.
"""

from torch import Tensor

from ..net.config import TINY, NetConfig
from ..net.encoder import Encoder, Features
from ..net.gmoe import ExpertPool

MACS = 282.8e9
"""Multiply-accumulates of the released trunk for a query of 256 x 256 and a tile of 1024 x 1024 pixels."""
SECONDS = 5.3
"""A pair by the released trunk itself in float32 on two cores of an AMD EPYC server CPU, median of 3: timed elsewhere,
not in the run that quotes it."""


class DensePool(ExpertPool):
    """Runs all experts on all tokens and weighs afterwards, as the released code does under the name of sparse."""

    def sparse(self, x: Tensor, weights: Tensor, choice: Tensor) -> Tensor:
        return self.dense(x, weights, choice)


def dense_pool(pool: ExpertPool) -> DensePool:
    """A pool with the same experts, sharing their memory."""
    dense = DensePool(pool.w1.shape[1], pool.w1.shape[2], pool.num_experts)
    dense.w1, dense.b1, dense.w2, dense.b2 = pool.w1, pool.b1, pool.w2, pool.b2
    return dense.train(pool.training)


class SMGeoTrunk(Encoder):
    """The released trunk: Swin-T without shifted windows, all six experts run densely, features of the last stage.

    Its head, two 3x3 convolutions on 32 x 32 cells, is left out: a hundredth of the whole.
    """

    def __init__(self, config: NetConfig = TINY, dense: bool = True) -> None:
        """`dense` False: the same trunk with experts dispatched sparsely."""
        super().__init__(config)
        for stage in self.trunk.layers:
            for block in stage.blocks:
                block.shift_size = (0, 0)
        if dense:
            for name, pool in self.pools.items():
                assert isinstance(pool, ExpertPool)
                self.pools[name] = dense_pool(pool)

    def _neck(self, levels: list[Tensor]) -> Features:
        last = levels[-1].permute(0, 3, 1, 2)
        return Features(last, last)
