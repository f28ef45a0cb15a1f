"""``cvgeo bench locate``: frame to targets, by the number of clicks."""

import json
from typing import Annotated, Literal

import typer

from cvgeo_ros.cli.console import wide_console
from cvgeo_ros.cli.options import AsJson, Clock, Device, ShippedScene, Threads


def locate(
    scene: ShippedScene = None,
    model: Annotated[
        str, typer.Option(help="Shipped model, .safetensors file, or a size (tiny), which gets random weights.")
    ] = "nano",
    device: Device = "auto",
    clicks: Annotated[str, typer.Option(help="Numbers of clicks in the frame, separated by commas.")] = "1,8,32",
    width: Annotated[int, typer.Option(min=64, max=16384, help="The frame is resized to this width, px.")] = 1920,
    dtype: Annotated[Literal["float32", "bfloat16"], typer.Option(help="What frames are encoded in.")] = "float32",
    compiled: Annotated[
        Literal["no", "default", "reduce-overhead"],
        typer.Option("--compile", help="Mode of torch.compile for the encoder; reduce-overhead: with CUDA graphs."),
    ] = "no",
    threads: Threads = 2,
    rounds: Annotated[int, typer.Option(min=1, help="Frames of each number of clicks.")] = 100,
    clock: Clock = "wall",
    as_json: AsJson = False,
) -> None:
    """Measure frame to targets with the tile cached: latency, frames and clicks a second, memory, and the floor.

    The floor counts operations and bytes and measures what this machine reaches at best of either.
    """
    from rich.console import Console

    from cvgeo_ros.cli.demo import shipped_scene
    from cvgeo_ros.memory import reuse_large_blocks

    numbers = _numbers(clicks)
    reuse_large_blocks()  # as the localizer's node does
    import torch

    from cvgeo_ros.bench.locate import Plan, measure, table
    from cvgeo_ros.scene import Scene

    torch.set_num_threads(threads)
    mode = None if compiled == "no" else compiled
    plan = Plan(numbers, rounds, width, dtype == "bfloat16", mode, clock)
    with Console(stderr=True).status("starting") as status:
        report = measure(Scene.load(scene or shipped_scene()), model, device, plan, status.update)
    if as_json:
        typer.echo(json.dumps(report.to_dict(), indent=1))
        return
    console = wide_console(150)
    console.print(table(report))
    for roofline in report.rooflines:
        console.print(str(roofline), highlight=False, soft_wrap=True)


def _numbers(text: str) -> tuple[int, ...]:
    try:
        numbers = tuple(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not of numbers such as 1,8,32") from error
    if min(numbers) < 1:
        raise typer.BadParameter(f"{text!r}: at least one click is needed")
    return numbers
