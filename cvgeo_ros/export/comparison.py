"""Whether a written branch computes what the network does."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .branches import Branch
from .formats import Runner

TOLERANCE = 1e-3
"""Largest difference allowed, of the output's largest value, which counts as 1 where it is smaller. Features of a tile
are kept in half precision, whose rounding is half of that."""
STRAYS = 1e-3
"""Share of an output's numbers that may differ by more: of two experts that suit a cell equally, rounding picks one."""


@dataclass(frozen=True)
class Difference:
    """How an output differs from the network's, at worst over the examples.

    Attributes:
        output: its name.
        largest: largest difference, relative as for `TOLERANCE`.
        strays: share of the numbers beyond the tolerance.
    """

    output: str
    largest: float
    strays: float

    @property
    def passed(self) -> bool:
        return self.strays <= STRAYS


@torch.no_grad()
def compare(branch: Branch, run: Runner, examples: Sequence[tuple[Tensor, ...]]) -> list[Difference]:
    """Run a written branch and the network side by side."""
    worst = [Difference(port.name, 0.0, 0.0) for port in branch.outputs]
    for inputs in examples:
        wanted = branch(*inputs)
        for index, (a, b) in enumerate(zip(wanted, run(inputs), strict=True)):
            old = worst[index]
            if a.shape != b.shape:
                worst[index] = Difference(old.output, float("inf"), 1.0)
                continue
            # NaN is no number that may differ: it counts as infinitely far off.
            off = (a - b).abs().nan_to_num(nan=torch.inf) / max(1.0, float(a.abs().max()))
            strays = float((off > TOLERANCE).float().mean())
            worst[index] = Difference(old.output, max(old.largest, float(off.max())), max(old.strays, strays))
    return worst
