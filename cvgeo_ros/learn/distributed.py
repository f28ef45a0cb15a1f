"""Devices, and one training by several processes: torchrun starts them, each on a device of its own."""

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from ..errors import TrainingError


@dataclass(frozen=True)
class Team:
    """The processes of a training, seen from one of them; usually it is alone.

    Attributes:
        device: that this process computes on.
        rank: number of this process; 0 writes what is written.
        size: number of processes.
    """

    device: torch.device
    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def join(self, module: nn.Module) -> nn.Module:
        """The module with gradients that are the mean over all processes, and the parameters of process 0."""
        if self.size == 1:
            return module
        on = [self.device] if self.device.type == "cuda" else None
        # Of 1x1 convolutions, whose strides mean nothing.
        warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
        # A batch without objects leaves parts of the box head out. Buffers are constants.
        return DistributedDataParallel(module, device_ids=on, forward_sync_buffers=False, find_unused_parameters=True)

    @staticmethod
    def apart(module: nn.Module) -> AbstractContextManager[None]:
        """Backward passes in it leave the gradients of a joined module with each process."""
        return module.no_sync() if isinstance(module, DistributedDataParallel) else nullcontext()

    def largest(self, values: Sequence[float]) -> list[float]:
        """Each value's largest over the processes; every process must ask, and goes on when all have."""
        return self._reduce(values, dist.ReduceOp.MAX)

    def mean(self, values: Sequence[float]) -> list[float]:
        """Each value's mean over the processes; every process must ask, and goes on when all have."""
        return [value / self.size for value in self._reduce(values, dist.ReduceOp.SUM)]

    def _reduce(self, values: Sequence[float], operation: dist.ReduceOp.RedOpType) -> list[float]:
        if self.size == 1:
            return list(values)
        shared = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(shared, operation)
        return shared.tolist()


@contextmanager
def team(device: str = "auto") -> Iterator[Team]:
    """The team that this process is one of: torchrun's, or itself alone.

    Args:
        device: auto, cpu, cuda or cuda:N; with several processes cuda gives each its own.

    Raises:
        TrainingError: no such device.
    """
    size = int(os.environ.get("WORLD_SIZE", "1")) if "RANK" in os.environ else 1
    if size == 1:
        yield Team(pick_device(device))
        return
    chosen = pick_device(device, int(os.environ["LOCAL_RANK"]))
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    dist.init_process_group("cpu:gloo,cuda:nccl" if chosen.type == "cuda" else "gloo")
    try:
        yield Team(chosen, int(os.environ["RANK"]), size)
    finally:
        dist.destroy_process_group()


def pick_device(name: str, local_rank: int | None = None) -> torch.device:
    """Device by its name.

    Args:
        name: auto, cpu, cuda or cuda:N.
        local_rank: number of this process among several on its machine; None: there is one.

    Raises:
        TrainingError: no such device, or one device for several processes.
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    try:
        device = torch.device(("cuda" if count else "cpu") if name == "auto" else name)
    except RuntimeError:
        device = torch.device("meta")
    if device.type == "cpu":
        return device
    if device.type != "cuda":
        raise TrainingError(f"device {name!r} is none of auto, cpu, cuda, cuda:N")
    if device.index is not None and local_rank is not None:
        raise TrainingError(f"device {name!r} for several processes: with 'cuda' each takes its own")
    index = device.index or local_rank or 0
    if index >= count:
        raise TrainingError(f"device {name!r}: number {index} is needed, but torch sees {count} GPUs here")
    return torch.device("cuda", index)
