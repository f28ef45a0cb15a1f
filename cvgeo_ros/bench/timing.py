"""Time and memory of work on any device, and what machine it was."""

import os
import platform
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from ..errors import CvgeoError
from .interleave import Seconds, interleave

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
"""cpu: of this process, all threads together; other processes do not lengthen it."""


def check_clock(device: torch.device, clock: str) -> None:
    """Raise CvgeoError where CPU time is asked for and the device is no CPU."""
    if clock == "cpu" and device.type != "cpu":
        raise CvgeoError(f"CPU time says nothing of work on {device}; measure wall time")


def time_cases(
    device: torch.device, rounds: int, cases: Mapping[str, Callable[[], object]], clock: str = "wall"
) -> dict[str, Seconds]:
    """`interleave` cases whose work may still be under way on a GPU when they return.

    Raises:
        CvgeoError: as `check_clock` does.
    """
    check_clock(device, clock)

    def finished(run: Callable[[], object]) -> Callable[[], object]:
        def case() -> None:
            run()
            torch.cuda.synchronize(device)

        return case if device.type == "cuda" else run

    return interleave({name: finished(run) for name, run in cases.items()}, rounds, CLOCKS[clock])


def machine(device: torch.device, clock: str, rounds: int) -> dict[str, object]:
    """What the figures hold for; `load` is how many processes ran or waited to run in the minute before."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return {
        "device": f"{device.type} {name}",
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "load": round(os.getloadavg()[0], 2),
        "clock": clock,
        "rounds": rounds,
    }


def peak_memory(device: torch.device, run: Callable[[], object]) -> int:
    """Bytes that tensors made by one call take at most, beyond what was there."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        run()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    with torch.autograd.profiler.profile(profile_memory=True) as profile:
        run()
    results = profile.kineto_results
    assert results is not None
    changes = [(e.start_ns(), e.nbytes()) for e in results.events() if e.name() == "[memory]"]
    held = most = 0
    for _, change in sorted(changes, key=lambda item: item[0]):
        held += change
        most = max(most, held)
    return most


def resident_bytes() -> int:
    """Memory of this process that lies in RAM, Linux."""
    return _status("VmRSS")


def forget_peak() -> None:
    """Begin a new count for `peak_resident_bytes`, where the system allows it."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def peak_resident_bytes() -> int:
    """Most that `resident_bytes` has been since `forget_peak`, or since the process began."""
    return _status("VmHWM")


def _status(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) << 10
    return 0
