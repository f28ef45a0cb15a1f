"""Render many worlds: ``python -m cvgeo_ros.learn.scenes.pack --out FOLDER --worlds N --first-seed S --workers W``."""

import multiprocessing
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import Annotated

import cv2
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cvgeo_ros.errors import SceneError
from cvgeo_ros.learn.interrupts import leave_to_parent
from cvgeo_ros.learn.scenes.dataset import WORLD_FILE, Options, write_world
from cvgeo_ros.memory import reuse_large_blocks


def main(
    out: Annotated[Path, typer.Option(help="Folder for the worlds, one subfolder a seed.")],
    worlds: Annotated[int, typer.Option(min=1, help="How many worlds.")] = 100,
    first_seed: Annotated[int, typer.Option(help="Seed of the first; the others follow it.")] = 0,
    views: Annotated[int, typer.Option(min=0, help="Drone frames a world.")] = 2,
    ground: Annotated[int, typer.Option(min=0, help="Street-level views a world.")] = 0,
    workers: Annotated[int, typer.Option(min=1, help="Processes; each keeps one core busy.")] = 1,
) -> None:
    """Render worlds; those that are there already are kept, so a stopped run goes on."""
    seeds = [s for s in range(first_seed, first_seed + worlds) if not (out / str(s) / WORLD_FILE).is_file()]
    write = partial(write_world, out, options=Options(views=views, ground=ground))
    start = time.monotonic()
    columns = (TextColumn("worlds"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress:
        task = progress.add_task("worlds", total=worlds, completed=worlds - len(seeds))
        for _ in written(write, seeds, workers):
            progress.advance(task)
    if seeds:
        rate = 60 * len(seeds) / (time.monotonic() - start)
        typer.echo(f"{out}: {len(seeds)} worlds written, {rate:.1f} a minute with {workers} process(es)")


def written(write: "partial[None]", seeds: list[int], workers: int) -> Iterator[None]:
    """Write the worlds of the seeds with so many processes, and yield after each."""
    if workers == 1:
        reuse_large_blocks()
        cv2.setNumThreads(1)
        for seed in seeds:
            yield write(seed)
        return
    # SIGTERM as Ctrl-C: killed at once, this process would leave the others waiting for worlds forever.
    former = signal.signal(signal.SIGTERM, signal.default_int_handler)
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _start_worker)
    try:
        for future in as_completed([pool.submit(write, seed) for seed in seeds]):
            yield future.result()
    except BrokenProcessPool as error:
        raise SceneError(
            "a process that rendered worlds was killed, perhaps for memory; what is written stays: run the command "
            "again, with fewer --workers"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)
        signal.signal(signal.SIGTERM, former)


def _start_worker() -> None:
    leave_to_parent()  # it cancels what waits, and each worker finishes its world
    reuse_large_blocks()
    cv2.setNumThreads(1)


if __name__ == "__main__":
    typer.run(main)
