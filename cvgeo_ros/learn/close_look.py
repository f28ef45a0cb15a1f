"""Teach the close look alone: views of frame and tile around objects of rendered worlds and of photographs.

It sees pixels only, so it needs nothing of the rest of the network and is taught apart from it, on errors of click,
place, heading and scale like those that the rest leaves.

    python -m cvgeo_ros.learn.close_look --real photographs --rendered worlds --minutes 60 --out out/close
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import torch
import torch.nn.functional as F
import typer
from numpy.typing import NDArray
from rich.console import Console
from torch import nn
from torch.utils.data import DataLoader, IterableDataset

from ..errors import DatasetError
from ..geo import project
from ..localizer.views import Views
from ..net import CrossViewLocator
from ..net.close_look import SIDE, ZOOMS, CloseLook
from ..net.weights import find_weights, load_weights, read_facts, save_weights
from . import augment
from .commands import run, stopping
from .extents import BALANCE, SIZES
from .interrupts import leave_to_parent
from .loop import Stage, Watch, run_stage
from .losses import extent_loss
from .sources import Outline, Shown, Source, read_outlines, read_rgb, real_sources, rendered_sources
from .warping import Homography, box_through

Points = NDArray[np.float64]
Sample = dict[str, torch.Tensor]
"""``frame`` and ``tile`` (Z, 3, 48, 48) uint8, ``gsd``, ``lean`` (2,), ``box`` (4,) raster px from the place found,
``there``: whether the tile's views show what was clicked at all, or another thing."""
ELSEWHERE = 40.0
"""Metres from an object beyond which nothing is it."""
BESIDE = (4.0, 20.0)
"""Metres between an object and one that it may be taken for."""
VAIN = 200
"""Visits without an object after which there seem to be none."""


@dataclass(frozen=True)
class CloseConfig:
    """How views are drawn. Errors are standard deviations.

    Attributes:
        gsd: range of metres per raster pixel; half of the views are at the first.
        misplaced: (share, metres) of the error of the place found, one of them drawn for each object.
        taken_for_another: (share, metres) of the error of the height that the place found stands for: in oblique frames
            a roof is taken for another of its row, along the line of heights.
        clicked: of the click from the object's middle, share of its size.
        turned, scaled: of the frame against the tile, degrees and log, where an alignment was found.
        unaligned: share of frames without, whose errors are four times as large.
        taken_for_neighbour: share of objects that are looked for at one beside them, as the next house of their row.
        mistaken: share of objects that are looked for where one far away is, to learn trust.
        few: objects of one frame that are shown, at most.
    """

    gsd: tuple[float, float] = (0.3, 0.55)
    misplaced: tuple[tuple[float, float], ...] = ((0.7, 0.8), (0.18, 2.5), (0.12, 6.0))
    taken_for_another: tuple[float, float] = (0.3, 6.0)
    clicked: float = 0.12
    turned: float = 1.5
    scaled: float = 0.025
    unaligned: float = 0.15
    taken_for_neighbour: float = 0.12
    mistaken: float = 0.12
    few: int = 8


class CloseViews(IterableDataset[Sample]):
    """Endless stream of views, deterministic by seed and worker."""

    def __init__(
        self, real: list[Source], rendered: list[Source], share: float, config: CloseConfig, seed: int
    ) -> None:
        """`real`: photographs with masks; `share`: of visits to rendered worlds."""
        self.real, self.share, self.config, self.seed = real, share, config, seed
        self.first = 0
        """Number of the first batch: a run that goes on sees other views."""
        self.outlines: dict[Path, list[Outline]] = {}
        self.shots = [(source, shown) for source in rendered for shown in source.frames if shown.clicks]
        kinds = [_kinds(source)[list(shown.clicks)] for source, shown in self.shots]
        shares = np.bincount(np.concatenate([*kinds, np.arange(len(SIZES) + 1)]))
        self.chance = (shares / shares.sum()) ** -BALANCE
        self.often = np.cumsum([self.chance[part].sum() for part in kinds])

    def __iter__(self) -> Iterator[Sample]:
        worker = torch.utils.data.get_worker_info()
        cv2.setNumThreads(1)
        rng = np.random.default_rng([self.seed, self.first, worker.id if worker else 0])
        # Objects of one frame come in a row; mixed, a batch shows many worlds.
        waiting: list[Sample] = []
        vain = 0
        while True:
            found = self.visit(rng)
            vain = 0 if found else vain + 1
            if vain == VAIN:
                raise DatasetError(f"{VAIN} images in a row show no object; are there outlines in the masks?")
            waiting += found
            while len(waiting) > 256:
                yield waiting.pop(int(rng.integers(len(waiting))))

    def visit(self, rng: np.random.Generator) -> list[Sample]:
        """Views of some objects of one frame."""
        if not self.real or (self.shots and rng.random() < self.share):
            return self._rendered(*self.shots[int(np.searchsorted(self.often, rng.uniform(0, self.often[-1])))], rng)
        return self._real(self.real[int(rng.integers(len(self.real)))], rng)

    def _rendered(self, source: Source, shown: Shown, rng: np.random.Generator) -> list[Sample]:
        numbers = np.array(list(shown.clicks))
        chance = self.chance[_kinds(source)[numbers]]
        some = rng.choice(numbers, min(self.config.few, len(numbers)), replace=False, p=chance / chance.sum())
        tile = Views(read_rgb(source.tile, source.shrink))
        frame = Views(read_rgb(shown.file, source.shrink))
        to_frame = np.linalg.inv(shown.to_tile)
        middles = (source.boxes[:, :2] + source.boxes[:, 2:]) / 2
        samples = []
        for number in some:
            gsd = max(self._gsd(rng), source.gsd)
            step = gsd / source.gsd
            box = source.boxes[number]
            aside = rng.normal(0, self.config.clicked, 2) * np.minimum(box[2:] - box[:2], 12.0 / source.gsd)
            ground = project(shown.to_tile, np.array([shown.clicks[number]]))[0]
            lean = (shown.nadir - ground) / shown.height * source.gsd
            around: Homography = to_frame @ _raster(ground + aside, step, *self._error(rng))
            if _meets_horizon(around):
                continue
            middle, there = self._mistaken(middles[number], middles, source.gsd, rng)
            piece = _raster(middle + aside + self._missed(rng, lean) / source.gsd, step)
            truth = box_through(np.linalg.inv(piece), box)
            plain = rng.random() < 0.4  # rendered views differ in light and sensor already
            samples.append(_sample(frame.around(around), tile.around(piece), truth, gsd, lean, there, rng, plain))
        return samples

    def _real(self, source: Source, rng: np.random.Generator) -> list[Sample]:
        """Views of a photograph and itself, disturbed."""
        assert source.mask is not None
        if source.mask not in self.outlines:
            self.outlines[source.mask] = read_outlines(source.mask)
        outlines = self.outlines[source.mask]
        whole = read_rgb(source.tile, source.shrink)
        now, then = self._disturbed(whole, rng), self._disturbed(whole, rng)
        relief = None
        if rng.random() < 0.6:
            relief = augment.relief(whole.shape[:2], rng, rng.uniform(0, 2.0) / source.gsd)
            v, u = np.mgrid[0 : whole.shape[0], 0 : whole.shape[1]].astype(np.float32)
            moved = u + relief[..., 0], v + relief[..., 1]
            now = np.asarray(cv2.remap(now, *moved, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101), np.uint8)
        frame, tile = Views(now), Views(then)
        middles = np.stack([contour.mean(0) for contour, _ in outlines]) if outlines else np.zeros((0, 2))
        samples = []
        for number in rng.permutation(len(outlines))[: self.config.few]:
            contour, inner = outlines[number]
            gsd = max(self._gsd(rng) * float(rng.uniform(0.6, 1.0)), source.gsd)
            step = gsd / source.gsd
            turn = float(rng.uniform(-180, 180))
            clicked = inner[int(rng.integers(len(inner)))]
            if rng.random() < 0.7:  # most people click the middle
                clicked = inner[np.argmin(((inner - contour.mean(0)) ** 2).sum(1))]
            # What lies at p + relief(p) is shown at p.
            shown = clicked if relief is None else clicked - relief[int(clicked[1]), int(clicked[0])]
            off, scale = self._error(rng)
            lean = np.zeros(2)  # seen from straight above
            middle, there = self._mistaken(clicked, middles, source.gsd, rng)
            piece = _raster(middle + self._missed(rng, lean) / source.gsd, step, turn)
            corners = project(np.linalg.inv(piece), contour)
            truth = np.r_[corners.min(0), corners.max(0)]
            around = _raster(shown, step, turn + off, scale)
            samples.append(_sample(frame.around(around), tile.around(piece), truth, gsd, lean, there, rng, False))
        return samples

    @staticmethod
    def _disturbed(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        if rng.random() < 0.4:
            image = augment.shadows(image, rng, rng.uniform(0.2, 0.7))
        return augment.intruders(image, rng) if rng.random() < 0.3 else image

    def _gsd(self, rng: np.random.Generator) -> float:
        low, high = self.config.gsd
        return low if rng.random() < 0.5 else float(np.exp(rng.uniform(np.log(low), np.log(high))))

    def _error(self, rng: np.random.Generator) -> tuple[float, float]:
        """Degrees and factor."""
        c = self.config
        size = 4.0 if rng.random() < c.unaligned else 1.0
        return float(rng.normal(0, c.turned * size)), float(np.exp(rng.normal(0, c.scaled * size)))

    def _mistaken(self, place: Points, middles: Points, gsd: float, rng: np.random.Generator) -> tuple[Points, bool]:
        """Where a place is looked for, px, and whether it is in sight: now and then another one is taken for it."""
        draw = rng.random()
        if draw >= self.config.mistaken + self.config.taken_for_neighbour:
            return place, True
        there = bool(draw >= self.config.mistaken)
        away = np.linalg.norm(middles - place, axis=1) * gsd
        others = middles[(away > BESIDE[0]) & (away < BESIDE[1]) if there else away > ELSEWHERE]
        return (others[int(rng.integers(len(others)))], there) if len(others) else (place, True)

    def _missed(self, rng: np.random.Generator, lean: Points) -> Points:
        """Metres."""
        shares = np.cumsum([share for share, _ in self.config.misplaced])
        _, size = self.config.misplaced[int(np.searchsorted(shares, rng.uniform(0, shares[-1])))]
        share, storeys = self.config.taken_for_another
        height = rng.normal(0, storeys) if rng.random() < share else 0.0
        return rng.normal(0, size, 2) + height * lean


def _kinds(source: Source) -> NDArray[np.int64]:
    """Sizes of a world's objects, as places among `SIZES`."""
    return np.digitize((source.boxes[:, 2:] - source.boxes[:, :2]).max(1) * source.gsd, SIZES)


def _raster(middle: Points, step: float, turn: float = 0.0, scale: float = 1.0) -> Homography:
    """Raster px, (0, 0) at `middle`, to image px: `step` image px a raster px, turned by `turn` degrees."""
    angle = np.radians(turn)
    cosine, sine = np.cos(angle) * step * scale, np.sin(angle) * step * scale
    return np.array([[cosine, -sine, middle[0]], [sine, cosine, middle[1]], [0, 0, 1]])


def _meets_horizon(to_frame: Homography) -> bool:
    """Whether the widest view reaches beyond what a frame can see of the ground."""
    half = SIDE / 2 * max(ZOOMS)
    corners = np.array([[-half, -half, 1], [half, -half, 1], [half, half, 1], [-half, half, 1]])
    depth = corners @ to_frame[2]
    return bool((np.sign(depth) != np.sign(depth[0])).any())


def _sample(
    frame: NDArray[np.uint8],
    tile: NDArray[np.uint8],
    box: Points,
    gsd: float,
    lean: Points,
    there: bool,
    rng: np.random.Generator,
    plain: bool,
) -> Sample:
    """Views as tensors, both turned and mirrored alike."""
    turns, mirrored = int(rng.integers(4)), bool(rng.random() < 0.5)
    shown = []
    for parts in (frame, tile):
        if not plain:  # side by side, so that all zooms are changed alike
            flat = augment.photometric(np.concatenate(list(parts), axis=1), rng)
            parts = np.stack(np.split(flat, len(parts), axis=1))
        parts = np.rot90(parts, turns, (1, 2))
        if mirrored:
            parts = parts[:, :, ::-1]
        shown.append(torch.from_numpy(np.ascontiguousarray(parts)).permute(0, 3, 1, 2))
    corners = np.stack([box[:2], box[2:], lean])
    for _ in range(turns):  # rot90 turns u towards v's opposite: (u, v) -> (v, -u)
        corners = np.stack([corners[:, 1], -corners[:, 0]], -1)
    if mirrored:
        corners = corners * [-1, 1]
    return {
        "frame": shown[0],
        "tile": shown[1],
        "gsd": torch.tensor(gsd, dtype=torch.float32),
        "there": torch.tensor(there),
        "lean": torch.from_numpy(corners[2]).float(),
        "box": torch.from_numpy(np.r_[corners[:2].min(0), corners[:2].max(0)]).float(),
    }


class CloseObjective(nn.Module):
    """What the close look is taught by."""

    def __init__(self, look: CloseLook) -> None:
        super().__init__()
        self.look = look

    def forward(self, batch: Sample) -> Watch:
        """Loss and figures of a batch of M samples."""
        with torch.autocast(batch["gsd"].device.type, torch.bfloat16):
            boxes = self.look(batch["frame"].float() / 255, batch["tile"].float() / 255, batch["gsd"], batch["lean"])
        there = batch["there"]
        extent, iou = extent_loss(boxes, batch["box"][there], there)
        right = torch.zeros_like(boxes.quality).masked_scatter(there, iou.detach())
        quality = F.binary_cross_entropy_with_logits(boxes.quality, right)
        metres = (batch["box"][there, 2:] - batch["box"][there, :2]).amax(1) * batch["gsd"][there]
        trust = boxes.quality.sigmoid()
        figures = {
            "iou": iou.mean(),
            "acc_25": (iou > 0.25).float().mean(),
            "acc_50": (iou > 0.5).float().mean(),
            "sheds": _mean(iou[metres < SIZES[0]] > 0.25),
            "trust": _mean(trust[there]),
            "trust_elsewhere": _mean(trust[~there]),
        }
        return {"loss": extent + 0.2 * quality, **{name: value.detach() for name, value in figures.items()}}


def _mean(values: torch.Tensor) -> torch.Tensor:
    """0 of none."""
    return values.float().sum() / max(values.numel(), 1)


def with_close_look(model: CrossViewLocator) -> CrossViewLocator:
    """The same network with a close look; a fresh one where it had none."""
    if model.close_look is not None:
        return model
    larger = CrossViewLocator(replace(model.config, close_look=True))
    larger.load_state_dict(model.state_dict(), strict=False)
    return larger


def train_close(
    look: CloseLook, views: CloseViews, stage: Stage, batch: int, out: Path, console: Console, workers: int = 1
) -> None:
    """Train a close look in place; a run that was stopped goes on, with views that it has not seen.

    Raises:
        Stopped, TrainingError: as `run_stage` does.
    """
    objective = CloseObjective(look)
    stream: Iterator[Sample] | None = None

    def loss(step: int) -> Watch:
        nonlocal stream
        if stream is None:  # the first step tells where a run goes on
            views.first = step
            stream = iter(DataLoader(views, batch, num_workers=workers, worker_init_fn=leave_to_parent))
        return dict(objective(next(stream)))

    run_stage(objective, loss, stage, out, console)


app = typer.Typer(add_completion=False)


@app.command(epilog="Example: python -m cvgeo_ros.learn.close_look --rendered worlds --minutes 60 --out out/close")
def main(
    out: Annotated[Path, typer.Option(help="Folder for checkpoint, log and weights.")],
    model: Annotated[str, typer.Option(help="Shipped model or .safetensors file that is given a close look.")] = "nano",
    real: Annotated[Path | None, typer.Option(help="Folder of photographs; those with outlines are used.")] = None,
    rendered: Annotated[Path | None, typer.Option(help="Folder of rendered worlds.")] = None,
    share: Annotated[float, typer.Option(min=0.0, max=1.0, help="Share of rendered views.")] = 0.8,
    steps: Annotated[int, typer.Option(min=1, help="Steps of the optimiser.")] = 6000,
    minutes: Annotated[float | None, typer.Option(min=0.1, help="Ends earlier, at a rate of nothing.")] = None,
    rate: Annotated[float, typer.Option(min=1e-9, help="Peak learning rate.")] = 1e-3,
    batch: Annotated[int, typer.Option(min=1, help="Objects in a step.")] = 64,
    seed: Annotated[int, typer.Option(min=0, help="Of the views and of fresh weights.")] = 0,
    threads: Annotated[int, typer.Option(min=1, help="Threads of torch, beside a worker that draws views.")] = 1,
) -> None:
    """Teach the close look; a run that was stopped goes on."""
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    console = Console(highlight=False, soft_wrap=True)
    photographs = [source for source in real_sources(real) if source.mask] if real else []
    worlds = rendered_sources(rendered) if rendered else []
    views = CloseViews(photographs, worlds, share, CloseConfig(), seed)
    if not photographs and not views.shots:
        raise DatasetError("nothing to learn from: give --real, a folder of photographs with outlines, or --rendered")
    console.print(f"{len(photographs)} photographs, {len(worlds)} rendered worlds, {len(views.shots)} frames of them")
    path = find_weights(model)
    network = with_close_look(load_weights(path))
    assert network.close_look is not None
    with stopping(console):
        train_close(network.close_look, views, Stage(steps, rate, minutes, warmup=200), batch, out, console)
    weights = out / path.name
    save_weights(network, weights, True, **{**read_facts(path), "close_seed": str(seed)})
    console.print(f"weights  {weights}")


if __name__ == "__main__":
    run(app)
