"""``cvgeo bench``: what this machine achieves."""

import json
from pathlib import Path
from typing import Annotated

import typer

from cvgeo_ros.cli.console import wide_console
from cvgeo_ros.cli.options import AsJson, Clock, Device, Model, ShippedScene, Threads

bench = typer.Typer(help="Measure what this machine achieves.", no_args_is_help=True)


@bench.command(epilog="Example: [bold]cvgeo bench latency --width 1920[/]")
def latency(
    scene: ShippedScene = None,
    model: Model = "nano",
    device: Device = "auto",
    width: Annotated[int, typer.Option(min=64, max=16384, help="Frames are resized to this width, px.")] = 1920,
    requests: Annotated[int, typer.Option(min=1, help="How many to measure.")] = 30,
    out: Annotated[Path, typer.Option(help="Folder for the localizer's log.")] = Path("out/latency"),
) -> None:
    """Measure the time from a published frame to its targets, over DDS between two processes, part by part."""
    from cvgeo_ros.cli.demo import shipped_scene
    from cvgeo_ros.demo.processes import exit_on_signals, set_up_ros

    set_up_ros()
    from cvgeo_ros.bench.latency import main

    with exit_on_signals():
        main(scene or shipped_scene(), model, device, width, requests, out)


@bench.command(epilog="Example: [bold]cvgeo bench ratios --threads 2[/]")
def ratios(
    scene: ShippedScene = None,
    model: Model = "nano",
    device: Device = "auto",
    threads: Threads = 2,
    rounds: Annotated[int, typer.Option(min=1, help="How often; what takes seconds runs a third as often.")] = 15,
    clock: Clock = "wall",
    as_json: AsJson = False,
) -> None:
    """Measure side by side what clicks, cache, sparse experts and small models save, and the rate of frames.

    Takes a few minutes. Every ratio is taken in one run, round by round, so that other load cancels.
    """
    from rich.console import Console

    from cvgeo_ros.cli.demo import shipped_scene
    from cvgeo_ros.memory import reuse_large_blocks

    reuse_large_blocks()  # as the localizer's node does
    import torch

    from cvgeo_ros.bench.ratios import measure, table
    from cvgeo_ros.bench.subjects import Plan
    from cvgeo_ros.scene import Scene

    torch.set_num_threads(threads)
    plan = Plan(rounds=rounds, clock=clock)
    with Console(stderr=True).status("starting") as status:
        report = measure(Scene.load(scene or shipped_scene()), model, device, plan, status.update)
    if as_json:
        typer.echo(json.dumps(report.to_dict(), indent=1))
    else:
        wide_console(150).print(table(report))


@bench.command(epilog="Example: [bold]cvgeo bench soak --minutes 10 --rate 10[/]")
def soak(
    scene: ShippedScene = None,
    model: Model = "nano",
    device: Device = "auto",
    minutes: Annotated[float, typer.Option(min=0.1, help="How long to measure.")] = 10.0,
    rate: Annotated[float, typer.Option(min=0.1, max=100.0, help="Frames a second that the camera sends.")] = 10.0,
    limit: Annotated[float, typer.Option(min=0.0, help="Growth of memory that is still flat, MiB an hour.")] = 60.0,
    out: Annotated[Path, typer.Option(help="Folder for the nodes' logs.")] = Path("out/soak"),
    as_json: AsJson = False,
) -> None:
    """Run camera, localizer and visualizer for long, click every frame, and watch their memory and answers.

    The exit code is 0 only if memory is flat and every click was answered under its stamp or refused with a reason.
    """
    from rich.console import Console

    from cvgeo_ros.cli.demo import shipped_scene
    from cvgeo_ros.demo.processes import exit_on_signals, set_up_ros
    from cvgeo_ros.scene import Scene

    set_up_ros()
    from cvgeo_ros.bench import soak as soaking

    plan = soaking.Plan(minutes, rate, limit, model, device)
    with exit_on_signals(), Console(stderr=True).status("starting") as status:
        result = soaking.soak(Scene.load(scene or shipped_scene()), plan, out, status.update)
    if as_json:
        typer.echo(json.dumps(result.to_dict(), indent=1))
    else:
        console = wide_console(150)
        console.print(soaking.table(result))
        console.print(soaking.sentence(result), highlight=False, soft_wrap=True)
    if not result.passed:
        raise typer.Exit(1)
