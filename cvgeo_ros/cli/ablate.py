"""``cvgeo ablate``: what each idea of the network is worth, and how its peers do at the same budget."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cvgeo_ros.errors import TrainingError

if TYPE_CHECKING:
    from rich.table import Table

    from cvgeo_ros.learn.ablation import Row


def ablate(
    rendered: Annotated[Path, typer.Option(help="Folder of worlds to train on, from `cvgeo scenes pack`.")],
    benchmark: Annotated[Path, typer.Option(help="Folder of pairs to judge on, from `cvgeo scenes benchmark`.")],
    out: Annotated[Path, typer.Option(help="Folder for checkpoints and figures; a stopped run goes on from it.")],
    variant: Annotated[list[str] | None, typer.Option(help="Variant, again for more; without it, all of them.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds of each.")] = 3,
    steps: Annotated[int, typer.Option(min=1, help="Steps of each training.")] = 160,
    jobs: Annotated[int, typer.Option(min=1, help="Trainings at a time, one core each.")] = 1,
) -> None:
    """Train variants of a small network alike and judge them on one rendered benchmark."""
    from rich.console import Console
    from rich.progress import Progress

    from cvgeo_ros.learn.ablation import Budget, rows_of, run_all
    from cvgeo_ros.learn.variants import VARIANTS

    chosen = variant or list(VARIANTS)
    for name in chosen:
        if name not in VARIANTS:
            raise TrainingError(f"variant {name!r} is none of {', '.join(VARIANTS)}")
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("variants and seeds", total=len(chosen) * seeds)
        figures = run_all(
            Budget(rendered, benchmark, steps),
            chosen,
            range(seeds),
            out,
            jobs,
            lambda done, _: progress.update(task, completed=done),
        )
    (out / "figures.json").write_text(json.dumps(figures, indent=1))
    Console().print(table_of(rows_of(figures), f"{seeds} seeds of {steps} steps each, {benchmark}"))


def table_of(rows: "list[Row]", title: str) -> "Table":
    """Return mean and deviation over seeds, and the change against the full network in points."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from cvgeo_ros.learn.ablation import FIGURES

    sheet = Table(title=title, title_justify="left", header_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    sheet.add_column("")
    for heading in FIGURES.values():
        sheet.add_column(heading, justify="right")
    for row in rows:
        cells = [
            f"{100 * row.mean[n]:.1f} ± {100 * row.deviation[n]:.1f} ({100 * row.change[n]:+.1f})" for n in FIGURES
        ]
        sheet.add_row(row.title, *cells)
    return sheet
