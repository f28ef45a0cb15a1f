"""``cvgeo locate``: one frame, without ROS."""

import json
import math
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from cvgeo_ros.cli.options import AsJson, Device, Model


def locate(
    map_path: Annotated[Path, typer.Option("--map", help="GeoTIFF, .mbtiles file or XYZ folder to search in.")],
    image: Annotated[Path, typer.Option(help="The drone's frame.")],
    click: Annotated[list[str], typer.Option(metavar="U,V", help="Pixel of an object in the frame; repeatable.")],
    lat: Annotated[float | None, typer.Option(help="Latitude of the camera, deg.")] = None,
    lon: Annotated[float | None, typer.Option(help="Longitude of the camera, deg.")] = None,
    radius: Annotated[float, typer.Option(min=1.0, help="The camera is within this of --lat --lon, m.")] = 75.0,
    heading: Annotated[float | None, typer.Option(help="Heading of the camera, deg clockwise from north.")] = None,
    altitude: Annotated[float | None, typer.Option(min=1.0, help="Height above the ground, m.")] = None,
    pitch: Annotated[float | None, typer.Option(help="Of the optical axis, deg; -90 = straight down.")] = None,
    hfov: Annotated[float | None, typer.Option(min=1.0, max=179.0, help="Horizontal field of view, deg.")] = None,
    model: Model = "nano",
    device: Device = "auto",
    out: Annotated[Path, typer.Option(help="The picture to write.")] = Path("out/locate.png"),
    as_json: AsJson = False,
) -> None:
    """Find clicked objects of one frame on a map; prints where they are and draws them. Needs no ROS.

    Whatever is not given is searched for: fewer hints take longer and are less sure.
    """
    points = [_parse_click(text) for text in click]
    if (lat is None) != (lon is None):
        raise typer.BadParameter("--lat and --lon go together")

    from rich.console import Console
    from rich.markup import escape

    from cvgeo_ros.cli.report import Result, duration, picture, table, write_picture
    from cvgeo_ros.geo import PinholeCamera, compass_to_yaw, open_store
    from cvgeo_ros.localizer import Localizer, Prior
    from cvgeo_ros.memory import reuse_large_blocks
    from cvgeo_ros.scene import read_image

    reuse_large_blocks()
    tile = open_store(map_path)
    frame = read_image(image)
    localizer = Localizer.load(model, device)
    localizer.set_tile(tile)
    if localizer.notice:
        Console(stderr=True).print(f"[yellow]note:[/] {escape(localizer.notice)}", highlight=False, soft_wrap=True)
    camera = None
    if hfov is not None:
        camera = PinholeCamera.from_hfov(frame.shape[1], frame.shape[0], math.radians(hfov))
    prior = Prior(
        latitude=lat,
        longitude=lon,
        position_radius=radius,
        yaw=None if heading is None else compass_to_yaw(heading),
        pitch=None if pitch is None else math.radians(pitch),
        height=altitude,
    )
    started = time.perf_counter()
    with Console(stderr=True).status(f"searching {tile.tile_id}"):
        found = localizer.locate(frame, points, camera, prior)
    latency = time.perf_counter() - started
    names = [f"{u:g}, {v:g}" for u, v in points]
    results = [
        Result(image.name, name, number, target, latency)
        for number, (name, target) in enumerate(zip(names, found.targets, strict=True), start=1)
    ]
    write_picture(out, picture(frame, results, tile, (image.name, tile.tile_id)))
    if as_json:
        answer = {"tile_id": found.tile_id, "window": found.window, "latency": latency, "timings": found.timings}
        typer.echo(json.dumps({**answer, "targets": [asdict(target) for target in found.targets]}, indent=1))
    else:
        console = Console()
        console.print(table(results, tile, f"{image.name} on {tile.tile_id}"))
        stages = ", ".join(f"{stage} {duration(seconds)}" for stage, seconds in found.timings.items())
        console.print(f"time     {stages}", highlight=False, soft_wrap=True)
        console.print(f"picture  {out}", highlight=False, soft_wrap=True)
    tile.close()


def _parse_click(text: str) -> tuple[float, float]:
    try:
        u, v = (float(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a click: give U,V in pixels, such as --click 640,360") from None
    return u, v
