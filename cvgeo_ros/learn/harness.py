"""One harness for everything that finds objects of a query in a tile: locators answer, DetGeo's protocol judges.

The protocol of DetGeo's released evaluation, to the letter: boxes in absolute pixels of the satellite image, one box a
click; the truth is clamped to [0, size - 1]; a hit is an IoU strictly above the threshold; every sample counts,
failures with their own IoU. DetGeo's cell accuracy is the share of samples whose answer lies in the cell of 16 px, of
the grid from the tile's corner, that the true box's centre falls in. DetGeo takes the cell of the highest confidence,
within which its box's centre always lies; here it is the cell of the answered box's centre.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import DatasetError
from ..scene import read_image
from .asking import ask_apart
from .metrics import Box, Located, iou
from .pairsets import PairObject, PairSample

RGB = NDArray[np.uint8]

DETGEO_CELL = 16
"""Side of a cell of DetGeo's grid, px: 64 by 64 of them in a tile of 1024 px."""
SMGEO_CELL = 32
"""Side of a cell of SMGeo's grid, px."""
_HIDDEN: Box = (math.nan, math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class Answer:
    """A locator's answer to one click.

    Attributes:
        bbox: (u_min, v_min, u_max, v_max), tile px; an empty box is no answer.
        score: 0..1.
        position_std: 1 sigma per axis, m; NaN = not known.
    """

    bbox: Box
    score: float
    position_std: float = math.nan

    @classmethod
    def none(cls, tile: RGB) -> "Answer":
        """No answer: an empty box in the middle of the tile, with a score of 0."""
        u, v = tile.shape[1] / 2, tile.shape[0] / 2
        return cls((u, v, u, v), 0.0)


class PairLocator(Protocol):
    """Finds the clicked objects of a query in its tile.

    Attributes:
        name: for tables.
    """

    name: str

    def locate(self, sample: PairSample, query: RGB, tile: RGB) -> list[Answer]:
        """One answer an object, in their order.

        Args:
            sample: clicks, view, what is known of camera and tile; the boxes are NaN: truth reaches the scorer only.
            query, tile: its images, RGB uint8 (H, W, 3).

        Raises:
            ClickError, MapError, CalibrationError: it refuses a click, or all.
        """


def evaluate_pairs(
    locator: PairLocator, samples: Sequence[PairSample], progress: Callable[[int, int], None] | None = None
) -> list[Located]:
    """Locate all objects of all samples, samples of one tile in a row.

    Where the locator refuses one of several clicks, the others are asked alone; a refused one has no answer.

    Args:
        locator: whom to ask.
        samples: with names of their own.
        progress: called with samples done and their number.

    Returns:
        One record an object in the order of the samples: ``frame`` is the sample's name, ``truth`` clamped, ``error``
        and ``position_std`` NaN where the sample has no gsd, ``error`` infinite where there is no answer, latitude and
        longitude NaN.

    Raises:
        SceneError: an image that cannot be read.
        DatasetError: no samples, a click outside its query, or a box outside its tile.
        ClickError, MapError, CalibrationError: the locator's, where it refuses every object.
    """
    if not samples:
        raise DatasetError("no samples to evaluate on; the data set is empty")
    refusals: list[ValueError] = []
    found: dict[int, list[Located]] = {}
    shown: tuple[Path, RGB] | None = None
    for done, index in enumerate(sorted(range(len(samples)), key=lambda i: str(samples[i].tile))):
        sample = samples[index]
        if shown is None or shown[0] != sample.tile:
            shown = (sample.tile, read_image(sample.tile))
        query, tile = read_image(sample.query), shown[1]
        truths = [_truth(sample, item, query, tile) for item in sample.objects]
        asked = replace(sample, objects=tuple(replace(item, bbox=_HIDDEN) for item in sample.objects))
        started = perf_counter()
        answers = ask_apart(
            partial(_locate, locator, asked, query, tile), asked.objects, partial(_no_answer, tile), refusals
        )
        latency = perf_counter() - started
        found[index] = [
            _judge(sample, item, answer, truth, latency)
            for item, answer, truth in zip(sample.objects, answers, truths, strict=True)
        ]
        if progress is not None:
            progress(done + 1, len(samples))
    located = [item for index in range(len(samples)) for item in found[index]]
    if len(refusals) == len(located):
        raise refusals[-1]
    return located


def _truth(sample: PairSample, item: PairObject, query: RGB, tile: RGB) -> Box:
    """The true box, clamped."""
    where = f"{sample.name}: object {item.id}"
    height, width = query.shape[:2]
    if not (0 <= item.click[0] <= width and 0 <= item.click[1] <= height):
        raise DatasetError(f"{where}: click {item.click} is outside {sample.query} of {width} x {height} px")
    height, width = tile.shape[:2]
    u0, v0, u1, v1 = item.bbox
    if u1 < 0 or v1 < 0 or u0 > width or v0 > height:
        raise DatasetError(f"{where}: bbox {item.bbox} is outside {sample.tile} of {width} x {height} px")
    u0, u1 = (min(max(u, 0.0), width - 1.0) for u in (u0, u1))
    v0, v1 = (min(max(v, 0.0), height - 1.0) for v in (v0, v1))
    return u0, v0, u1, v1


def _locate(
    locator: PairLocator, sample: PairSample, query: RGB, tile: RGB, objects: Sequence[PairObject]
) -> list[Answer]:
    """Ask for some objects of a sample."""
    return locator.locate(replace(sample, objects=tuple(objects)), query, tile)


def _no_answer(tile: RGB, item: PairObject) -> Answer:
    return Answer.none(tile)


def _judge(sample: PairSample, item: PairObject, answer: Answer, truth: Box, latency: float) -> Located:
    u0, v0, u1, v1 = answer.bbox
    error = math.nan
    if sample.gsd is not None:
        off = math.hypot(u0 + u1 - truth[0] - truth[2], v0 + v1 - truth[1] - truth[3]) / 2 * sample.gsd
        error = off if u0 < u1 and v0 < v1 else math.inf
    return Located(
        frame=sample.name,
        id=item.id,
        bbox=answer.bbox,
        truth=truth,
        error=error,
        score=answer.score,
        position_std=math.nan if sample.gsd is None else answer.position_std,
        latitude=math.nan,
        longitude=math.nan,
        quality="A",
        latency=latency,
    )


@dataclass(frozen=True)
class DetGeoFigures:
    """Figures of DetGeo's protocol over a split; shares and means in 0..1.

    Attributes:
        samples: how many objects.
        acc_25, acc_50: share with an IoU strictly above 0.25 and 0.5.
        miou: mean IoU.
        acc_cell: DetGeo's cell accuracy.
        blind_acc_25, blind_acc_50, blind_miou: the first three by `location_blind_iou`: a diagnostic, no accuracy.
    """

    samples: int
    acc_25: float
    acc_50: float
    miou: float
    acc_cell: float
    blind_acc_25: float
    blind_acc_50: float
    blind_miou: float

    def to_dict(self) -> dict[str, float]:
        return asdict(self)


def detgeo_figures(located: Sequence[Located]) -> DetGeoFigures:
    """Figures of DetGeo's protocol of at least one object, for instance of one split."""
    boxes, truths = np.array([item.bbox for item in located]), np.array([item.truth for item in located])
    overlap, blind = iou(boxes, truths), location_blind_iou(boxes, truths)
    cells = [np.floor((box[:, :2] + box[:, 2:]) / 2 / DETGEO_CELL) for box in (boxes, truths)]
    return DetGeoFigures(
        samples=len(located),
        acc_25=float((overlap > 0.25).mean()),
        acc_50=float((overlap > 0.5).mean()),
        miou=float(overlap.mean()),
        acc_cell=float((cells[0] == cells[1]).all(1).mean()),
        blind_acc_25=float((blind > 0.25).mean()),
        blind_acc_50=float((blind > 0.5).mean()),
        blind_miou=float(blind.mean()),
    )


def location_blind_iou(boxes: ArrayLike, truths: ArrayLike, cell: float = SMGEO_CELL) -> NDArray[np.float64]:
    """IoU as SMGeo's released evaluation computes it: blind to where the box lies. A diagnostic, not an accuracy.

    That code compares the offset and size predicted at the predicted cell with those of the truth at the true cell and
    adds neither cell's own place, so that a box of the right size in the wrong corner of the tile scores 1. This is
    why the figures published for SMGeo (87.51 % at 0.25 on CVOGL_DroneAerial), if they come from it, do not compare
    with those of DetGeo's protocol.

    Args:
        boxes, truths: (N, 4) corner form, px; each is put down relative to the cell that its centre falls in.
        cell: side of a cell, px.

    Returns:
        (N,)
    """
    moved = []
    for corners in (boxes, truths):
        box = np.asarray(corners, np.float64).reshape(-1, 4)
        origin = np.floor((box[:, :2] + box[:, 2:]) / 2 / cell) * cell
        moved.append(box - np.tile(origin, 2))
    return iou(*moved)
