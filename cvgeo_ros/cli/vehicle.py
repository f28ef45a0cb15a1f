"""``cvgeo vehicle``: the vehicle's own pose on scenes with truth."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cvgeo_ros.cli.options import AsJson, Device, Model

if TYPE_CHECKING:
    from cvgeo_ros.learn.vehicle_evaluation import Consistency, Flown


def vehicle(
    scenes: Annotated[list[Path], typer.Argument(help="Folders of scenes; each is flown by its frames' stamps.")],
    seed: Annotated[list[int] | None, typer.Option(min=0, help="Of the priors' errors; repeatable.")] = None,
    pitch: Annotated[bool, typer.Option("--pitch/--no-pitch", help="Tell the recorded pitch.")] = False,
    known_until: Annotated[
        float | None, typer.Option(min=0.0, help="The rough position is told up to this stamp, s; else always.")
    ] = None,
    blank: Annotated[str, typer.Option(metavar="FROM:TO", help="Frames show nothing between these stamps, s.")] = "",
    model: Model = "nano",
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Follow the vehicle through scenes and compare with the truth: errors, their covariances, recovery.

    It is told what protocol prior grants: position within 75 m, heading with 5 degrees of noise, altitude.
    """
    try:
        start, end = (float(part) for part in blank.split(":")) if blank else (0.0, 0.0)
    except ValueError as error:
        raise typer.BadParameter(f"--blank {blank}: give two stamps in seconds, such as 20:50") from error

    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from cvgeo_ros.learn.vehicle_evaluation import Conditions, fly
    from cvgeo_ros.localizer import Localizer
    from cvgeo_ros.memory import reuse_large_blocks
    from cvgeo_ros.scene import Scene

    reuse_large_blocks()
    localizer = Localizer.load(model, device)
    conditions = Conditions(pitch=pitch, known_until=known_until, blank=(start, end) if blank else None)
    flights: dict[str, list[Flown]] = {}
    console = Console(stderr=True)
    for folder in scenes:
        scene = Scene.load(folder)
        for number in seed or [0]:
            name = f"{folder.name}, seed {number}"
            with console.status(name):
                flights[name] = fly(localizer, scene, conditions, number)
    figures = {name: _figures(flown) for name, flown in flights.items()}
    if len(flights) > 1:
        figures["all"] = _figures([item for flown in flights.values() for item in flown]) | {"recovery": None}
    if as_json:
        typer.echo(json.dumps(figures, indent=1))
        return
    table = Table("flight", "", "frames", "median", "95 %", "NEES", "in 2 sigma", "yaw", "recovery", "time a frame")
    for name, row in figures.items():
        for kind in ("fixes", "track"):
            found = row[kind]
            if found is not None:
                last = "" if row["recovery"] is None or kind == "fixes" else f"{row['recovery']:.1f} s"
                time = f"{1000 * row['latency']:.0f} ms" if kind == "track" else ""
                table.add_row(
                    escape(name) if kind == "fixes" else "",
                    kind,
                    str(found["count"]),
                    f"{found['median']:.2f} m",
                    f"{found['p95']:.2f} m",
                    f"{found['nees']:.2f}",
                    f"{100 * found['within']:.1f} %",
                    f"{found['yaw']:.2f} deg",
                    last,
                    time,
                )
    Console().print(table)


def _figures(flown: "list[Flown]") -> dict[str, Any]:
    """Of fixes that are believed, of the track while it tracks, seconds to recovery, median latency in s."""
    import numpy as np

    from cvgeo_ros.errors import SceneError
    from cvgeo_ros.learn import vehicle_evaluation
    from cvgeo_ros.navigator import NavigatorConfig

    def told(find: "Any", *arguments: float) -> "dict[str, Any] | None":
        try:
            found: Consistency = find(flown, *arguments)
        except SceneError:
            return None
        return asdict(found)

    return {
        "fixes": told(vehicle_evaluation.fixes, NavigatorConfig().min_score),
        "track": told(vehicle_evaluation.track),
        "recovery": vehicle_evaluation.recovery(flown),
        "latency": float(np.median([item.latency for item in flown])),
        "resets": flown[-1].resets,
    }
