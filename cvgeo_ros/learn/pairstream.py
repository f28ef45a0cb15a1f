"""Training on pairs whose only known relation is a click and its box: CVOGL, or a folder of one's own.

Query and tile share neither scale nor heading, so there is no dense relation to learn from: the terms for dense
descriptors and for the consensus rest, clicks, boxes and scores are taught as in the papers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import IterableDataset, get_worker_info

from ..net import STRIDE
from . import augment
from .pairsets import PairSample
from .sources import read_rgb

DEFAULT_GSD = 0.3
"""What the network is told where a sample does not say."""


@dataclass(frozen=True)
class StreamConfig:
    """How pairs are shown.

    Attributes:
        query_size: (height, width) that queries are resized to, px; multiples of 8.
        tile_size: side of the piece of the tile around its objects, px; a multiple of 8.
        shrink: factor that tiles are resized by first.
        clicks: clicks a pair; objects are repeated where there are fewer.
    """

    query_size: tuple[int, int] = (256, 256)
    tile_size: int = 512
    shrink: float = 1.0
    clicks: int = 1

    def __post_init__(self) -> None:
        if any(side % STRIDE for side in (*self.query_size, self.tile_size)):
            raise ValueError(f"sizes {self.query_size}, {self.tile_size}: multiples of {STRIDE} are needed")


class PairStream(IterableDataset[dict[str, torch.Tensor]]):
    """Endless stream of samples, deterministic by seed and worker; the batches are what `losses.Objective` takes.

    The tile's piece is cut at random around an object, turned by right angles and mirrored, as DetGeo augments its
    satellite images; the query keeps its geometry, since the click belongs to it.
    """

    def __init__(self, samples: Sequence[PairSample], config: StreamConfig, seed: int) -> None:
        self.samples, self.config, self.seed = samples, config, seed

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        worker = get_worker_info()
        cv2.setNumThreads(1)
        rng = np.random.default_rng([self.seed, worker.id if worker else 0])
        while True:
            for index in rng.permutation(len(self.samples)):
                yield self.draw(self.samples[int(index)], rng)

    def draw(self, sample: PairSample, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        """One sample: keys and shapes as `Pairs.draw`, with `to_tile` and `cells` unknown (NaN), and its `view`."""
        c = self.config
        query, tile = read_rgb(sample.query), read_rgb(sample.tile, c.shrink)
        height, width = c.query_size
        factor = np.array([width / query.shape[1], height / query.shape[0]])
        query = np.asarray(cv2.resize(query, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        order = rng.permutation(len(sample.objects)).tolist()
        clicks = np.array([sample.objects[k].click for k in order]) * factor
        boxes = np.array([sample.objects[k].bbox for k in order]) * c.shrink
        piece, corner = _cut(tile, boxes[0], c.tile_size, rng)
        boxes = boxes - np.tile(corner, 2)
        piece, boxes = _turn(piece, boxes, rng)
        centres = (boxes[:, :2] + boxes[:, 2:]) / 2
        shown = ((centres > 0) & (centres < c.tile_size)).all(1)
        chosen = np.resize(np.flatnonzero(shown), c.clicks)
        cells = (height // STRIDE, width // STRIDE)
        gsd = (sample.gsd or DEFAULT_GSD * c.shrink) / c.shrink
        return {
            "query": torch.from_numpy(augment.photometric(query, rng)).permute(2, 0, 1),
            "tile": torch.from_numpy(augment.photometric(piece, rng)).permute(2, 0, 1),
            "gsd": torch.tensor(gsd, dtype=torch.float32),
            "view": torch.tensor(int(sample.view)),
            "mask": torch.ones(cells, dtype=torch.bool),
            "to_tile": torch.full((3, 3), torch.nan),
            "cells": torch.full((cells[0] * cells[1], 2), torch.nan),
            "lean": torch.zeros(c.clicks, 2),
            "clicks": torch.from_numpy(clicks[chosen]).float(),
            "targets": torch.from_numpy(centres[chosen]).float(),
            "boxes": torch.from_numpy(np.clip(boxes[chosen], 0, c.tile_size)).float(),
        }


def _cut(
    tile: NDArray[np.uint8], box: NDArray[np.float64], size: int, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """A square of the tile that holds the box, or its centre where it is too large; and its corner, tile px."""
    extent = np.array([tile.shape[1], tile.shape[0]])
    centre, half = (box[:2] + box[2:]) / 2, np.minimum((box[2:] - box[:2]) / 2, size / 2 - 1)
    low, high = centre + half - size, centre - half
    low, high = np.clip(low, 0, np.maximum(extent - size, 0)), np.clip(high, 0, np.maximum(extent - size, 0))
    corner = np.floor(rng.uniform(low, np.maximum(high, low) + 1e-6)).astype(int)
    part = tile[corner[1] : corner[1] + size, corner[0] : corner[0] + size]
    short = (size - part.shape[0], size - part.shape[1])
    if max(short) > 0:
        part = np.pad(part, ((0, short[0]), (0, short[1]), (0, 0)), mode="reflect" if max(short) < size / 2 else "edge")
    return part, corner.astype(np.float64)


def _turn(
    piece: NDArray[np.uint8], boxes: NDArray[np.float64], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Turn by right angles and mirror, with the boxes."""
    size = float(piece.shape[0])
    if rng.random() < 0.5:
        piece, boxes = piece[:, ::-1], np.c_[size - boxes[:, 2], boxes[:, 1], size - boxes[:, 0], boxes[:, 3]]
    for _ in range(int(rng.integers(4))):  # counter-clockwise: (u, v) -> (v, size - u)
        piece, boxes = np.rot90(piece), np.c_[boxes[:, 1], size - boxes[:, 2], boxes[:, 3], size - boxes[:, 0]]
    return np.ascontiguousarray(piece), boxes
