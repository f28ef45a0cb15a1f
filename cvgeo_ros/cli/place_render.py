"""``cvgeo place render``: the rendered set that place models are trained and judged on, and sheets of it."""

from pathlib import Path
from typing import Annotated, Literal

import typer


def render(
    out: Annotated[Path, typer.Option(help="Folder of the set.")],
    split: Annotated[
        Literal["train", "val", "test"], typer.Option(help="Seeds of the worlds and wording of the captions.")
    ] = "train",
    places: Annotated[int, typer.Option(min=0, help="How many places at least, three pictures each.")] = 100,
    workers: Annotated[int, typer.Option(min=1, help="Processes; each keeps one core busy.")] = 1,
    sheet: Annotated[Path | None, typer.Option(help="Write a contact sheet with captions here (.png or .jpg).")] = None,
    first: Annotated[int, typer.Option(min=0, help="Place that the sheet begins with.")] = 0,
) -> None:
    """Render places of towns by satellite, by drone and from the street, with captions.

    What is there is kept, so a stopped run goes on; captions are written anew. --places 0 renders nothing more.
    """
    import cv2
    from rich.console import Console
    from rich.progress import Progress

    from cvgeo_ros.errors import ImageError
    from cvgeo_ros.learn.place.rendering import render_set
    from cvgeo_ros.learn.place.sheet import draw_sheet

    if sheet is not None and sheet.suffix not in (".png", ".jpg"):
        raise ImageError(f"{sheet}: a sheet is written as .png or .jpg; name one")
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("places", total=places)
        items = render_set(out, split, places, workers, lambda done: progress.update(task, completed=done))
    print(f"{out}: {len(items)} pictures of {len(items) // 3} places")
    if sheet is not None and not cv2.imwrite(str(sheet), draw_sheet(out, first=first)[:, :, ::-1]):
        raise OSError(f"{sheet}: cannot be written; does its folder exist?")
