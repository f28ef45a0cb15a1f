"""Teach the box head alone, on what the rest of the network computed once.

A pair costs the trunk seconds of a core and the box head milliseconds. With all else frozen, pairs are encoded once,
and the head then reads the boxes in them again and again. Objects are drawn by their size: three in four are houses,
and a head that sees little else makes a house of every shed and every hall.

    python -m cvgeo_ros.learn.extents encode --real photographs --rendered worlds --pairs 3000 --out out/boxes/pairs
    python -m cvgeo_ros.learn.extents train --pairs out/boxes/pairs --out out/boxes
"""

import os
import pickle
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from rich.console import Console
from rich.progress import Progress
from torch import Tensor, nn

from ..errors import DatasetError
from ..net import STRIDE, CrossViewLocator
from ..net.head import Surroundings
from ..net.prompt import sample
from ..net.weights import find_weights, load_weights, save_weights
from .commands import run, stopping
from .loop import Stage, Watch, run_stage
from .losses import box_losses
from .pairs import PairConfig, Pairs
from .sources import real_sources, rendered_sources

Encoded = dict[str, Tensor]
"""What is kept of a pair: ``context``, ``match`` and ``around`` of the tile, ``gsd``; ``prompts`` (N, D), ``places``
(N, 2) and ``boxes`` (N, 4) of clicked objects; ``extents`` (M, 4) of all objects. Places and boxes are in cells of the
tile, features in float16."""
SHARD = 100
"""Pairs in a file."""
PAIRS = PairConfig(query_size=256, tile_size=512, clicks=16, extents=120, gsd=(0.24, 0.6))
SIZES = (8.0, 20.0, 40.0)
"""Where sheds, houses, halls and blocks part, metres of the longer side."""
BALANCE = 0.4
"""Power of a size's rarity that its objects are drawn by: 0 as they are, 1 all sizes alike."""


@torch.inference_mode()
def encode(model: CrossViewLocator, pair: dict[str, Tensor]) -> Encoded:
    """What the frozen network makes of a pair of `Pairs`."""
    gsd, image = pair["gsd"][None], pair["tile"][None].float() / 255
    tile, _ = model.encode_tile(image, gsd)
    frame, _ = model.encode_frame(pair["query"][None].float() / 255, gsd)
    prompts = model.prompt(frame.match, frame.context, pair["clicks"][None] / STRIDE)[0]
    objects = pair["boxes"].isfinite().all(1)
    extents = pair["extents"][pair["extents"].isfinite().all(1)]
    return {
        "context": tile.context[0].half(),
        "match": tile.match[0].half(),
        "around": model.surroundings(image, gsd).context[0].half(),
        "gsd": pair["gsd"],
        "prompts": prompts[objects].half(),
        "places": pair["targets"][objects] / STRIDE,
        "boxes": pair["boxes"][objects] / STRIDE,
        "extents": extents / STRIDE,
    }


def encode_pairs(
    model: CrossViewLocator, stream: Callable[[int], Iterable[dict[str, Tensor]]], count: int, out: Path
) -> Iterable[int]:
    """Write encoded pairs, `SHARD` a file; yields how many there are after each. Files that are there are kept.

    Args:
        model: frozen.
        stream: pairs of a file, by its number.
        count: of pairs, rounded up to whole files.
        out: folder.
    """
    out.mkdir(parents=True, exist_ok=True)
    for number in range(-(-count // SHARD)):
        path = out / f"{number:04d}.pt"
        if not path.is_file():
            partial = path.with_suffix(".partial")
            torch.save([encode(model, pair) for pair in islice(stream(number), SHARD)], partial)
            os.replace(partial, path)
        yield (number + 1) * SHARD


def read_pairs(folders: Sequence[Path]) -> list[Encoded]:
    """Encoded pairs of some folders, all in memory.

    Raises:
        DatasetError: none there, or a damaged file; names it.
    """
    pairs: list[Encoded] = []
    for folder in folders:
        paths = sorted(folder.glob("*.pt"))
        if not paths:
            raise DatasetError(f"{folder}: no encoded pairs; make some with the command `encode`")
        for path in paths:
            try:
                pairs += torch.load(path, weights_only=True)
            except (RuntimeError, EOFError, OSError, pickle.UnpicklingError) as error:
                raise DatasetError(f"{path}: damaged ({error}); delete it and encode again") from error
    return pairs


class BoxObjective(nn.Module):
    """The box head and what it is taught by: draws of objects from encoded pairs."""

    def __init__(self, model: CrossViewLocator, pairs: Sequence[Encoded], objects: int = 32, clicked: int = 12) -> None:
        """`objects` and `clicked`: so many of a pair are read, of all and of those that a frame shows."""
        super().__init__()
        self.head = model.box_head
        self.pairs, self.objects, self.clicked = list(pairs), objects, clicked
        self.kinds = [_kinds(pair) for pair in pairs]
        every = np.concatenate([*self.kinds, np.arange(len(SIZES) + 1)])  # none is wholly absent
        shares = np.bincount(every) / len(every)
        self.chance = shares**-BALANCE

    def draw(self, rng: np.random.Generator, batch: int) -> tuple[Tensor, Surroundings, Tensor, Tensor, Tensor]:
        """Context (B, C, h, w), surroundings, prompts (B, N, D), places (B, N, 2) and boxes (B, N, 4) or NaN."""
        chosen = [int(number) for number in rng.integers(len(self.pairs), size=batch)]
        parts = [self.pairs[number] for number in chosen]
        match = torch.stack([part["match"] for part in parts]).float()
        every, size = self.objects + self.clicked, match.shape[1]
        places, prompts = torch.zeros(batch, every, 2), torch.zeros(batch, every, size)
        boxes = torch.full((batch, every, 4), torch.nan)
        for row, (number, part) in enumerate(zip(chosen, parts, strict=True)):
            if len(self.kinds[number]):
                chance = self.chance[self.kinds[number]]
                some = rng.choice(len(chance), self.objects, p=chance / chance.sum())
                boxes[row, : self.objects] = part["extents"][some]
            some = rng.permutation(len(part["boxes"]))[: self.clicked]
            clicked = slice(self.objects, self.objects + len(some))
            boxes[row, clicked], places[row, clicked] = part["boxes"][some], part["places"][some]
            prompts[row, clicked] = part["prompts"][some].float()
        middle = (boxes[:, : self.objects, :2] + boxes[:, : self.objects, 2:]) / 2
        extent = boxes[:, : self.objects, 2:] - boxes[:, : self.objects, :2]
        away = torch.from_numpy(rng.normal(size=middle.shape)).float() * (0.12 * extent).clamp(max=2.0)
        places[:, : self.objects] = (middle + away).nan_to_num()
        # What nobody clicked in a frame is asked for by the tile's own descriptor.
        prompts[:, : self.objects] = sample(match, places[:, : self.objects])
        missed = torch.from_numpy(rng.normal(0, 0.6, places.shape)).float()
        context = torch.stack([part["context"] for part in parts]).float()
        around = Surroundings(torch.stack([part["around"] for part in parts]).float())
        return context, around, prompts, places + missed, boxes

    def forward(
        self, context: Tensor, around: Surroundings, prompts: Tensor, places: Tensor, truth: Tensor
    ) -> dict[str, Tensor]:
        """Loss and figures of one draw."""
        objects = truth.isfinite().all(-1)
        first, final = self.head(context, prompts, places, around)
        box, quality, iou = box_losses(first, final, truth, objects)
        return {"loss": box + 0.3 * quality, "iou": iou.detach().mean(), "acc_25": (iou.detach() > 0.25).float().mean()}


def train_boxes(
    model: CrossViewLocator, pairs: Sequence[Encoded], stage: Stage, batch: int, seed: int, out: Path, console: Console
) -> None:
    """Train `model.box_head` in place; a run that was stopped goes on.

    Raises:
        Stopped, TrainingError: as `run_stage` does.
    """
    objective = BoxObjective(model, pairs)

    def loss(step: int) -> Watch:
        return dict(objective(*objective.draw(np.random.default_rng([seed, step]), batch)))

    run_stage(objective, loss, stage, out, console)


def _kinds(pair: Encoded) -> np.ndarray[Any, np.dtype[np.int64]]:
    """(M,) sizes of a pair's objects, as places among `SIZES`."""
    extents = pair["extents"]
    metres = (extents[:, 2:] - extents[:, :2]).amax(1) * STRIDE * pair["gsd"] if len(extents) else torch.zeros(0)
    return np.digitize(metres.numpy(), SIZES)


app = typer.Typer(no_args_is_help=True, add_completion=False)
Model = Annotated[str, typer.Option(help="Shipped model or .safetensors file whose box head is taught.")]
Threads = Annotated[int, typer.Option(min=1, help="Threads of torch.")]


@app.command("encode", epilog="Example: python -m cvgeo_ros.learn.extents encode --rendered worlds --out out/pairs")
def encode_command(
    out: Annotated[Path, typer.Option(help="Folder for encoded pairs, some 1.8 MB each with nano.")],
    model: Model = "nano",
    real: Annotated[Path | None, typer.Option(help="Folder of photographs; those with outlines are used.")] = None,
    rendered: Annotated[Path | None, typer.Option(help="Folder of rendered worlds.")] = None,
    share: Annotated[float, typer.Option(min=0.0, max=1.0, help="Share of rendered pairs.")] = 0.78,
    pairs: Annotated[int, typer.Option(min=1, help="How many.")] = 3000,
    seed: Annotated[int, typer.Option(min=0, help="Of the pairs.")] = 11,
    threads: Threads = 2,
) -> None:
    """Encode pairs once; a run that was stopped goes on."""
    torch.set_num_threads(threads)
    photographs = [source for source in real_sources(real) if source.mask] if real else []
    worlds = rendered_sources(rendered) if rendered else []
    if not photographs and not worlds:
        raise DatasetError("nothing to encode: give --real, a folder of photographs with outlines, or --rendered")
    shown = share if photographs else 1.0
    network = load_weights(find_weights(model)).eval()
    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("pairs", total=pairs)
        # Each file has a stream of its own, so that a run that goes on makes the pairs that an unbroken one would.
        stream = lambda number: Pairs(photographs, worlds, shown, PAIRS, 10_000 * seed + number)  # noqa: E731
        for done in encode_pairs(network, stream, pairs, out):
            bar.update(task, completed=done)


@app.command("train", epilog="Example: python -m cvgeo_ros.learn.extents train --pairs out/pairs --out out/boxes")
def train_command(
    pairs: Annotated[list[Path], typer.Option(help="Folder of encoded pairs; again for more.")],
    out: Annotated[Path, typer.Option(help="Folder for checkpoint, log and weights.")],
    model: Model = "nano",
    steps: Annotated[int, typer.Option(min=1, help="Steps of the optimiser.")] = 7000,
    rate: Annotated[float, typer.Option(min=1e-9, help="Peak learning rate.")] = 1e-3,
    batch: Annotated[int, typer.Option(min=1, help="Pairs in a step.")] = 8,
    seed: Annotated[int, typer.Option(min=0, help="Of the draws.")] = 0,
    threads: Threads = 2,
) -> None:
    """Teach the box head; a run that was stopped goes on."""
    torch.set_num_threads(threads)
    console = Console(highlight=False, soft_wrap=True)
    path = find_weights(model)
    network = load_weights(path)
    network.requires_grad_(False)
    network.box_head.requires_grad_(True)
    with stopping(console):
        train_boxes(network, read_pairs(pairs), Stage(steps, rate), batch, seed, out, console)
    weights = out / path.name
    save_weights(network, weights, boxes_steps=str(steps), boxes_seed=str(seed))
    console.print(f"weights  {weights}")


if __name__ == "__main__":
    run(app)
