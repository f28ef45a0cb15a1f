"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

ShippedScene = Annotated[
    Path | None, typer.Argument(help="Folder of the scene; without it the one that ships with the project.")
]
Model = Annotated[str, typer.Option(help="Name of a shipped model, or a .safetensors file.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
