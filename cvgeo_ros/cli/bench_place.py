"""``cvgeo bench place``: what finding places costs with very many windows."""

import json
from pathlib import Path
from typing import Annotated

import typer

from cvgeo_ros.cli.console import wide_console
from cvgeo_ros.cli.options import AsJson, Clock


def places(
    windows: Annotated[int, typer.Option(min=100, help="Windows of the map that is made up.")] = 1_000_000,
    queries: Annotated[int, typer.Option(min=1, help="Sentences that are searched for.")] = 200,
    radius: Annotated[float, typer.Option(min=1.0, help="Of searches near a place, m.")] = 5000.0,
    cores: Annotated[int, typer.Option(min=1, help="CPU cores that may be used.")] = 2,
    index: Annotated[
        str, typer.Option(metavar="FILE|URI", help="Index to make: a file, removed afterwards, or a Milvus.")
    ] = "out/bench.places",
    clock: Clock = "wall",
    as_json: AsJson = False,
) -> None:
    """Make up a map of very many windows, index it, and compare its searches with exact search, one by one in turn.

    Takes a minute and 6 GB of memory for a million windows. Sentences come as vectors: encoding them is not measured.
    """
    import os
    import time

    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])

    from cvgeo_ros.bench.places import PLACES, measure
    from cvgeo_ros.place.vectors import is_milvus

    file = None if is_milvus(index) else Path(index)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.exists():
            raise typer.BadParameter(f"{file} is there already; name another file", param_hint="--index")
    try:
        with Console(stderr=True).status("starting") as status:
            seconds = time.process_time if clock == "cpu" else time.perf_counter
            found = measure(windows, queries, radius, file or index, status.update, seconds)
    finally:
        for left in () if file is None else (file, file.with_name(file.name + ".part")):
            left.unlink(missing_ok=True)
    if as_json:
        typer.echo(json.dumps(found.to_dict(), indent=1))
        return
    title = f"{found.windows:,} windows of {found.dim} numbers, {found.queries} sentences, {cores} cores, {clock} time"
    sheet = Table(title=title, title_justify="left", header_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    sheet.add_column("")
    for heading in ("median, ms", "p99, ms", f"recall@{PLACES}", "time of exact search"):
        sheet.add_column(heading, justify="right", no_wrap=True)
    names = {"index, near": f"index, within {radius / 1000:g} km ({found.inside:,.0f} windows)"}
    for name, cost in found.searches.items():
        sheet.add_row(
            names.get(name, name), f"{cost.median:.2f}", f"{cost.p99:.2f}", f"{cost.recall:.4f}", f"{cost.ratio:.2%}"
        )
    console = wide_console(120)
    console.print(sheet)
    facts = [f"made in {found.build_s:.1f} s"]
    facts += [f"{found.megabytes:,.0f} MB on the disk"] if found.megabytes is not None else []
    facts += [f"opened in {found.open_s:.2f} s"] if found.open_s is not None else []
    facts += [f"{found.memory_mb:,.0f} MB in memory"] if found.memory_mb is not None else []
    console.print(f"index    {', '.join(facts)}", highlight=False, soft_wrap=True)
