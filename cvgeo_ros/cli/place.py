"""``cvgeo place``: find places of a map by a sentence."""

import json
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from cvgeo_ros.cli.options import AsJson, Device
from cvgeo_ros.cli.place_learn import register
from cvgeo_ros.cli.place_options import Index, Map, Model, load_place
from cvgeo_ros.cli.place_ranks import ranks

if TYPE_CHECKING:
    from rich.table import Table

    from cvgeo_ros.draw import Picture
    from cvgeo_ros.geo import TileStore
    from cvgeo_ros.place.finder import Places


class Sentences(TyperGroup):
    """A first word that is no command begins a search: ``cvgeo place "..."`` is ``cvgeo place find "..."``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] != "--help" and args[0] not in self.commands:
            args = ["find", *args]
        return super().parse_args(ctx, args)


place = typer.Typer(
    cls=Sentences,
    help="Find places of a map by a sentence: [bold]cvgeo place SENTENCE --map MAP[/].",
    no_args_is_help=True,
    subcommand_metavar="SENTENCE | COMMAND [ARGS]...",
    epilog='Example: [bold]cvgeo place index --map area.tif[/], then [bold]cvgeo place "the stadium beside the river" '
    "--map area.tif --near 45.61,9.02 --radius 2000[/]",
)

register(place)
place.command(epilog="Example: [bold]cvgeo place ranks sentences.csv --map area.tif[/]")(ranks)


@place.command(
    epilog='Example: [bold]cvgeo place "a red hall beside the round pond" --map area.tif --near 45.61,9.02 '
    "--radius 2000 --count 5[/]"
)
def find(
    sentence: Annotated[str, typer.Argument(help="What the place looks like, in English.")],
    map_path: Map,
    near: Annotated[
        str | None, typer.Option(metavar="LAT,LON", help="Only around this place, degrees; with --radius.")
    ] = None,
    radius: Annotated[float | None, typer.Option(min=1.0, help="Only so far from --near, m.")] = None,
    count: Annotated[int, typer.Option(min=1, max=1000, help="How many places, at most.")] = 10,
    out: Annotated[Path, typer.Option(help="The picture to write.")] = Path("out/place.jpg"),
    as_json: AsJson = False,
    model: Model = "place",
    index: Index = None,
    device: Device = "auto",
) -> None:
    """Rank the places of an indexed map by how well a sentence tells of them, and draw them.

    "find" may be left out. Scores are cosines weighed by the gate; they rank, and are no probabilities.
    """
    around = None if near is None else _place(near)
    if (near is None) != (radius is None):
        raise typer.BadParameter("--near and --radius go together")

    from dataclasses import asdict

    from rich.console import Console
    from rich.markup import escape

    from cvgeo_ros.cli.report import duration, write_picture
    from cvgeo_ros.geo import open_store
    from cvgeo_ros.place.config import PLATFORMS
    from cvgeo_ros.place.finder import PlaceFinder
    from cvgeo_ros.place.index import PlaceIndex
    from cvgeo_ros.place.query import check_query

    check_query(sentence)  # before anything is loaded
    with closing(open_store(map_path)) as tile, Console(stderr=True).status("loading the model") as status:
        encoder = load_place(model, device)
        encoder.embed_texts(["a place"])  # the text tower is loaded with the first sentence
        with closing(PlaceIndex.open(tile, encoder, index)) as found:
            status.update("searching")
            begun = time.perf_counter()
            places = PlaceFinder(encoder, found).find(sentence, count, around, radius)
            seconds = time.perf_counter() - begun
            if places.candidates:
                write_picture(out, picture(places, tile))
            size = len(found)
    if as_json:
        facts = {"query": places.query, "note": places.note, "map": tile.tile_id, "windows": size, "latency": seconds}
        weights = dict(zip(PLATFORMS, places.gate, strict=True))
        ranked = [asdict(candidate) for candidate in places.candidates]
        typer.echo(json.dumps({**facts, "expert_weights": weights, "candidates": ranked}, indent=1))
        return
    console = Console()
    if places.candidates:
        console.print(table(places, tile.tile_id))
    shares = [f"{name} {weight:.2f}" for name, weight in zip(PLATFORMS, places.gate, strict=True)]
    lines = [("experts", ", ".join(shares))]
    lines += [("note", places.note)] if places.note else []
    lines += [("time", f"{duration(seconds)}, {size:,} windows")]
    lines += [("picture", str(out))] if places.candidates else []
    for name, text in lines:
        console.print(f"{name:<8} {escape(text)}", highlight=False, soft_wrap=True)


@place.command("index", epilog="Example: [bold]cvgeo place index --map area.tif[/]")
def index_(
    map_path: Map,
    model: Model = "place",
    index: Index = None,
    scales: Annotated[str, typer.Option(metavar="M,M", help="Sides of the windows, m.")] = "120,240",
    overlap: Annotated[float, typer.Option(min=0.0, max=0.9, help="How much neighbouring windows share.")] = 0.5,
    device: Device = "auto",
    force: Annotated[bool, typer.Option("--force", help="Make it anew although it is there.")] = False,
) -> None:
    """Embed overlapping windows of a map, and keep them beside it or in a Milvus.

    What is there and still right is kept; what is stale or damaged is made anew. A run that was stopped or killed goes
    on where it was.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from cvgeo_ros.geo import open_store
    from cvgeo_ros.place.index import build_index

    sides = _sides(scales)
    with closing(open_store(map_path)) as tile:
        encoder = load_place(model, device)
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            row = progress.add_task("windows", total=None)
            built = build_index(
                encoder,
                tile,
                index,
                lambda done, total, what: progress.update(row, completed=done, total=total, description=what),
                sides,
                overlap,
                force,
            )
    where = str(built.location)
    if Path(where).is_file():
        where += f", {Path(where).stat().st_size / 1e6:,.1f} MB"
    if not built.reason:
        typer.echo(f"index    is there already: {built.windows:,} windows, {where}")
        return
    kept = f", {built.kept:,} of them kept of a run that was stopped" if built.kept else ""
    empty = f"; {built.empty:,} without imagery left out" if built.empty else ""
    typer.echo(f"windows  {built.windows:,}{kept}{empty} ({built.reason})")
    typer.echo(f"index    {where}")


def table(places: "Places", title: str) -> "Table":
    """Ranks, places and scores, those of each expert too."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from cvgeo_ros.geo import distance
    from cvgeo_ros.place.config import PLATFORMS

    sheet = Table(title=title, title_justify="left", header_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("#", "latitude", "longitude", "window", "score", *PLATFORMS):
        sheet.add_column(heading, justify="right", no_wrap=True)
    for rank, candidate in enumerate(places.candidates, start=1):
        south, west, north, _ = candidate.bounds
        spot = [f"{candidate.latitude:.6f}", f"{candidate.longitude:.6f}"]
        spot.append(f"{distance((south, west), (north, west)):.0f} m")
        scores = [f"{score:.3f}" for score in (candidate.score, *candidate.expert_scores)]
        sheet.add_row(str(rank), *spot, *scores)
    return sheet


def picture(places: "Places", tile: "TileStore") -> "Picture":
    """The map with the numbered windows, beside it what the first of them show."""
    import numpy as np

    from cvgeo_ros import draw
    from cvgeo_ros.draw.places import COLUMNS, ROWS, places_sheet

    boxes = np.array([candidate.window for candidate in places.candidates])
    shape = (900, 1200)
    window = draw.view_window(tile.width, tile.height, boxes, shape, margin=0.1)
    view = draw.map_view(tile, window, shape)
    labels = [str(rank) for rank in range(1, len(boxes) + 1)]
    captions = [f"{candidate.score:.3f}" for candidate in places.candidates]
    drawn = draw.draw_boxes(view.image, view.to_image, boxes, labels, captions)
    gsd = max(tile.transform.gsd(boxes.reshape(-1, 2, 2).mean(axis=(0, 1))))
    drawn = draw.scale_bar(drawn, gsd * (window[2] - window[0]) / shape[1], tile.attribution)
    shown = places.candidates[: COLUMNS * ROWS]
    crops = [draw.map_view(tile, candidate.window, (256, 256)).image for candidate in shown]
    return places_sheet(drawn, crops, captions[: len(shown)], places.query, shape[0])


def _place(text: str) -> tuple[float, float]:
    numbers = _numbers(text)
    if len(numbers) != 2:
        raise typer.BadParameter(f"{text!r}: give LAT,LON in degrees, such as --near 45.61,9.02")
    return numbers[0], numbers[1]


def _sides(text: str) -> tuple[float, ...]:
    numbers = _numbers(text)
    if not numbers:
        raise typer.BadParameter(f"{text!r}: give metres, such as --scales 120,240")
    return tuple(numbers)


def _numbers(text: str) -> Sequence[float]:
    """Numbers between commas; none where it is another text."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        return []
