"""What the commands of ``cvgeo place`` have in common."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cvgeo_ros.place.experts import PlaceModel

Map = Annotated[Path, typer.Option("--map", help="GeoTIFF, .mbtiles file or XYZ folder.")]
Model = Annotated[str, typer.Option(help="Name of a shipped place model, or a .safetensors file.")]
Index = Annotated[
    str | None,
    typer.Option(
        "--index", metavar="FILE|URI", help="Where the index is: a file, or the URI of a Milvus, such as "
        r"http://host:19530. \[default: beside the map]",
    ),
]  # fmt: skip


def load_place(model: str, device: str) -> "PlaceModel":
    """Read a place model, ready to infer on a device or, with "auto", on the GPU where there is one.

    Raises:
        WeightsError, PlaceError: it cannot be read.
    """
    from cvgeo_ros.memory import reuse_large_blocks

    reuse_large_blocks()
    import torch

    from cvgeo_ros.place.experts import load_place_model

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return load_place_model(model, device=device)
