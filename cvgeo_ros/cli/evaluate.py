"""``cvgeo evaluate``: figures of merit on a scene with truth."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from cvgeo_ros.learn.metrics import Figures, Located

RECORD = ("frame", "id", "bbox", "score", "latitude", "longitude", "position_std")
"""What is written of an object's answer."""


def evaluate(
    scene: Annotated[Path, typer.Argument(help="Folder of the scene.")],
    protocol: Annotated[
        Literal["prior", "wide", "blind"],
        typer.Option(
            help="What the localizer is told: the camera's place within 75 m, heading, altitude and pitch; all but the "
            "place; or nothing."
        ),
    ] = "prior",
    seed: Annotated[int, typer.Option(help="Seed of the errors put on the hints.")] = 0,
    model: Annotated[str, typer.Option(help="Name of a shipped model, or a .safetensors file.")] = "nano",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    predictions: Annotated[Path | None, typer.Option(help="Write one record an object to this JSON file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Locate every object of a scene and compare with the truth, over all objects and over those of quality A."""
    from rich.console import Console
    from rich.progress import Progress

    from cvgeo_ros.learn.evaluation import Protocol, evaluate_scene
    from cvgeo_ros.learn.metrics import summarize
    from cvgeo_ros.localizer import Localizer
    from cvgeo_ros.scene import Scene

    loaded = Scene.load(scene)
    localizer = Localizer.load(model, device)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("frames", total=len(loaded.frames))
        located = evaluate_scene(
            localizer, loaded, Protocol(protocol), seed, lambda done, _: progress.update(task, completed=done)
        )
    if predictions is not None:
        predictions.parent.mkdir(parents=True, exist_ok=True)
        records = ",\n".join(json.dumps(record_of(item)) for item in located)
        predictions.write_text(f"[\n{records}\n]\n")
    best = [item for item in located if item.quality == "A"]
    figures = {"all": summarize(located), "A": summarize(best) if best else None}
    if as_json:
        told = {"scene": loaded.name, "protocol": protocol, "seed": seed, "model": model}
        typer.echo(json.dumps({**told, **{key: value and value.to_dict() for key, value in figures.items()}}, indent=1))
    else:
        Console().print(table_of(figures, f"{loaded.name}, protocol {protocol}, seed {seed}, model {model}"))


def record_of(item: "Located") -> dict[str, Any]:
    """Return what is written of one object."""
    fields = asdict(item)
    return {key: fields[key] for key in RECORD}


def table_of(figures: "dict[str, Figures | None]", title: str) -> "Table":
    """Return figures side by side."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    def share(value: float) -> str:
        return f"{100 * value:.1f} %"

    rows = (
        ("objects in frames", lambda f: f"{f.objects} in {f.frames}"),
        ("acc@0.25", lambda f: share(f.acc_25)),
        ("acc@0.5", lambda f: share(f.acc_50)),
        ("mIoU", lambda f: share(f.miou)),
        ("median error", lambda f: f"{f.error_median:.2f} m"),
        ("within 5 m", lambda f: share(f.within_5m)),
        ("within 10 m", lambda f: share(f.within_10m)),
        ("accI@0.25", lambda f: share(f.acci_25)),
        ("accI@0.5", lambda f: share(f.acci_50)),
        ("within 1 sigma (39 % if honest)", lambda f: share(f.within_1_sigma)),
        ("within 2 sigma (86 % if honest)", lambda f: share(f.within_2_sigma)),
        ("median latency of a frame", lambda f: f"{1e3 * f.latency_median:.0f} ms"),
    )
    known = {key: value for key, value in figures.items() if value is not None}
    sheet = Table(
        title=title, title_justify="left", header_style="bold", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0)
    )
    sheet.add_column("")
    for key in known:
        sheet.add_column("all objects" if key == "all" else f"quality {key}", justify="right")
    for name, text in rows:
        sheet.add_row(name, *(text(value) for value in known.values()))
    return sheet
