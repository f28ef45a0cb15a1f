"""What `locate` reaches on this machine: latency by the number of clicks, frames a second, memory, and its floor."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from ..geo import open_store
from ..localizer import Localizer
from ..localizer.localizer import pick_device
from ..net import CONFIGS, CrossViewLocator
from ..scene import Scene
from ..share import shipped
from .interleave import Seconds
from .roofline import Roofline, Work, count, peaks
from .subjects import SceneView
from .timing import check_clock, forget_peak, machine, peak_resident_bytes, resident_bytes, time_cases

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True)
class Plan:
    """What is measured, and how often.

    Attributes:
        clicks: numbers of clicks.
        rounds: frames of each.
        width: of the frame, pixels.
        half: encode in bfloat16.
        compiled: mode of torch.compile for the encoder; None: not compiled.
        clock: wall or cpu, see `timing`.
    """

    clicks: tuple[int, ...] = (1, 8, 32)
    rounds: int = 100
    width: int = 1920
    half: bool = False
    compiled: str | None = None
    clock: Literal["wall", "cpu"] = "wall"

    @property
    def few(self) -> int:
        return max(3, self.rounds // 5)


@dataclass(frozen=True)
class Latency:
    """Frame to targets with the tile's features cached.

    Attributes:
        clicks: in the frame.
        seconds: (rounds,) of a frame.
        stages: median seconds of each stage; empty on a GPU, where they end before their work, and by CPU time, which
            they are not taken in.
    """

    clicks: int
    seconds: Seconds
    stages: dict[str, float] = field(default_factory=dict)

    @property
    def frames(self) -> float:
        """A second, one after the other without a pause."""
        return 1.0 / float(self.seconds.mean())

    @property
    def percentiles(self) -> tuple[float, float]:
        """Median and 99th, ms."""
        p50, p99 = np.percentile(1e3 * self.seconds, [50, 99])
        return float(p50), float(p99)

    def to_dict(self) -> dict[str, object]:
        """Figures for JSON; times in milliseconds."""
        p50, p99 = self.percentiles
        return {
            "clicks": self.clicks,
            "p50_ms": round(p50, 3),
            "p99_ms": round(p99, 3),
            "frames_s": round(self.frames, 2),
            "clicks_s": round(self.frames * self.clicks, 1),
            "stages_ms": {name: round(1e3 * seconds, 2) for name, seconds in self.stages.items()},
        }


@dataclass(frozen=True)
class Report:
    """What was measured.

    Attributes:
        about: machine, model and what it was run as.
        latencies: by the number of clicks.
        memory: most that it took while locating, bytes: of the GPU, or of this process beyond what it had without it.
        rooflines: encoding of the frame, and all of `locate` with the most clicks.
    """

    about: dict[str, object]
    latencies: list[Latency]
    memory: int
    rooflines: list[Roofline]

    def to_dict(self) -> dict[str, object]:
        return {
            **self.about,
            "peak_mib": round(self.memory / 2**20, 1),
            "latencies": [latency.to_dict() for latency in self.latencies],
            "rooflines": [roofline.to_dict() for roofline in self.rooflines],
        }


def open_localizer(model: str | Path, device: str) -> tuple[Localizer, str]:
    """A localizer with a model's weights, or with random ones where it is a size that none are shipped of.

    Returns:
        The localizer, and whose weights they are.
    """
    shipped_ones = {path.stem for folder in shipped("models") for path in folder.glob("*.safetensors")}
    if str(model) in CONFIGS and str(model) not in shipped_ones:
        torch.manual_seed(0)
        return Localizer(CrossViewLocator(CONFIGS[str(model)]).to(pick_device(device))), "random"
    return Localizer.load(model, device), str(model)


def measure(
    scene: Scene,
    model: str | Path = "nano",
    device: str = "auto",
    plan: Plan = Plan(),
    say: Callable[[str], None] = lambda _: None,
) -> Report:
    """Measure on the first frame of a scene and on its map.

    Args:
        scene: frame, telemetry and map.
        model: name of a size, of shipped weights, or a .safetensors file.
        device: auto, cpu, cuda or cuda:N.
        plan: what and how often.
        say: told what is being measured.

    Raises:
        CvgeoError: CPU time is asked for and the device is no CPU.
        SceneError: the frame cannot be read, or its heading or altitude is missing.
        WeightsError: no such device, or weights that cannot be used.
    """
    before = resident_bytes()
    localizer, weights = open_localizer(model, device)
    own = localizer.device
    check_clock(own, plan.clock)  # before what takes long
    about = machine(own, plan.clock, plan.rounds)  # before this run adds its own load
    about |= {"model": localizer.model.config.name, "weights": weights}
    about |= {"dtype": "bfloat16" if plan.half else "float32", "compile": plan.compiled or "no"}
    view = SceneView.first(scene, plan.width)
    stages: dict[int, list[dict[str, float]]] = {number: [] for number in plan.clicks}

    def locate(number: int) -> Callable[[], object]:
        clicks = view.clicks(number)
        return lambda: stages[number].append(localizer.locate(view.frame, clicks, view.camera, view.prior).timings)

    with closing(open_store(scene.map)) as store:
        localizer.tune(half=plan.half)
        localizer.set_tile(store)
        say("encoding the tile")
        most = max(plan.clicks)
        inputs = _inputs(localizer, locate(most))
        say("counting operations and bytes")
        works = {
            f"frame of {inputs[0].shape[3]} x {inputs[0].shape[2]} px encoded": _count_encoding(localizer, inputs),
            f"frame located, {most} clicks": count(locate(most)),
        }
        localizer.tune(compiled=plan.compiled)
        say("locating")
        for number in plan.clicks:  # what is compiled is compiled now
            locate(number)()
            stages[number].clear()
        _forget_peak(own)
        seconds = time_cases(own, plan.rounds, {str(number): locate(number) for number in plan.clicks}, plan.clock)
        memory = torch.cuda.max_memory_allocated(own) if own.type == "cuda" else peak_resident_bytes() - before
        say("measuring the floor")
        with torch.inference_mode():
            encoded = time_cases(own, plan.few, {"encoded": lambda: localizer.model.encoder(*inputs)}, plan.clock)
        peak = peaks(own, torch.bfloat16 if plan.half else torch.float32, clock=plan.clock)
    rooflines = [
        Roofline(name, work, peak, taken)
        for (name, work), taken in zip(works.items(), (encoded["encoded"], seconds[str(most)]), strict=True)
    ]
    staged = own.type == "cpu" and plan.clock == "wall"
    latencies = [
        Latency(number, seconds[str(number)], _medians(stages[number]) if staged else {}) for number in plan.clicks
    ]
    return Report(about, latencies, memory, rooflines)


def _inputs(localizer: Localizer, locate: Callable[[], object]) -> tuple[Any, ...]:
    """What the encoder was given for the last frame, with the tile encoded before."""
    locate()
    given: list[tuple[Any, ...]] = []
    hook = localizer.model.encoder.register_forward_pre_hook(lambda _, arguments: given.append(arguments))
    locate()
    hook.remove()
    return given[-1]


@torch.inference_mode()
def _count_encoding(localizer: Localizer, inputs: tuple[Any, ...]) -> Work:
    return count(lambda: localizer.model.encoder(*inputs))


def _forget_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        forget_peak()


def _medians(timings: list[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.median([timing.get(name, 0.0) for timing in timings])) for name in timings[-1]}


def table(report: Report) -> "Table":
    """Return the latencies as a rich table."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    about = report.about
    sheet = Table(
        title=f"{about['model']} ({about['weights']} weights), {about['dtype']}, compiled: {about['compile']}; "
        f"{about['device']}, {about['threads']} threads, torch {about['torch']}, {about['clock']} time, "
        f"{about['rounds']} frames each; load before: {about['load']}",
        title_justify="left",
        caption=f"The tile's features are cached. Peak memory: {report.memory / 2**20:.0f} MiB "
        + ("on the GPU" if str(about["device"]).startswith("cuda") else "more than without the localizer"),
        caption_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    for heading in ("clicks", "p50 ms", "p99 ms", "frames a second", "clicks a second"):
        sheet.add_column(heading, justify="right", no_wrap=True)
    names = list(report.latencies[0].stages)
    for name in names:
        sheet.add_column(f"{name} ms", justify="right", no_wrap=True)
    for latency in report.latencies:
        p50, p99 = latency.percentiles
        rates = (f"{latency.frames:.1f}", f"{latency.frames * latency.clicks:.0f}")
        parts = (f"{1e3 * latency.stages[name]:.1f}" for name in names)
        sheet.add_row(str(latency.clicks), f"{p50:.1f}", f"{p99:.1f}", *rates, *parts)
    return sheet
