"""``cvgeo scenes``: render worlds to train on, and the scene of the demo."""

from pathlib import Path
from typing import Annotated, Literal

import typer

scenes = typer.Typer(help="Render scenes with exact truth.", no_args_is_help=True)


@scenes.command(epilog="Example: [bold]cvgeo scenes pack --out worlds --worlds 300[/]")
def pack(
    out: Annotated[Path, typer.Option(help="Folder for the worlds, one subfolder a seed.")],
    worlds: Annotated[int, typer.Option(min=1, help="How many worlds.")] = 100,
    first_seed: Annotated[int, typer.Option(help="Seed of the first; the others follow it.")] = 0,
    views: Annotated[int, typer.Option(min=0, help="Drone frames a world.")] = 2,
    ground: Annotated[int, typer.Option(min=0, help="Street-level views a world.")] = 0,
    workers: Annotated[int, typer.Option(min=1, help="Processes; each keeps one core busy.")] = 1,
) -> None:
    """Render worlds to train on; those that are there already are kept, so a stopped run goes on."""
    from cvgeo_ros.learn.scenes.pack import main

    main(out, worlds, first_seed, views, ground, workers)


@scenes.command("demo", epilog="Example: [bold]cvgeo scenes demo --out my_scene --seed 7[/]")
def render_demo(
    out: Annotated[Path, typer.Option(help="Folder of the scene.")],
    seed: Annotated[int | None, typer.Option(help="Seed of the town; without it, the shipped scene's.")] = None,
) -> None:
    """Render a town and a flight over it: the scene that ships with the project, or another one."""
    from cvgeo_ros.learn.scenes.demo import SEED, main

    main(out, SEED if seed is None else seed)


@scenes.command(epilog="Example: [bold]cvgeo scenes benchmark --out bench/v2 --version v2[/]")
def benchmark(
    out: Annotated[Path, typer.Option(help="Folder of the benchmark; what it held is replaced.")],
    version: Annotated[
        Literal["v1", "v2"],
        typer.Option(
            help="v1: tiles centred and aligned, pose told; v2: tiles cut, scaled, rotated and mirrored at random.",
        ),
    ] = "v1",
    frames: Annotated[int, typer.Option(min=1, help="How many frames.")] = 48,
    first_seed: Annotated[
        int, typer.Option(help="Seed of the first world; keep away from those of training.")
    ] = 500_000,
) -> None:
    """Render pairs of a frame and a tile with 1 to 12 targets, on worlds that no training draws."""
    from cvgeo_ros.learn.scenes.benchmark import Version, main

    main(out, Version(version), frames, first_seed)


@scenes.command(epilog="Example: [bold]cvgeo scenes sheet --out sheet.png --seed 3[/]")
def sheet(
    out: Annotated[Path, typer.Option(help="Picture to write, .png or .jpg.")],
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first world; the others follow it.")] = 0,
    worlds: Annotated[int, typer.Option(min=1, help="Rows, one a world.")] = 4,
) -> None:
    """Draw a contact sheet: worlds from satellite, from drones straight down and aslant, and from the street."""
    from cvgeo_ros.learn.scenes.sheet import main

    main(out, seed, worlds)
