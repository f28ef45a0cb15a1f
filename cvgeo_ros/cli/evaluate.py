"""``cvgeo evaluate``: figures of merit on scenes and data sets with truth."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cvgeo_ros.cli.options import AsJson, Device, Model

if TYPE_CHECKING:
    from rich.table import Table as RichTable

    from cvgeo_ros.learn.metrics import Located
    from cvgeo_ros.learn.report import Table

RECORD = ("frame", "id", "bbox", "score", "latitude", "longitude", "position_std")
"""What is written of an object's answer."""


def evaluate(
    path: Annotated[
        Path,
        typer.Argument(metavar="PATH", help="Folder of a scene, or of several scenes' folders, or root of a data set."),
    ],
    dataset: Annotated[
        Literal["scene", "folder", "cvogl"],
        typer.Option(help="What lies there: scenes, image pairs listed in a pairs.json, or CVOGL."),
    ] = "scene",
    protocol: Annotated[
        Literal["prior", "wide", "blind"] | None,
        typer.Option(
            help="What the localizer is told of a scene's frames: the camera's place within 75 m, heading, altitude "
            r"and pitch; all but the place; or nothing. \[default: prior; with --elsewhere wide]",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the errors put on hints and clicks.")] = 0,
    model: Model = "nano",
    device: Device = "auto",
    method: Annotated[
        Literal["ours", "direct", "sift"],
        typer.Option(help="On pairs: the localizer as it flies, its network alone, or SIFT with MAGSAC."),
    ] = "ours",
    consensus: Annotated[
        bool,
        typer.Option(
            "--consensus",
            help="With --method direct: let the whole query vote, where it has the tile's heading and scale.",
        ),
    ] = False,
    subset: Annotated[Literal["drone", "ground"], typer.Option(help="Of CVOGL.")] = "drone",
    split: Annotated[Literal["val", "test"], typer.Option(help="Of CVOGL.")] = "test",
    click_noise: Annotated[
        float,
        typer.Option(
            min=0.0,
            metavar="PX",
            help="Move every click by Gaussian noise with this standard deviation in u and in v, px of the frame; "
            "clicks stay inside it.",
        ),
    ] = 0.0,
    elsewhere: Annotated[
        Path | None,
        typer.Option(
            metavar="MAP", help="Hold a scene's frames against the map of another place: how many answers score high?"
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, help=r"The score above which an answer counts as one. \[default: 0.5]"),
    ] = None,
    predictions: Annotated[Path | None, typer.Option(help="Write one record an object to this JSON file.")] = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write figures, charts and pictures of the best and worst frames there."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Locate every object of scenes or image pairs and compare with the truth."""
    check_options(dataset, protocol, elsewhere)
    from rich.console import Console
    from rich.progress import Progress

    from cvgeo_ros.learn import report as reports
    from cvgeo_ros.learn.evaluation import Protocol
    from cvgeo_ros.learn.metrics import THRESHOLD
    from cvgeo_ros.learn.tasks import PairsTask, SceneTask
    from cvgeo_ros.memory import reuse_large_blocks

    reuse_large_blocks()
    task: SceneTask | PairsTask
    if dataset == "scene":
        granted = Protocol(protocol or ("prior" if elsewhere is None else "wide"))
        task = SceneTask(path, granted, seed, model, device, click_noise, elsewhere)
    else:
        task = PairsTask(path, dataset, subset, split, method, consensus, seed, model, device, click_noise)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        row = progress.add_task("frames", total=None)
        found = task.run(lambda done, total: progress.update(row, completed=done, total=total))
    if predictions is not None:
        write_predictions(predictions, found.located)
    title, limit = described(found.told), THRESHOLD if threshold is None else threshold
    if elsewhere is None:
        figures = reports.document(found.told, found.located, limit)
        tables = reports.tables_of(found.told, found.located, limit)
        if report is not None:
            reports.write_report(report, title, found.told, found.located, found.shots, limit)
    else:
        figures = reports.lost_document(found.told, found.located, limit)
        tables = [reports.lost_table(figures)]
        if report is not None:
            reports.write_lost_report(report, title, found.told, found.located, found.shots, limit)
    if as_json:
        typer.echo(json.dumps(figures, indent=1))
    else:
        typer.echo(title)
        for table in tables:
            Console().print(rich_table(table))


def check_options(dataset: str, protocol: str | None, elsewhere: Path | None) -> None:
    """Refuse options that say nothing together."""
    if dataset != "scene" and (protocol or elsewhere):
        name = "--protocol" if protocol else "--elsewhere"
        raise typer.BadParameter(f"goes with scenes, not with --dataset {dataset}", param_hint=name)
    if elsewhere is not None and protocol == "prior":
        raise typer.BadParameter(
            "a frame's position lies off the map of another place: wide or blind", param_hint="--protocol"
        )


def write_predictions(path: Path, located: "Sequence[Located]") -> None:
    """Write a JSON list with a record an object, which names the scene where there are several."""
    from cvgeo_ros.learn.report import finite

    keys = RECORD if len({item.scene for item in located}) == 1 else ("scene", *RECORD)
    rows = [asdict(item) for item in located]
    records = ",\n".join(json.dumps(finite({key: row[key] for key in keys})) for row in rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"[\n{records}\n]\n")


def described(told: dict[str, Any]) -> str:
    """One line that names what was evaluated."""
    (_, name), *rest = told.items()
    return ", ".join([str(name), *(f"{key.replace('_', ' ')} {text}" for key, text in rest)])


def rich_table(table: "Table") -> "RichTable":
    """A table for the terminal."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table as RichTable

    sheet = RichTable(header_style="bold", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for index, heading in enumerate(table.header):
        # Headings break at spaces alone.
        least = max((len(word) for word in heading.split()), default=0)
        sheet.add_column(heading, justify="right" if index else "left", min_width=least)
    for row in table.rows:
        sheet.add_row(*row)
    return sheet
