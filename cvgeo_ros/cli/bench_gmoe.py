"""``cvgeo bench gmoe``: ways of dispatching tokens to experts."""

import json
import os
from typing import Annotated, Literal

import typer

from cvgeo_ros.cli.console import wide_console
from cvgeo_ros.cli.options import AsJson, Clock, Device, Threads


def gmoe(
    device: Device = "auto",
    dtype: Annotated[Literal["float32", "bfloat16"], typer.Option(help="Type of tokens and experts.")] = "float32",
    side: Annotated[
        list[int], typer.Option(min=32, help="Side of the images whose tokens are dispatched, px; may be repeated.")
    ] = [256, 1024],  # noqa: B006  typer copies it
    batch: Annotated[int, typer.Option(min=1, help="Images at once.")] = 1,
    threads: Threads = 2,
    rounds: Annotated[int, typer.Option(min=1, help="How often.")] = 9,
    clock: Clock = "wall",
    as_json: AsJson = False,
) -> None:
    """Measure the ways of dispatching tokens to experts, forward and backward, at the size of tiny.

    Against their floor, the bare matrix products of the same sizes. All run in turn, so that other load cancels.
    """
    from rich.console import Console

    from cvgeo_ros.memory import reuse_large_blocks

    reuse_large_blocks()  # as the localizer's node does
    os.environ.setdefault("KINETO_LOG_LEVEL", "5")  # read with torch, whose profiler tells of each start and stop
    import torch

    from cvgeo_ros.bench.gmoe import Plan, measure, table
    from cvgeo_ros.bench.timing import machine
    from cvgeo_ros.localizer.localizer import pick_device

    torch.set_num_threads(threads)
    plan = Plan(rounds=rounds, sides=tuple(side), batch=batch, kind=dtype, clock=clock)
    chosen = pick_device(device)
    about = machine(chosen, plan.clock, plan.rounds)
    with Console(stderr=True).status("starting") as status:
        found = measure(chosen, plan, status.update)
    if as_json:
        told = {"machine": about, "dtype": dtype, "layers": [layer.to_dict() for layer in found]}
        typer.echo(json.dumps(told, indent=1))
        return
    title = f"{about['device']}, {about['threads']} threads, torch {about['torch']}, {dtype}, {clock} time"
    wide_console(150).print(table(found, title))
