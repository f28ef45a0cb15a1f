"""``cvgeo place train``, ``evaluate`` and ``ablation``: place models in the workshop."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cvgeo_ros.cli.configfile import read_config_file
from cvgeo_ros.cli.place_render import render
from cvgeo_ros.errors import TrainingError

if TYPE_CHECKING:
    from rich.table import Table

    from cvgeo_ros.learn.place.corpus import Corpus
    from cvgeo_ros.learn.place.data import PlaceImage
    from cvgeo_ros.learn.place.evaluation import Retrieval
    from cvgeo_ros.learn.place.training import PlaceTraining
    from cvgeo_ros.place.experts import PlaceModel

Data = Annotated[
    Path, typer.Option(help='Folder with a places.json: see "cvgeo place render"; or a GeoText-1652 json.')
]
Images = Annotated[Path | None, typer.Option(help="Folder that the paths in a GeoText-1652 json start from.")]
Cache = Annotated[Path, typer.Option(help="Folder for what frozen towers compute once: some 2.5 MB a place.")]
Out = Annotated[Path, typer.Option(help="Folder for checkpoints, logs and weights; a stopped run goes on from it.")]
Settings = Annotated[Path | None, typer.Option(help="YAML with fields of PlaceTraining.")]
Tower = Annotated[
    str | None,
    typer.Option(
        help="Place model whose image tower is taken, instead of training one, and whose experts are trained on."
    ),
]
Refiner = Annotated[
    str | None,
    typer.Option(help="Program that refines captions, such as a language model: JSON lines in and out, see docs."),
]


def train(
    data: Data,
    cache: Cache,
    out: Out,
    images: Images = None,
    config: Settings = None,
    tower: Tower = None,
    start: Annotated[
        str | None, typer.Option(help="Place model whose image tower and experts the training begins with.")
    ] = None,
    text_folder: Annotated[Path | None, typer.Option(help="Published size: folder of BGE-M3.")] = None,
    image_folder: Annotated[Path | None, typer.Option(help="Published size: folder of EVA-CLIP-L.")] = None,
    refiner: Refiner = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
) -> None:
    """Train a place model: image tower, three platform experts in two stages, gate, and all of these together."""
    from rich.console import Console

    from cvgeo_ros.learn.commands import stopping
    from cvgeo_ros.learn.place.training import fresh_model, train_place
    from cvgeo_ros.place.config import PlaceConfig, published

    if (text_folder is None) != (image_folder is None):
        raise TrainingError("the published size needs both --text-folder and --image-folder")
    if start and tower:
        raise TrainingError("--tower takes an image tower as it is, --start trains it on: give one of them")
    settings = read_settings(config)
    size = published(text_folder, image_folder) if text_folder and image_folder else PlaceConfig()
    console = Console(highlight=False, soft_wrap=True)
    model = fresh_model(size, settings.seed, tower or start)
    with stopping(console):
        corpus = _corpus(read_images(data, images), cache, _on_device(model, device, settings), refiner, True)
        weights = train_place(model, corpus, settings, out, console, tower is None)
    console.print(f"weights  {weights}")


def evaluate(
    data: Data,
    images: Images = None,
    model: Annotated[str, typer.Option(help="Name of a shipped place model, or a .safetensors file.")] = "place",
    slip: Annotated[
        bool, typer.Option("--slip", help="GeoText-1652 with the published code's slip in numbering buildings.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Judge a place model: text to image and image to text, over all platforms' images at once.

    In a rendered set the right image is a caption's own; in GeoText-1652 any image of its building is right.
    """
    from rich.console import Console

    from cvgeo_ros.learn.place.evaluation import embed, judge, platforms_of
    from cvgeo_ros.learn.place.geotext import building_labels
    from cvgeo_ros.place.experts import load_place_model

    geotext = data.suffix == ".json"
    if slip and not geotext:
        raise TrainingError(f"{data}: the slip is one of GeoText-1652's evaluation; give one of its json files")
    found = read_images(data, images)
    with _progress() as report:
        rows = embed(load_place_model(model), found, report)
    result = judge(rows, platforms_of(found), building_labels(found, slip) if geotext else None)
    if as_json:
        print(json.dumps(result.to_dict(), indent=1))
    else:
        Console().print(table_of(result, f"{data}, {model}{', buildings numbered with the slip' if slip else ''}"))


def ablation(
    data: Data,
    test: Annotated[Path, typer.Option(help="Data to judge on, never trained on.")],
    cache: Cache,
    out: Out,
    config: Settings = None,
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds of each row.")] = 3,
    row: Annotated[list[str] | None, typer.Option(help="Row, again for more; without it, all of them.")] = None,
    tower: Annotated[
        str | None,
        typer.Option(help="Place model whose image tower and experts all rows begin with, instead of their own."),
    ] = None,
) -> None:
    """Train and judge the rows of PE-MoE's ablation: unified, aligned, ensemble, full.

    The first has a tower of its own, trained as the heads are on data without preparation; the others share one.
    """
    from dataclasses import replace

    from rich.console import Console

    from cvgeo_ros.learn.commands import stopping
    from cvgeo_ros.learn.place.ablation import ROWS, Sets, run_all
    from cvgeo_ros.learn.place.training import fresh_model
    from cvgeo_ros.place.config import PlaceConfig

    for name in row or ():
        if name not in ROWS:
            raise TrainingError(f"row {name!r} is none of {', '.join(ROWS)}")
    settings = read_settings(config)
    console = Console(highlight=False, soft_wrap=True)
    model = _on_device(fresh_model(PlaceConfig(), 0, tower), "cpu", settings)
    with stopping(console):
        sets = Sets(
            _corpus(read_images(data, None), cache, model, None, True),
            _corpus(read_images(test, None), cache, model, None, False),
        )
        figures = run_all(
            sets, tower, lambda seed: replace(settings, seed=seed), range(seeds), out, console, row or tuple(ROWS)
        )
    (out / "figures.json").write_text(json.dumps(figures, indent=1))
    candidates = next(iter(figures.values()))[0]["text_to_image"]["candidates"]
    console.print(rows_table(figures, f"text to image, {candidates} candidates, {seeds} seeds, {test}"))


def read_images(data: Path, images: Path | None) -> "list[PlaceImage]":
    """Read a rendered set, or one of GeoText-1652's files.

    Raises:
        DatasetError: it cannot be read; names the file and entry.
    """
    from cvgeo_ros.learn.place.data import read_places
    from cvgeo_ros.learn.place.geotext import read_geotext

    return read_geotext(data, images) if data.suffix == ".json" else read_places(data)


def read_settings(path: Path | None) -> "PlaceTraining":
    """Read a training's settings.

    Raises:
        TrainingError: the file is missing or not YAML, or holds an unknown field or a wrong value; names it.
    """
    from cvgeo_ros.learn.place.training import PlaceTraining

    return read_config_file(PlaceTraining, path, "batch: 128", {})


def table_of(result: "Retrieval", title: str) -> "Table":
    """Recalls of both directions, and by platform."""
    sheet = _sheet(title, ("R@1", "R@5", "R@10", "score", "queries", "candidates"))
    parts = {"text to image": result.text_to_image}
    parts |= {f"  {name} captions": recall for name, recall in result.by_platform.items()}
    for name, recall in {**parts, "image to text": result.image_to_text}.items():
        shares = [f"{100 * share:.1f}" for share in (recall.r1, recall.r5, recall.r10, recall.score)]
        sheet.add_row(name, *shares, str(recall.queries), str(recall.candidates))
    return sheet


def rows_table(figures: dict[str, list[dict[str, Any]]], title: str) -> "Table":
    """Mean and deviation over seeds, text to image."""
    import statistics

    from cvgeo_ros.learn.place.ablation import ROWS

    sheet = _sheet(title, ("R@1", "R@5", "R@10", "score"))
    for row, seeds in figures.items():
        cells = []
        for name in ("r1", "r5", "r10", "score"):
            values = [100 * seed["text_to_image"][name] for seed in seeds]
            spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
            cells.append(f"{statistics.mean(values):.1f}{spread}")
        sheet.add_row(ROWS[row], *cells)
    return sheet


def _sheet(title: str, headings: tuple[str, ...]) -> "Table":
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    sheet = Table(title=title, title_justify="left", header_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    sheet.add_column("")
    for heading in headings:
        sheet.add_column(heading, justify="right")
    return sheet


def _corpus(
    images: "list[PlaceImage]", cache: Path, model: "PlaceModel", refiner: str | None, copies: bool
) -> "Corpus":
    from cvgeo_ros.learn.place.corpus import Corpus
    from cvgeo_ros.learn.place.preparation import refine_by_command, refine_by_rules

    corpus = Corpus(images, cache, model, copies, refine_by_command(refiner) if refiner else refine_by_rules)
    with _progress() as report:
        corpus.fill(report)
    return corpus


def _on_device(model: "PlaceModel", device: str, settings: "PlaceTraining") -> "PlaceModel":
    import torch

    from cvgeo_ros.learn.distributed import pick_device

    torch.set_num_threads(settings.threads)
    chosen = pick_device(device)
    if hasattr(model.text, "device"):
        model.text.device = str(chosen)
    return model.to(chosen)


@contextmanager
def _progress() -> "Iterator[Callable[[str, int, int], None]]":
    """A bar for each kind of thing that is computed."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as bars:
        tasks: dict[str, Any] = {}

        def report(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=total)
            bars.update(tasks[name], completed=done)

        yield report


def register(app: typer.Typer) -> None:
    """Add the commands to ``cvgeo place``."""
    app.command(
        epilog="Example: [bold]cvgeo place render --out places/train --split train --places 2000 --workers 2[/], "
        "[bold]cvgeo place render --out places/train --places 0 --sheet sheet.png[/]"
    )(render)
    app.command(
        epilog="Example: [bold]cvgeo place train --data places/train --cache cache --out out/place "
        "--config config/train_place.yaml[/]"
    )(train)
    app.command(
        epilog="Example: [bold]cvgeo place evaluate --data places/test[/], "
        "[bold]cvgeo place evaluate --data GeoText/test_951_version.json --images GeoText/images --slip[/]"
    )(evaluate)
    app.command(
        epilog="Example: [bold]cvgeo place ablation --data places/train --test places/test --cache cache "
        "--out out/ablation --seeds 1[/]"
    )(ablation)
