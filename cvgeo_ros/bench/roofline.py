"""What the machine could do at best: operations and bytes counted, its own peaks measured, their floor in seconds."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from .interleave import Seconds
from .timing import time_cases

GROUPED = torch.ops.aten._grouped_mm
"""Not among torch's own formulas; absent ones raise AttributeError, and this name is there from torch 2.7 on."""


@dataclass(frozen=True)
class Peaks:
    """What a device reaches at its best.

    Attributes:
        operations: floating-point operations a second, in square matrix products.
        bytes: read and written a second, in copies of a large tensor.
    """

    operations: float
    bytes: float

    def floor(self, work: "Work") -> float:
        """Seconds that the work takes at least."""
        return max(work.operations / self.operations, work.bytes / self.bytes)


@dataclass(frozen=True)
class Work:
    """What something computes.

    Attributes:
        operations: of matrix products, convolutions and attention; two for a multiplication and addition.
        bytes: that all operators read and write, each of them alone: fusing some of them would save of these.
    """

    operations: float
    bytes: float


@dataclass(frozen=True)
class Roofline:
    """A piece of work against what the machine could do.

    Attributes:
        name: of the work.
        work: counted.
        peaks: of the machine, in the work's type.
        seconds: (rounds,) measured.
    """

    name: str
    work: Work
    peaks: Peaks
    seconds: Seconds

    @property
    def floor(self) -> float:
        return self.peaks.floor(self.work)

    @property
    def ratio(self) -> float:
        """Median time over the floor."""
        return float(np.median(self.seconds)) / self.floor

    def to_dict(self) -> dict[str, object]:
        """Figures for JSON."""
        return {
            "name": self.name,
            "gflop": round(self.work.operations / 1e9, 3),
            "mbytes": round(self.work.bytes / 1e6, 2),
            "peak_gflop_s": round(self.peaks.operations / 1e9, 1),
            "peak_gbyte_s": round(self.peaks.bytes / 1e9, 1),
            "floor_ms": round(1e3 * self.floor, 3),
            "ms": round(1e3 * float(np.median(self.seconds)), 3),
            "ratio": round(self.ratio, 3),
        }

    def __str__(self) -> str:
        told = self.to_dict()
        operations = f"{told['gflop']} GFLOP at {told['peak_gflop_s']} GFLOP/s"
        traffic = f"{told['mbytes']} MB at {told['peak_gbyte_s']} GB/s"
        times = f"floor {told['floor_ms']} ms, measured {told['ms']} ms, {self.ratio:.2f} times"
        return f"{self.name}: {operations}, {traffic}; {times}"


class _Traffic(TorchDispatchMode):
    """Adds up what operators read and write."""

    bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if not func.is_view:
            tensors = [leaf for leaf in tree_leaves((args, kwargs, result)) if isinstance(leaf, Tensor)]
            self.bytes += sum(leaf.numel() * leaf.element_size() for leaf in tensors)
        return result


def count(run: Callable[[], object]) -> Work:
    """What one call computes; it is run twice."""
    formulas = {GROUPED: _grouped_operations}
    with FlopCounterMode(display=False, custom_mapping=formulas) as counter:
        run()
    with _Traffic() as traffic:
        run()
    return Work(float(counter.get_total_flops()), float(traffic.bytes))


def _grouped_operations(a: Any, b: Any, *_: Any, out_shape: Any = None, **__: Any) -> int:
    """Of shapes: rows of one operand meet one group of the other, whatever the offsets."""
    return 2 * int(np.prod(a)) * int(b[-1])


def peaks(
    device: torch.device, kind: torch.dtype, rounds: int = 5, clock: str = "wall", sides: tuple[int, ...] = ()
) -> Peaks:
    """Measure a device: the best of square products of some sides, and copies beyond its caches.

    Args:
        device: where.
        kind: type of the products.
        rounds: how often; the fastest counts.
        clock: wall or cpu, see `timing`.
        sides: of the products; empty: those that suit the device.
    """
    large = device.type == "cuda"
    chosen = sides or ((4096, 8192) if large else (512, 1024, 2048))
    operations = 0.0
    for side in chosen:
        a, b = (torch.randn(side, side, device=device).to(kind) for _ in range(2))
        out = torch.empty_like(a)
        seconds = time_cases(device, rounds, {"product": partial(torch.mm, a, b, out=out)}, clock)
        operations = max(operations, 2 * side**3 / float(seconds["product"].min()))
    source = torch.zeros((1 << 30) if large else (1 << 28), dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    copied = time_cases(device, rounds, {"copy": lambda: target.copy_(source)}, clock)["copy"]
    return Peaks(operations, 2 * source.numel() / float(copied.min()))
