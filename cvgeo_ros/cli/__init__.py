"""The command line: ``cvgeo demo``, ``locate``, ``evaluate``, ``train``, ``ablate``, ``bench`` and ``scenes``.

Each command's module imports what is heavy (torch, rclpy, learn) when the command runs, so that help comes at once.
"""

from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from typer.core import TyperGroup

from cvgeo_ros.cli.ablate import ablate
from cvgeo_ros.cli.bench import bench
from cvgeo_ros.cli.bench_gmoe import gmoe
from cvgeo_ros.cli.bench_locate import locate as bench_locate
from cvgeo_ros.cli.bench_map import large_map, startup
from cvgeo_ros.cli.bench_place import places
from cvgeo_ros.cli.demo import demo
from cvgeo_ros.cli.evaluate import evaluate
from cvgeo_ros.cli.export import export
from cvgeo_ros.cli.locate import locate
from cvgeo_ros.cli.map import maps
from cvgeo_ros.cli.place import place
from cvgeo_ros.cli.place_learn import register
from cvgeo_ros.cli.replay import replay
from cvgeo_ros.cli.scenes import scenes
from cvgeo_ros.cli.train import train
from cvgeo_ros.cli.vehicle import vehicle
from cvgeo_ros.errors import CvgeoError

__all__ = ["app"]


class Commands(TyperGroup):
    """Commands whose errors a user can act on are printed as sentences; exit code 1."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (CvgeoError, OSError) as error:
            Console(stderr=True).print(f"[bold red]error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
            raise typer.Exit(1) from error


app = typer.Typer(
    cls=Commands,
    help="Cross-view geo-localization: click an object in a drone's frame, get its place on Earth.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
app.command(epilog="Example: [bold]cvgeo demo scenes/demo --out out/demo[/]")(demo)
app.command(
    epilog="Example: [bold]cvgeo locate --map map.tif --image frame.jpg --click 640,360 --click 200,500 "
    "--lat 45.6 --lon 9.0 --altitude 100 --heading 38[/]"
)(locate)
app.command(epilog="Example: [bold]cvgeo evaluate scenes/demo --protocol wide --json[/]")(evaluate)
app.command(epilog="Example: [bold]cvgeo replay flight.mcap --map map.tif --regress expected.json[/]")(replay)
app.command(epilog="Example: [bold]cvgeo vehicle flight --known-until 5 --blank 20:50[/]")(vehicle)
app.command(epilog="Example: [bold]cvgeo train --rendered worlds --steps 6000 --out out/nano[/]")(train)
app.command(epilog="Example: [bold]cvgeo export --format onnx --model nano --out exported[/]")(export)
app.command(epilog="Example: [bold]cvgeo ablate --rendered worlds --benchmark bench/v1 --out out/ablation[/]")(ablate)
bench.command(epilog="Example: [bold]cvgeo bench gmoe --device cuda --dtype bfloat16[/]")(gmoe)
bench.command("locate", epilog="Example: [bold]cvgeo bench locate --model tiny --clicks 1,8,32[/]")(bench_locate)
bench.command(epilog="Example: [bold]cvgeo bench startup --rounds 5[/]")(startup)
bench.command("map", epilog="Example: [bold]cvgeo bench map --gigabytes 10 --cache-bytes 67108864[/]")(large_map)
bench.command("place", epilog="Example: [bold]cvgeo bench place --windows 1000000 --cores 2[/]")(places)
app.add_typer(bench, name="bench")
app.add_typer(maps, name="map")
register(place)
app.add_typer(place, name="place")
app.add_typer(scenes, name="scenes")
