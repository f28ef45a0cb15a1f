"""What the localizer's ways of saving work are worth on this machine, as ratios of times taken in one run."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ..geo import open_store
from ..localizer import Localizer
from ..scene import Scene
from . import smgeo
from .interleave import Rate, Ratio
from .subjects import Plan, frames, layers, pairs
from .timing import check_clock, machine

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True)
class Report:
    """What was measured.

    Attributes:
        machine: what it was measured on.
        ratios, rates: the figures.
    """

    machine: dict[str, object]
    ratios: list[Ratio]
    rates: list[Rate]

    def to_dict(self) -> dict[str, object]:
        return {
            "machine": self.machine,
            "ratios": [ratio.to_dict() for ratio in self.ratios],
            "rates": [rate.to_dict() for rate in self.rates],
            "smgeo": {"released_trunk_s_elsewhere": smgeo.SECONDS, "macs": smgeo.MACS},
        }


def measure(
    scene: Scene,
    model: str = "nano",
    device: str = "auto",
    plan: Plan = Plan(),  # noqa: B008  frozen
    say: Callable[[str], None] = lambda _: None,
) -> Report:
    """Measure on the first frame of a scene and on its map.

    Args:
        scene: frame, telemetry and map; the map has to cover a pair's tile at the model's sampling distance.
        model: name or weights of the small model.
        device: as `Localizer.load`.
        plan: what and how often.
        say: told what is being measured.

    Raises:
        CvgeoError: CPU time is asked for and the device is no CPU.
        SceneError: the frame cannot be read, or its heading or altitude is missing.
        MapError: the map is too small.
        WeightsError: as `Localizer.load`.
    """
    small = Localizer.load(model, device)
    check_clock(small.device, plan.clock)
    about = machine(small.device, plan.clock, plan.rounds)  # before this run adds its own load
    torch.manual_seed(0)
    with closing(open_store(scene.map)) as store, torch.inference_mode():
        say("frames, with clicks and tiles old and new")
        clicks, cache, rate = frames(small, store, scene, plan)
        say(f"expert layers of {plan.large.name}")
        experts = layers(plan, small.device)
        say("pairs against SMGeo's trunk")
        shares = pairs(small, store, plan)
    return Report(about, [clicks, cache, *experts, *shares], [rate])


def table(report: Report) -> "Table":
    """Return the figures as a rich table."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    about = report.machine
    sheet = Table(
        title=f"{about['device']}, {about['threads']} threads, torch {about['torch']}, {about['clock']} time, "
        f"{about['rounds']} rounds; load before: {about['load']}",
        title_justify="left",
        caption=f"A ratio is the median of the rounds' ratios, with its quartiles. SMGeo's trunk is rebuilt here at "
        f"equal cost; the released one took {smgeo.SECONDS:g} s a pair on two cores, measured elsewhere.",
        caption_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    sheet.add_column("this")
    sheet.add_column("against")
    for name in ("ms", "ms", "ratio", "25 to 75 %", "asked", "met"):
        sheet.add_column(name, justify="right", no_wrap=True)
    for ratio in report.ratios:
        figures = ratio.to_dict()
        low, high = ratio.quartiles
        sheet.add_row(
            ratio.name,
            ratio.against,
            f"{figures['ms']:.1f}",
            f"{figures['against_ms']:.1f}",
            text(ratio.value, ratio.asked),
            f"{text(low, ratio.asked)} to {text(high, ratio.asked)}",
            "" if ratio.asked is None else f"<= {text(ratio.asked, ratio.asked)}",
            {None: "", True: "yes", False: "no"}[ratio.met],
        )
    for rate in report.rates:
        met = "yes" if rate.met else "no"
        milliseconds = f"{1e3 / rate.value:.1f}"
        sheet.add_row(rate.name, "", milliseconds, "", f"{rate.value:.2f} Hz", "", f">= {rate.asked:g} Hz", met)
    return sheet


def text(value: float, asked: float | None) -> str:
    """A ratio as people say it: one that is asked to be small as a part of one."""
    return f"1/{1 / value:.3g}" if asked is not None and asked < 0.1 else f"{value:.3f}"
