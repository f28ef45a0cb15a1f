"""Render many worlds: ``python -m cvgeo_ros.learn.scenes.pack --out FOLDER --worlds N --first-seed S``."""

from pathlib import Path
from typing import Annotated

import cv2
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cvgeo_ros.learn.scenes.dataset import WORLD_FILE, Options, write_world


def main(
    out: Annotated[Path, typer.Option(help="Folder for the worlds, one subfolder a seed.")],
    worlds: Annotated[int, typer.Option(min=1, help="How many worlds.")] = 100,
    first_seed: Annotated[int, typer.Option(help="Seed of the first; the others follow it.")] = 0,
    views: Annotated[int, typer.Option(min=1, help="Drone frames a world.")] = 2,
) -> None:
    """Render worlds on one core; worlds that are there already are kept, so a stopped run goes on."""
    cv2.setNumThreads(1)
    columns = (TextColumn("worlds"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress:
        task = progress.add_task("worlds", total=worlds)
        for seed in range(first_seed, first_seed + worlds):
            if not (out / str(seed) / WORLD_FILE).is_file():
                write_world(out, seed, Options(views=views))
            progress.advance(task)


if __name__ == "__main__":
    typer.run(main)
