"""``cvgeo bench``: what this machine achieves."""

from pathlib import Path
from typing import Annotated

import typer

bench = typer.Typer(help="Measure what this machine achieves.", no_args_is_help=True)


@bench.callback()
def group() -> None:
    """Keep the name of the one command."""


@bench.command(epilog="Example: [bold]cvgeo bench latency --width 1920[/]")
def latency(
    scene: Annotated[
        Path | None, typer.Argument(help="Folder of the scene; without it the one that ships with the project.")
    ] = None,
    model: Annotated[str, typer.Option(help="Name of a shipped model, or a .safetensors file.")] = "nano",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    width: Annotated[int, typer.Option(min=64, max=16384, help="Frames are resized to this width, px.")] = 1920,
    requests: Annotated[int, typer.Option(min=1, help="How many to measure.")] = 30,
) -> None:
    """Measure the time from a published frame to its targets, over DDS between two processes, part by part."""
    from cvgeo_ros.cli.demo import shipped_scene
    from cvgeo_ros.demo.processes import exit_on_signals, set_up_ros

    set_up_ros()
    from cvgeo_ros.nodes.latency import main

    with exit_on_signals():
        main(scene or shipped_scene(), model, device, width, requests)
