"""``cvgeo export``: the network for other runtimes."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from cvgeo_ros.cli.console import wide_console
from cvgeo_ros.cli.options import Model


def export(
    out: Annotated[Path, typer.Option(help="Folder for the files.")],
    form: Annotated[
        Literal["onnx", "torch-export"],
        typer.Option("--format", help="onnx: ONNX Runtime, TensorRT; torch-export: PyTorch without our code."),
    ] = "onnx",
    model: Model = "nano",
    branch: Annotated[
        Literal["frame", "tile", "clicks", "close", "all"],
        typer.Option(
            help="frame and tile: the encoders of each; clicks: boxes and scores from what these give; close: boxes "
            "that pixels have had their say in."
        ),
    ] = "all",
    untrained: Annotated[
        bool,
        typer.Option("--untrained", help="Random weights of a size (nano, tiny), to time it without any."),
    ] = False,
) -> None:
    """Write the network's branches to files that run without this package, each compared with PyTorch on the CPU.

    Shapes, units, and what stays outside: docs/export.md.
    """
    from rich.console import Console
    from rich.table import Table

    from cvgeo_ros.export.branches import branches_of
    from cvgeo_ros.export.exporting import export as write
    from cvgeo_ros.export.exporting import open_model
    from cvgeo_ros.export.formats import require

    require(form)
    with Console(stderr=True).status("loading the model") as status:
        network, weights = open_model(model, untrained)
        names = branches_of(network) if branch == "all" else [branch]
        written = write(network, weights, form, names, out, status.update)
    table = Table(box=None, pad_edge=False)
    table.add_column("file", no_wrap=True)
    table.add_column("MB", justify="right", no_wrap=True)
    table.add_column("s", justify="right", no_wrap=True)
    table.add_column("largest difference from PyTorch, by output", overflow="fold")
    for file in written:
        differences = ", ".join(f"{d.output} {d.largest:.1e}" for d in file.differences)
        table.add_row(str(file.path), f"{file.bytes / 1e6:.1f}", f"{file.seconds:.0f}", differences)
    wide_console(200).print(table, highlight=False)
