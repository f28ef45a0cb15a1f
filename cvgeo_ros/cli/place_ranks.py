"""``cvgeo place ranks``: how far down the list the right place comes, for sentences whose places are known."""

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from cvgeo_ros.cli.options import Device
from cvgeo_ros.cli.place_options import Index, Map, Model, load_place


def ranks(
    sentences: Annotated[Path, typer.Argument(help="CSV with the columns sentence, latitude, longitude (degrees).")],
    map_path: Map,
    within: Annotated[float, typer.Option(min=1.0, help="A window is right if its centre is so near, m.")] = 150.0,
    model: Model = "place",
    index: Index = None,
    device: Device = "auto",
) -> None:
    """Rank all windows of a map for each sentence, and tell where the first one near its place comes.

    Beside it stands the median rank of an order drawn at random, since on a small map many windows are near.
    """
    import statistics

    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from cvgeo_ros.geo import open_store
    from cvgeo_ros.learn.place.ranks import rank, read_sentences
    from cvgeo_ros.place.index import PlaceIndex

    told = read_sentences(sentences)
    with closing(open_store(map_path)) as tile, Console(stderr=True).status("ranking"):
        encoder = load_place(model, device)
        with closing(PlaceIndex.open(tile, encoder, index)) as found:
            ranked, size = rank(encoder, found, told, within), len(found)
    title = f"{tile.tile_id}, {size:,} windows, right within {within:g} m"
    sheet = Table(title=title, title_justify="left", header_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    sheet.add_column("sentence")
    for heading in ("rank", "at random", "windows right"):
        sheet.add_column(heading, justify="right", no_wrap=True)
    for item in ranked:
        cells = ("-" if item.rank is None else str(item.rank), f"{item.chance:.1f}", f"{100 * item.right:.0f} %")
        sheet.add_row(escape(item.told.sentence), *cells)
    console = Console()
    console.print(sheet)
    known = [item.rank for item in ranked if item.rank is not None]
    shares = ", ".join(f"{sum(rank <= k for rank in known)} of {len(ranked)} within rank {k}" for k in (1, 5, 10))
    console.print(
        f"median rank {statistics.median(known):g}, {shares}" if known else "no window is right", style="bold"
    )
