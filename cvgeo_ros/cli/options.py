"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated, Literal

import typer

ShippedScene = Annotated[
    Path | None, typer.Argument(help="Folder of the scene; without it the one that ships with the project.")
]
Model = Annotated[str, typer.Option(help="Name of a shipped model, or a .safetensors file.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Threads = Annotated[int, typer.Option(min=1, help="CPU threads.")]
Clock = Annotated[Literal["wall", "cpu"], typer.Option(help="cpu: CPU time, for a machine that others keep busy.")]
