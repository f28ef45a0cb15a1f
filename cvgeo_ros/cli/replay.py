"""``cvgeo replay``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cvgeo_ros.cli.options import Device, Model


def replay(
    bag: Annotated[Path, typer.Argument(help="A rosbag2 bag: its folder, or one .mcap or .db3 file.")],
    map_path: Annotated[Path, typer.Option("--map", help="GeoTIFF, MBTiles or XYZ folder.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder for report and results; without it, replay_<bag> beside the bag.")
    ] = None,
    model: Model = "nano",
    device: Device = "auto",
    params: Annotated[Path | None, typer.Option(help="Parameter file of the localizer node, to replay with.")] = None,
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="A parameter of the localizer node as NAME=VALUE; any number.")
    ] = None,
    topic: Annotated[
        list[str] | None,
        typer.Option(help="An input whose topic the bag names otherwise, as image=/camera/image_raw; any number."),
    ] = None,
    regress: Annotated[
        Path | None, typer.Option(help="Compare with this file; exit code 1 and the differences where they matter.")
    ] = None,
    write_expected: Annotated[Path | None, typer.Option(help="Write that file from this replay.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Play a bag through the localizer offline: results as a bag, and a report; with truth in the bag, errors too."""
    import json as encoder

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from cvgeo_ros.geo import open_store
    from cvgeo_ros.localizer import Localizer
    from cvgeo_ros.replay.regression import differences, expectation, read_expectation
    from cvgeo_ros.replay.report import figures, write_report
    from cvgeo_ros.replay.run import replay as run

    expected = None if regress is None else read_expectation(regress)
    settings = _settings(params, setting or [])
    folder = out or bag.resolve().parent / f"replay_{bag.stem}"
    columns = (TextColumn("frames"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("frames", total=None)
        found = run(
            bag,
            map_path,
            lambda: Localizer.load(model, device),
            settings,
            folder / "results",
            dict(_pair(text, "--topic") for text in topic or []),
            lambda done, total: bar.update(task, completed=done, total=max(total, done)),
        )
    told = {**found.told, "model": model, "parameters": _named(settings)}
    tile = open_store(map_path)
    try:
        write_report(folder, tile, told, found.summary, found.tracks, found.answers)
    finally:
        tile.close()
    if json:
        typer.echo(encoder.dumps({"told": told, "summary": found.summary}, indent=1))
    else:
        for label, value in figures(found.summary).rows:
            typer.echo(f"{label}: {value}")
        for warning in told["warnings"]:
            typer.echo(f"note: {warning}")
        typer.echo(f"report: {folder / 'index.html'}; results: {folder / 'results'}")
    if write_expected is not None:
        content = expectation(found.tracks, found.answers, found.summary, told)
        write_expected.write_text(encoder.dumps(content, indent=1) + "\n")
    if expected is not None:
        off = differences(expected, found.tracks, found.answers, found.summary)
        console = Console(stderr=True, soft_wrap=True)
        for line in off:
            console.print(line, style="red", highlight=False, markup=False)
        if off:
            console.print(f"{bag} differs from {regress}", style="bold red", highlight=False, markup=False)
            raise typer.Exit(1)
        console.print(f"{bag} is as {regress} expects", highlight=False, markup=False)


def _settings(params: Path | None, changes: list[str]) -> Any:
    import yaml

    from cvgeo_ros.replay.settings import read_parameters, settings_from

    values = {} if params is None else read_parameters(params)
    for text in changes:
        name, value = _pair(text, "--set")
        values[name] = yaml.safe_load(value)
    return settings_from(values)


def _named(settings: Any) -> dict[str, Any]:
    """Settings as JSON tells them: None for NaN."""
    from dataclasses import asdict

    found = asdict(settings)
    found["priors"] = {key: None if value != value else value for key, value in found["priors"].items()}
    return found


def _pair(text: str, option: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise typer.BadParameter(f"{option} {text!r}: want NAME=VALUE")
    return name, value
