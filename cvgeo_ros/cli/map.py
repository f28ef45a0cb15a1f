"""``cvgeo map``: everything about the map that is done before the flight."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cvgeo_ros.cli.options import AsJson, Device, Model

if TYPE_CHECKING:
    from rich.progress import Progress

    from cvgeo_ros.geo.mbtiles_writer import MbtilesWriter

maps = typer.Typer(help="Fetch, import, look over and prepare maps before the flight.", no_args_is_help=True)
MANY_TILES = 20_000
"""Fetches of more need --yes."""
MANY_BYTES = 8 << 30
"""Features that take more need --yes."""

Map = Annotated[Path, typer.Argument(metavar="MAP", help="GeoTIFF, .mbtiles file or XYZ folder.")]
Box = Annotated[str | None, typer.Option(metavar="W,S,E,N", help="Only this area, degrees.")]
Yes = Annotated[bool, typer.Option("--yes", help="Go ahead although it is much.")]
Licence = Annotated[str | None, typer.Option(help="A note on the map's licence, kept in the file.")]


@maps.command(
    epilog="Example: [bold]cvgeo map fetch --bbox 9.00,45.60,9.02,45.62 --zoom 18 "
    "--url 'https://tiles.example.org/{z}/{x}/{y}.jpg' --attribution '© Example' --out area.mbtiles[/]"
)
def fetch(
    bbox: Annotated[str, typer.Option(metavar="W,S,E,N", help="Area: west, south, east, north in degrees.")],
    zoom: Annotated[
        str, typer.Option(metavar="Z|LOW-HIGH", help="Zoom; lower ones are averaged here where they are not asked for.")
    ],
    url: Annotated[
        str,
        typer.Option(
            metavar="TEMPLATE",
            help="Address with {z}, {x}, {y} or {-y} (rows from the south), or WMTS' {TileMatrix}, {TileCol}, "
            "{TileRow}, in EPSG:3857's grid.",
        ),
    ],
    attribution: Annotated[str, typer.Option(help="Whom the map's licence asks to name; kept in the file.")],
    out: Annotated[Path, typer.Option(help="MBTiles file to write.")],
    licence: Licence = None,
    rate: Annotated[float, typer.Option(min=0.01, max=1000.0, help="Requests a second, at most.")] = 8.0,
    concurrency: Annotated[int, typer.Option(min=1, max=64, help="Requests at once, at most.")] = 4,
    retries: Annotated[int, typer.Option(min=0, max=20, help="Of a tile that failed.")] = 5,
    backoff: Annotated[float, typer.Option(min=0.0, help="Wait before the first of them, s; doubled each time.")] = 1.0,
    patience: Annotated[float, typer.Option(min=0.0, help="Longest wait that the server may ask for, s.")] = 300.0,
    timeout: Annotated[float, typer.Option(min=0.1, help="Of one request, s.")] = 30.0,
    user_agent: Annotated[
        str | None, typer.Option(help="What the server is told; many ask for a way to reach you.")
    ] = None,
    header: Annotated[
        list[str] | None, typer.Option(metavar="NAME: VALUE", help="Sent with every request; repeatable.")
    ] = None,
    overviews: Annotated[bool, typer.Option(help="Average the lower zooms.")] = True,
    accept_gaps: Annotated[bool, typer.Option("--accept-gaps", help="Make a map although tiles failed.")] = False,
    yes: Yes = False,
) -> None:
    """Fetch a map from a tile server into an MBTiles file.

    Ask whether the server's terms allow it. The same command goes on with a run that was stopped or killed.
    """
    import datetime

    from cvgeo_ros.errors import MapError
    from cvgeo_ros.geo.mbtiles_writer import MbtilesWriter
    from cvgeo_ros.maps import fetch as fetching
    from cvgeo_ros.maps.template import Template
    from cvgeo_ros.maps.tiles import Area, parse_bounds, parse_zooms

    area, template = Area(parse_bounds(bbox), parse_zooms(zoom)), Template(url)
    if area.count > MANY_TILES and not yes:
        raise MapError(
            f"{area.count:,} tiles, {area.count / rate / 3600:,.1f} h at {rate:g} a second and some "
            f"{area.count * 20e3 / 1e9:,.1f} GB: choose a smaller area or a lower zoom, or add --yes"
        )
    manners = fetching.Manners(
        rate=rate,
        concurrency=concurrency,
        retries=retries,
        backoff=backoff,
        patience=patience,
        timeout=timeout,
        user_agent=user_agent or fetching.USER_AGENT,
        headers=tuple(_header(text) for text in header or ()),
    )
    metadata = {"attribution": attribution, "source": template.host, **({"license": licence} if licence else {})}
    metadata["description"] = f"fetched from {template.host} on {datetime.date.today():%Y-%m-%d}"
    with MbtilesWriter(out, fetching.request_of(template, area)) as writer:
        with _progress() as progress:
            row = progress.add_task(template.host, total=area.count)

            def show(tally: fetching.Tally) -> None:
                troubles = tally.refused.total()
                text = template.host + (f", {troubles} refused" if troubles else "")
                progress.update(row, completed=tally.done, description=text)

            try:
                tally = fetching.fetch(template, area, writer, manners, show)
            except KeyboardInterrupt:
                typer.echo(f"stopped  the same command goes on with {writer.part}", err=True)
                raise
        for line in _told(tally):
            typer.echo(line)
        if overviews and not tally.stopped and (accept_gaps or not tally.failed):
            _build_overviews(writer)
        fetching.finish(writer, tally, metadata, accept_gaps)
    typer.echo(f"map      {out}")


def _told(tally: Any) -> list[str]:
    """What came of a fetch, line by line."""
    parts = [f"{tally.received} received ({tally.bytes / 1e6:.1f} MB)"]
    parts += [f"{tally.known} there already"] if tally.known else []
    parts += [f"{tally.absent} the server does not have"] if tally.absent else []
    parts += [f"{tally.failed.total()} failed"] if tally.failed else []
    lines = [f"tiles    {', '.join(parts)}; {tally.total} in all"]
    if tally.refused:
        counted = ", ".join(f"{count} x {reason}" for reason, count in tally.refused.most_common())
        lines.append(f"refused  {counted}")
    return lines


@maps.command("import", epilog="Example: [bold]cvgeo map import ortho.tif --out area.mbtiles[/]")
def import_(
    source: Map,
    out: Annotated[Path, typer.Option(help="MBTiles file to write.")],
    bbox: Box = None,
    zoom: Annotated[
        str | None,
        typer.Option(metavar="Z|LOW-HIGH", help="Zooms to take; a GeoTIFF is warped to the highest of them."),
    ] = None,
    attribution: Annotated[str | None, typer.Option(help="Whom to name, in place of what the source says.")] = None,
    licence: Licence = None,
    overviews: Annotated[bool, typer.Option(help="Average the lower zooms.")] = True,
) -> None:
    """Make an MBTiles file of a GeoTIFF, an XYZ folder or another MBTiles file; damaged tiles are left out."""
    from cvgeo_ros.geo.mbtiles_writer import MbtilesWriter
    from cvgeo_ros.maps.importing import Imported, facts_of, import_map
    from cvgeo_ros.maps.tiles import parse_bounds, parse_zooms

    facts = facts_of(source)
    facts |= {key: text for key, text in (("attribution", attribution), ("license", licence)) if text is not None}
    with MbtilesWriter(out) as writer:
        try:
            with _progress() as progress:
                row = progress.add_task(source.name, total=None)

                def show(done: Imported) -> None:
                    progress.update(row, completed=done.done, total=done.total or None)

                done = import_map(
                    source,
                    writer,
                    None if bbox is None else parse_bounds(bbox),
                    None if zoom is None else parse_zooms(zoom),
                    show,
                )
            if overviews:
                _build_overviews(writer)
            writer.finish(facts)
        except BaseException:
            writer.discard()
            raise
    typer.echo(f"tiles    {done.tiles}" + (f", {done.empty} without imagery" if done.empty else ""))
    if done.refused:
        counted = ", ".join(f"{count} x {reason}" for reason, count in done.refused.most_common())
        typer.echo(f"refused  {counted}")
    if not facts.get("attribution"):
        typer.echo("note     the source names nobody to attribute: look up its licence and give --attribution")
    typer.echo(f"map      {out}")


@maps.command(epilog="Example: [bold]cvgeo map info area.mbtiles --preview area.png[/]")
def info(
    path: Map,
    preview: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw the whole map there, gaps hatched and framed.")
    ] = None,
    size: Annotated[int, typer.Option(min=64, max=8192, help="Longer side of the picture, px.")] = 1200,
    model: Annotated[
        str | None, typer.Option(help=r"Weights that prepared features are to be of. \[default: the shipped ones]")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Read prepared features whole, to find damage.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say what a map holds: extent, resolution, zooms, gaps, whom to name, and what is prepared."""
    from contextlib import closing

    from cvgeo_ros.cli.map_info import features_of, print_info
    from cvgeo_ros.geo import open_store
    from cvgeo_ros.maps.survey import survey

    with closing(open_store(path)) as store:
        found = survey(store)
        features = features_of(store, model, check)
        if preview is not None:
            from cvgeo_ros.cli.report import write_picture
            from cvgeo_ros.maps.preview import preview as draw_preview

            write_picture(preview, draw_preview(store, found, size))
    if as_json:
        typer.echo(json.dumps({**found.to_dict(), "features": features}, indent=1))
    else:
        print_info(found, features)
        if preview is not None:
            typer.echo(f"preview      {preview}")


@maps.command(epilog="Example: [bold]cvgeo map prepare area.mbtiles --model nano[/]")
def prepare(
    path: Map,
    model: Model = "nano",
    device: Device = "auto",
    bbox: Box = None,
    force: Annotated[bool, typer.Option("--force", help="Compute anew what is there.")] = False,
    yes: Yes = False,
) -> None:
    """Compute a map's features for a model and keep them beside it, so that nothing is encoded in the air.

    What is there and still right is kept; what is stale or damaged is made anew. A run that was stopped or killed goes
    on where it was.
    """
    from contextlib import closing

    from cvgeo_ros.errors import MapError
    from cvgeo_ros.geo import open_store
    from cvgeo_ros.localizer import Localizer
    from cvgeo_ros.maps import prepare as preparing
    from cvgeo_ros.maps.tiles import parse_bounds

    bounds = None if bbox is None else parse_bounds(bbox)
    with closing(open_store(path)) as store:
        localizer = Localizer.load(model, device)
        plan = preparing.plan(localizer, store, bounds)
        if plan.bytes > MANY_BYTES and not yes:
            raise MapError(
                f"{path}: {plan.header.count:,} blocks, up to {plan.bytes / 1e9:,.1f} GB: prepare the part that is "
                "flown over with --bbox, or add --yes"
            )
        with _progress() as progress:
            row = progress.add_task("features", total=plan.header.count)
            done = preparing.prepare(
                localizer, store, bounds, lambda count, _: progress.update(row, completed=count), force
            )
    size = done.plan.path.stat().st_size / 1e6
    if not done.reason:
        typer.echo(f"features are there already and whole: {done.plan.path}, {size:,.1f} MB")
        return
    kept = f", {done.kept} kept of a run that was stopped" if done.kept else ""
    typer.echo(f"features {done.encoded} blocks computed{kept} ({done.reason})")
    typer.echo(f"file     {done.plan.path}, {size:,.1f} MB")


def _progress() -> "Progress":
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )


def _build_overviews(writer: "MbtilesWriter") -> None:
    from cvgeo_ros.maps.overviews import build_overviews

    with _progress() as progress:
        row = progress.add_task("lower zooms", total=None)
        build_overviews(writer, lambda zoom, done: progress.update(row, completed=done, description=f"zoom {zoom}"))


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise typer.BadParameter(f"{text!r}: give NAME: VALUE", param_hint="--header")
    return name.strip(), value.strip()
