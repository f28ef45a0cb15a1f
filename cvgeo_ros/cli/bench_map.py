"""``cvgeo bench startup`` and ``cvgeo bench map``: what maps cost at the start and in memory."""

import json
from pathlib import Path
from typing import Annotated

import typer

from cvgeo_ros.cli.console import wide_console
from cvgeo_ros.cli.options import AsJson, Device, Model, ShippedScene


def startup(
    scene: ShippedScene = None,
    model: Model = "nano",
    device: Device = "auto",
    rounds: Annotated[int, typer.Option(min=1, help="Processes of each kind.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Measure a restart, from the start of the process to the first fix, with prepared features and without."""
    import shutil
    import tempfile
    from contextlib import closing

    import numpy as np
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from cvgeo_ros.bench.startup import PARTS, measure
    from cvgeo_ros.cli.demo import shipped_scene
    from cvgeo_ros.geo import open_store
    from cvgeo_ros.localizer import Localizer
    from cvgeo_ros.maps.prepare import prepare
    from cvgeo_ros.scene import Scene

    folder = Path(scene or shipped_scene())
    with tempfile.TemporaryDirectory() as work, Console(stderr=True).status("preparing") as status:
        # A copy, so that nothing is left beside the scene's own map.
        path = Path(shutil.copy(Scene.load(folder).map, work))
        with closing(open_store(path)) as store:
            prepare(Localizer.load(model, device), store)
        found = measure(path, folder, model, device, rounds, status.update)
    if as_json:
        rows = {name: {"wall": s.wall.tolist(), "cpu": s.cpu.tolist()} for name, s in found.items()}
        typer.echo(json.dumps({"parts": PARTS, **rows}, indent=1))
        return
    sheet = Table(header_style="bold", box=SIMPLE_HEAD, title="medians, s", title_justify="left")
    for heading in ("", *PARTS[:4], "to start", *PARTS[4:5], "to first fix", *PARTS[5:]):
        sheet.add_column(heading, justify="right" if heading else "left")
    for name, seconds in found.items():
        for clock, values in (("wall", seconds.wall), ("CPU", seconds.cpu)):
            parts = np.median(values, axis=0)
            totals = np.median(values[:, :4].sum(1)), np.median(values[:, :5].sum(1))
            cells = [*parts[:4], totals[0], parts[4], totals[1], parts[5]]
            sheet.add_row(f"{name}, {clock}", *(f"{value:.2f}" for value in cells))
    wide_console(150).print(sheet)


def large_map(
    gigabytes: Annotated[float, typer.Option(min=0.001, help="Size of the map.")] = 1.0,
    cache_bytes: Annotated[int, typer.Option(min=1 << 20, help="As the localizer's parameter.")] = 64 << 20,
    windows: Annotated[int, typer.Option(min=1, help="Places that are encoded.")] = 20,
    out: Annotated[Path, typer.Option(help="Where the map is made up; removed afterwards.")] = Path(
        "out/large.mbtiles"
    ),
    model: Model = "nano",
    device: Device = "auto",
) -> None:
    """Make up a large map, open it with nothing of it in memory, work all over it, and watch time and memory."""
    from rich.console import Console
    from rich.progress import Progress

    from cvgeo_ros.bench.largemap import generate, measure

    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        with Progress(console=Console(stderr=True), transient=True) as progress:
            row = progress.add_task("making up", total=None)
            tiles = generate(
                out, int(gigabytes * 1e9), lambda done, total: progress.update(row, completed=done, total=total)
            )
        size = out.stat().st_size
        found = measure(out, cache_bytes, windows, model, device)
    finally:
        out.unlink(missing_ok=True)
    typer.echo(f"map      {size / 1e9:.2f} GB, {tiles:,} tiles")
    typer.echo(f"open     {found['open_s']:.2f} s from the disk, {found['cpu_s']:.2f} s of CPU time")
    typer.echo(
        f"memory   {found['pixels_mb']:.0f} MB more after {windows * 20} windows of pixels, "
        f"{found['features_mb']:.0f} MB more after {found['blocks']:.0f} encoded blocks, of which "
        f"{found['cached_mb']:.0f} MB are features; cache_bytes is {cache_bytes / 1e6:.0f} MB"
    )
