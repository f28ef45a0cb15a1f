"""The soak: camera, localizer and visualizer for minutes or hours, every frame clicked, memory and answers watched.

Memory is the resident set of each process. Its slope is that of Theil and Sen (the median over all pairs of samples),
which a single step or peak does not move, with its 95 % interval, over the second half of the time: in the first,
caches and histories fill, and the heap finds its size.
"""

import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import theilslopes

from cvgeo_ros.bench.clicker import PATIENCE, Clicker
from cvgeo_ros.demo.operator import Operator, spinning_node
from cvgeo_ros.demo.processes import Processes
from cvgeo_ros.errors import CvgeoError
from cvgeo_ros.scene import Scene

NODES = ("camera", "localizer", "visualizer")
MIB = 1 << 20
SAMPLES = 600


@dataclass(frozen=True)
class Plan:
    """What to run.

    Attributes:
        minutes: How long, from the first answer on.
        rate: Frames a second that the camera sends, and by which the vehicle is followed.
        limit: Growth of a node's memory that is still called flat, MiB an hour.
        model, device: As the localizer's parameters.
    """

    minutes: float = 10.0
    rate: float = 10.0
    limit: float = 60.0
    model: str = "nano"
    device: str = "auto"


@dataclass(frozen=True)
class Memory:
    """Resident memory of a node, MiB, and its slope with the ends of its 95 % interval, MiB an hour."""

    first: float
    last: float
    peak: float
    slope: float
    low: float
    high: float


@dataclass(frozen=True)
class Soak:
    """What became of it.

    Attributes:
        minutes: That were measured.
        frames: The camera sent in that time.
        sent, answered: Requests, one a frame and at most OUTSTANDING at a time.
        refused: Requests that the localizer has said it cannot answer: images are sent best-effort, and a process that
            gets no processor time misses some.
        lost: The rest.
        unasked: Answers under a stamp that nobody asked for.
        pictures: Frames that the visualizer has drawn answers in.
        poses: Of the vehicle.
        latency: From the image's stamp to its answer: median and 95 %, ms.
        memory: By node.
        limit: As in the plan.
    """

    minutes: float
    frames: int
    sent: int
    answered: int
    refused: int
    lost: int
    unasked: int
    pictures: int
    poses: int
    latency: tuple[float, float]
    memory: dict[str, Memory]
    limit: float

    @property
    def passed(self) -> bool:
        """Whether memory is flat and nothing was lost or made up."""
        flat = all(memory.low <= self.limit for memory in self.memory.values())
        return flat and not self.lost and not self.unasked and self.answered > 0

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON takes them."""
        hertz = {"frames_hz": self.frames / self.minutes / 60.0, "answers_hz": self.answered / self.minutes / 60.0}
        return {**asdict(self), **{key: round(value, 2) for key, value in hertz.items()}, "passed": self.passed}


def soak(scene: Scene, plan: Plan, out: Path, say: Callable[[str], None]) -> Soak:
    """Run the graph on a scene whose frames are clicked as its objects say.

    Args:
        scene: Frames, clicks and map.
        plan: What to run.
        out: Receives the nodes' logs and memory.csv: s, and MiB of each node: resident, and its own part of that.
        say: Told what is going on.

    Raises:
        CvgeoError: A node ended or cannot do its work.
    """
    tile = str(scene.map.resolve())
    with Processes(out) as processes, spinning_node("operator") as node:
        say("starting the localizer and the visualizer")
        # An answer by a neighbouring frame would not be one.
        settings = {"map": tile, "model": plan.model, "device": plan.device, "stamp_slop": 0.0}
        processes.start("localizer", {**settings, "vehicle_rate": plan.rate, "prepare_map": True})
        processes.start("visualizer", {"map": tile})
        Operator(node, processes.check).wait_for_localizer()
        clicker = Clicker(node, scene)
        camera = {"source": str(scene.root.resolve()), "rate": plan.rate, "loop": True, "wait_for_subscribers": 2}
        processes.start("camera", camera)
        _wait(lambda: clicker.counts()["answered"] > 0, processes.check, PATIENCE * 3, "the first answer")
        clicker.restart()
        times, sizes = _watch(plan, processes, clicker, out / "memory.csv", say)
        clicker.stop()
        minutes = (time.monotonic() - times[0]) / 60.0
        _wait(lambda: not clicker.counts()["waiting"], processes.check, PATIENCE, "")
        time.sleep(2.0)  # diagnostics come once a second
        counts = clicker.counts()
    settled = times - times[0] >= 0.5 * (times[-1] - times[0])
    memory = {name: trend(times[settled], sizes[name][settled], sizes[name]) for name in NODES}
    answered, sent = counts["answered"], counts["sent"]
    quantiles = np.percentile(clicker.latencies, [50, 95]) if clicker.latencies else np.full(2, np.nan)
    return Soak(
        round(minutes, 3),
        counts["frames"],
        sent,
        answered,
        counts["refused"],
        sent - answered - counts["refused"],
        counts["unasked"],
        counts["pictures"],
        counts["poses"],
        (round(float(quantiles[0]), 1), round(float(quantiles[1]), 1)),
        memory,
        plan.limit,
    )


def trend(times: np.ndarray, sizes: np.ndarray, everything: np.ndarray) -> Memory:
    """Return the trend of samples (N,) bytes at times (N,) s; first, last and peak are of everything (M,) bytes."""
    slope, _, low, high = theilslopes(sizes / MIB, times / 3600.0, 0.95)
    first, last, peak = everything[0] / MIB, everything[-1] / MIB, everything.max() / MIB
    return Memory(*(round(float(value), 2) for value in (first, last, peak, slope, low, high)))


def resident(pid: int) -> tuple[int, int]:
    """Return the resident memory of a process, and its own part of it without files and shared memory, bytes.

    Raises:
        CvgeoError: It has ended.
    """
    try:
        _, pages, shared, *_ = map(int, Path(f"/proc/{pid}/statm").read_text().split())
    except (OSError, ValueError) as error:
        raise CvgeoError(f"process {pid} has ended") from error
    size = os.sysconf("SC_PAGE_SIZE")
    return pages * size, (pages - shared) * size


def _watch(
    plan: Plan, processes: Processes, clicker: Clicker, file: Path, say: Callable[[str], None]
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return the times (N,) s and each node's memory (N,) bytes then."""
    start = time.monotonic()
    step = max(60.0 * plan.minutes / SAMPLES, 0.2)
    times: list[float] = []
    sizes: dict[str, list[int]] = {name: [] for name in NODES}
    file.write_text(",".join(["seconds", *(f"{name},{name}_own" for name in NODES)]) + "\n")
    while not times or times[-1] - start < 60.0 * plan.minutes:
        processes.check()
        times.append(time.monotonic())
        found = [resident(processes.pid(name)) for name in NODES]
        for name, (whole, _) in zip(NODES, found, strict=True):
            sizes[name].append(whole)
        row = [times[-1] - start, *(part / MIB for pair in found for part in pair)]
        with file.open("a") as stream:
            stream.write(",".join(f"{value:.2f}" for value in row) + "\n")
        counts = clicker.counts()
        told = ", ".join(f"{name} {sizes[name][-1] / MIB:.0f}" for name in NODES)
        elapsed = (times[-1] - start) / 60.0
        say(f"{elapsed:.1f} of {plan.minutes:g} min: {counts['answered']} of {counts['sent']} answered; MiB: {told}")
        time.sleep(max(start + len(times) * step - time.monotonic(), 0.0))
    return np.array(times), {name: np.array(values, np.float64) for name, values in sizes.items()}


def _wait(done: Callable[[], bool], check: Callable[[], None], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            if what:
                raise CvgeoError(f"waited {seconds:g} s for {what} in vain")
            return
        check()
        time.sleep(0.05)


def table(result: Soak) -> Any:
    """Return the memory of the nodes as a rich table."""
    from rich.table import Table

    table = Table("node", title=f"resident memory over {result.minutes:.1f} min, MiB; slopes in MiB an hour")
    for column in ("first", "last", "peak", "slope", "95 % from", "to", "bound"):
        table.add_column(column, justify="right")
    for name, memory in result.memory.items():
        figures = (memory.first, memory.last, memory.peak, memory.slope, memory.low, memory.high, result.limit)
        table.add_row(name, *(f"{value:.1f}" for value in figures))
    return table


def sentence(result: Soak) -> str:
    """Return the counts in words."""
    seconds = 60.0 * result.minutes
    return (
        f"{result.frames} frames ({result.frames / seconds:.1f} Hz), {result.sent} clicked, {result.answered} answered "
        f"({result.answered / seconds:.1f} Hz), {result.refused} refused, {result.lost} lost, "
        f"{result.unasked} unasked for, {result.pictures} pictures, {result.poses} vehicle poses; "
        f"latency {result.latency[0]:.0f} ms median, {result.latency[1]:.0f} ms 95 %"
    )
