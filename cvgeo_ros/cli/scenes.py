"""``cvgeo scenes``: render worlds to train on, the scene of the demo, and flights as bags."""

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


@scenes.command(epilog="Example: [bold]cvgeo scenes flight --out flight --seconds 60 --rate 2 --blank 20:50[/]")
def flight(
    out: Annotated[Path, typer.Option(help="Folder of the flight; what it held is replaced.")],
    seed: Annotated[int | None, typer.Option(help="Seed of town, track and errors.")] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="Length.")] = 60.0,
    rate: Annotated[float, typer.Option(min=0.01, help="Frames a second.")] = 2.0,
    blank: Annotated[str, typer.Option(help="From and to, s, as 20:50: the camera sees nothing.")] = "",
    fix_until: Annotated[float, typer.Option(min=0.0, help="The rough position is known until then, s.")] = 5.0,
    position_error: Annotated[float, typer.Option(min=0.0, help="It is off by up to this, m.")] = 75.0,
    heading_error: Annotated[float, typer.Option(min=0.0, help="Sigma of the compass, deg.")] = 5.0,
    width: Annotated[int, typer.Option(min=160, help="Of the frames, px; 16:9.")] = 960,
    quality: Annotated[int, typer.Option(min=1, max=100, help="Of the frames' JPEG.")] = 80,
    landmarks: Annotated[
        bool, typer.Option("--landmarks", help="A town with stadiums, churches, round ponds: what sentences name.")
    ] = False,
) -> None:
    """Render a flight over a town on another day than its map: a scene, and flight.mcap with telemetry and truth."""
    from cvgeo_ros.learn.scenes.flight import BAG, SEED, Options, write_flight

    options = Options(
        seconds=seconds,
        rate=rate,
        blank=_span(blank) if blank else None,
        fix_until=fix_until,
        position_error=position_error,
        heading_error=heading_error,
        width=width,
        quality=quality,
        landmarks=landmarks,
    )
    scene = write_flight(out, SEED if seed is None else seed, options)
    size = (out / BAG).stat().st_size / 1e6
    typer.echo(f"{out}: {len(scene.frames)} frames, {len(scene.objects)} objects; {out / BAG}: {size:.2f} MB")


@scenes.command("bag", epilog="Example: [bold]cvgeo scenes bag my_scene --out my_scene.mcap --no-pitch[/]")
def bag_of_scene(
    scene: Annotated[Path, typer.Argument(help="Folder of the scene.")],
    out: Annotated[Path, typer.Option(help="The bag: a folder, or one file that ends in .mcap or .db3.")],
    protocol: Annotated[
        Literal["prior", "wide", "blind"], typer.Option(help="What the vehicle knows of itself, as in `evaluate`.")
    ] = "prior",
    seed: Annotated[int, typer.Option(help="Of the errors of what it knows.")] = 0,
    position_error: Annotated[float, typer.Option(min=0.0, help="Its position is off by up to this, m.")] = 75.0,
    pitch: Annotated[bool, typer.Option(help="Whether the camera's pitch is told, where recorded.")] = True,
    apart: Annotated[
        float, typer.Option(min=0.0, help="Seconds between frames that are no flight; 0 = their stamps.")
    ] = 0.0,
) -> None:
    """Write a scene as a bag: its frames, a vehicle's rough telemetry, the clicks, and the truth to score against."""
    import numpy as np

    from cvgeo_ros.learn.evaluation import Protocol
    from cvgeo_ros.learn.scenes.bagging import scene_moments, write_bag
    from cvgeo_ros.scene import Scene

    moments = scene_moments(
        Scene.load(scene), np.random.default_rng(seed), Protocol(protocol), pitch, apart, position_error
    )
    typer.echo(f"{out}: {write_bag(out, moments)} frames")


def _span(text: str) -> tuple[float, float]:
    try:
        start, _, end = text.partition(":")
        return float(start), float(end)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r}: give two times in seconds, as 20:50") from error


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
