"""What the commands of trainings share: how they stop, and how they tell what is wrong."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

from ..errors import CvgeoError
from .interrupts import Stopped


@contextmanager
def stopping(console: Console) -> Iterator[None]:
    """Tell of a training that was stopped within, and exit with 128 and the signal's number, as shells do."""
    try:
        yield
    except Stopped as stop:
        console.print(f"stopped by {stop.signal.name}; the same command goes on from there")
        raise typer.Exit(128 + stop.signal) from stop


def run(app: typer.Typer) -> None:
    """Run a program of its own; what is wrong becomes one line and exit code 1."""
    try:
        app()
    except CvgeoError as problem:
        raise SystemExit(f"error: {problem}") from problem
