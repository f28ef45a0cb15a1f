"""Training pairs: a piece of a tile, a frame rectified onto it up to the priors' errors, clicks and boxes.

The relation of the two views is known, so every cell of the frame has its cell on the tile.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import IterableDataset

from ..geo import project
from . import augment
from .relation import Relation
from .sources import Outline, Source, read_outlines, read_rgb
from .warping import Homography, box_through, warp

Points = NDArray[np.float64]

KEPT_BYTES = 2 << 30
"""Memory for decoded images, in each process that draws pairs."""


@dataclass(frozen=True)
class PairConfig:
    """How pairs are drawn.

    Attributes:
        query_size, tile_size: sides of frame raster and tile piece, pixels.
        clicks: clicks per pair.
        extents: further objects of the tile whose boxes are taught, clicked or not.
        rotation: standard deviation of the heading's error, degrees.
        scale: standard deviation of the log of the height's error.
        perspective: largest displacement of a corner, share of the raster's side (tilt).
        gsd: range of the tile piece's ground sampling distance, metres per pixel.
    """

    query_size: int = 128
    tile_size: int = 320
    clicks: int = 8
    extents: int = 24
    rotation: float = 9.0
    scale: float = 0.10
    perspective: float = 0.06
    gsd: tuple[float, float] = (0.24, 0.66)


class Pairs(IterableDataset[dict[str, torch.Tensor]]):
    """Endless stream of pairs, deterministic by seed and worker."""

    def __init__(self, real: list[Source], rendered: list[Source], share: float, config: PairConfig, seed: int) -> None:
        """`share`: share of rendered pairs."""
        self.real, self.rendered, self.share, self.config, self.seed = real, rendered, share, config, seed
        self.images: dict[Path, NDArray[np.uint8]] = {}
        self.kept = 0
        self.outlines: dict[Path, list[Outline]] = {}

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        worker = torch.utils.data.get_worker_info()
        cv2.setNumThreads(1)
        rng = np.random.default_rng([self.seed, worker.id if worker else 0])
        weights = np.cumsum([s.weight for s in self.real])
        while True:
            if self.rendered and rng.random() < self.share:
                source = self.rendered[int(rng.integers(len(self.rendered)))]
            else:
                source = self.real[int(np.searchsorted(weights, rng.uniform(0, weights[-1])))]
            sample = self.draw(source, rng)
            if sample is not None:
                yield sample

    def _read(self, path: Path, shrink: float) -> NDArray[np.uint8]:
        """An image; decoded ones are kept while there is room, the oldest go first."""
        if path not in self.images:
            image = read_rgb(path, shrink)
            self.kept += image.nbytes
            self.images[path] = image
            while self.kept > KEPT_BYTES and len(self.images) > 1:
                self.kept -= self.images.pop(next(iter(self.images))).nbytes
        return self.images[path]

    def _outlines(self, path: Path) -> list[Outline]:
        if path not in self.outlines:
            self.outlines[path] = read_outlines(path)
        return self.outlines[path]

    def draw(self, source: Source, rng: np.random.Generator) -> dict[str, torch.Tensor] | None:
        """One pair from a source, or None where the draw shows too little."""
        c = self.config
        tile = self._read(source.tile, source.shrink)
        height, width = tile.shape[:2]
        gsd = float(np.exp(rng.uniform(np.log(c.gsd[0]), np.log(c.gsd[1]))))
        gsd = min(gsd, source.gsd * (min(height, width) - 2) / c.tile_size)
        side = c.tile_size * gsd / source.gsd
        if side < c.tile_size * 0.6:  # nothing to gain from enlarging
            return None
        own = not source.frames
        shown = None if own else source.frames[int(rng.integers(len(source.frames)))]
        to_tile = np.eye(3) if shown is None else shown.to_tile
        frame = tile if shown is None else self._read(shown.file, source.shrink)
        fh, fw = frame.shape[:2]

        # Where the frame raster looks, in tile px, and the tile piece around it.
        extent = np.array([width, height], np.float64)
        reach = c.query_size * gsd / source.gsd
        if own:
            looked = rng.uniform(np.minimum(reach / 2, extent / 2), np.maximum(extent - reach / 2, extent / 2))
        else:
            looked = project(to_tile, rng.uniform([0.25 * fw, 0.25 * fh], [0.75 * fw, 0.75 * fh])[None])[0]
            looked = np.clip(looked, 0, extent)
        slack = (side - reach * 0.7) / 2
        corner = looked - side / 2 + rng.uniform(-slack, slack, 2)
        corner = np.clip(corner, np.zeros(2), np.maximum(extent - side, 0))
        # Boxes of rendered objects are known as boxes only, so their tiles turn by right angles.
        turn = rng.integers(4) * np.pi / 2 if not own or rng.random() < 0.6 else rng.uniform(0, 2 * np.pi)
        piece = _piece_to_tile(corner, side, c.tile_size, float(turn))
        to_piece = np.linalg.inv(piece)

        centre = project(to_piece, looked[None])[0]
        raster = _raster_to_piece(centre, c, rng)  # raster px -> piece px
        raster_to_frame = np.linalg.inv(to_tile) @ piece @ raster
        corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float64) * c.query_size
        denominator = np.c_[corners, np.ones(4)] @ raster_to_frame[2]
        if (np.sign(denominator) != np.sign(denominator[0])).any():  # reaches the horizon
            return None

        shift = (
            augment.relief((c.query_size, c.query_size), rng, rng.uniform(0, 5)) if own and rng.random() < 0.6 else None
        )
        query = warp(frame, raster_to_frame, c.query_size, shift)
        visible = warp(np.ones((fh, fw), np.uint8), raster_to_frame, c.query_size)
        if visible.mean() < 0.35:
            return None
        image = warp(tile, piece, c.tile_size)
        query, image = self._disturb(query, rng, own), self._disturb(image, rng, own)
        query[visible == 0] = 127

        cells = c.query_size // 8
        mask = cv2.resize(visible.astype(np.float32), (cells, cells), interpolation=cv2.INTER_AREA) > 0.9
        if shown is None:
            relation = Relation(raster, shift=shift)
        else:
            relation = Relation(raster, raster_to_frame, to_piece, to_piece @ to_tile, np.load(shown.matches))
        clicks = {} if shown is None else shown.clicks
        objects = self._objects(source, clicks, to_tile, to_piece, np.linalg.inv(raster), rng)
        drawn = self._clicks(objects, relation, mask, rng)
        if drawn is None:
            return None
        points, places, boxes = drawn
        lean = np.zeros_like(points)
        if shown is not None:
            lean = (project(to_piece, shown.nadir[None]) - project(raster, points)) / shown.height
        v, u = np.mgrid[0:cells, 0:cells] * 8 + 4.0
        return {
            "query": torch.from_numpy(query).permute(2, 0, 1),
            "tile": torch.from_numpy(image).permute(2, 0, 1),
            "gsd": torch.tensor(gsd, dtype=torch.float32),
            "mask": torch.from_numpy(mask),
            "to_tile": torch.from_numpy(raster).float(),
            "cells": torch.from_numpy(relation(np.stack([u, v], -1).reshape(-1, 2))).float(),
            "lean": torch.from_numpy(lean).float(),
            "clicks": torch.from_numpy(points).float(),
            "targets": torch.from_numpy(places).float(),
            "boxes": torch.from_numpy(boxes).float(),
            "extents": torch.from_numpy(self._extents(source, to_piece, rng)).float(),
        }

    @staticmethod
    def _disturb(image: NDArray[np.uint8], rng: np.random.Generator, own: bool) -> NDArray[np.uint8]:
        if own and rng.random() < 0.4:
            image = augment.shadows(image, rng, rng.uniform(0.2, 0.7))
        if own and rng.random() < 0.5:
            image = augment.intruders(image, rng)
        # Rendered views differ in light and sensor already.
        return augment.photometric(image, rng) if own or rng.random() < 0.6 else image

    def _objects(
        self,
        source: Source,
        clicks: dict[int, tuple[float, float]],
        to_tile: Homography,
        to_piece: Homography,
        to_raster: Homography,
        rng: np.random.Generator,
    ) -> list[tuple[Points, Points, Points]]:
        """(click in raster px, its place in piece px, box in piece px) of each object, shown or not."""
        found: list[tuple[Points, Points, Points]] = []
        if source.mask is not None:
            outlines = self._outlines(source.mask)
            for number in rng.permutation(len(outlines))[:40]:
                contour, inner = outlines[number]
                place = project(to_piece, inner[int(rng.integers(len(inner)))][None])
                corners = project(to_piece, contour)
                found.append((project(to_raster, place)[0], place[0], np.r_[corners.min(0), corners.max(0)]))
        for number, click in clicks.items():
            box = box_through(to_piece, source.boxes[number])
            jitter = rng.normal(0, 0.12, 2) * np.minimum(box[2:] - box[:2], 40)
            on_piece = project(to_piece @ to_tile, np.array([click])) + jitter
            found.append((project(to_raster, on_piece)[0], (box[:2] + box[2:]) / 2 + jitter, box))
        return found

    def _extents(self, source: Source, to_piece: Homography, rng: np.random.Generator) -> Points:
        """(extents, 4) boxes in piece px of objects that lie wholly in the piece, filled up with NaN."""
        c = self.config
        if source.mask is not None:
            corners = [project(to_piece, contour) for contour, _ in self._outlines(source.mask)]
            boxes = np.array([np.r_[part.min(0), part.max(0)] for part in corners]).reshape(-1, 4)
        else:
            boxes = np.array([box_through(to_piece, box) for box in source.boxes]).reshape(-1, 4)
        inside = (boxes[:, :2] >= 0).all(1) & (boxes[:, 2:] <= c.tile_size).all(1)
        boxes = boxes[inside & (boxes[:, 2:] - boxes[:, :2] > 6).all(1)]
        found = np.full((c.extents, 4), np.nan)
        some = rng.permutation(len(boxes))[: c.extents]
        found[: len(some)] = boxes[some]
        return found

    def _clicks(
        self,
        objects: list[tuple[Points, Points, Points]],
        relation: Relation,
        mask: NDArray[np.bool_],
        rng: np.random.Generator,
    ) -> tuple[Points, Points, Points] | None:
        """Clicks in raster px, their places and boxes in piece px: objects first, then any points, with a NaN box."""
        c = self.config
        points, places, boxes = [], [], []
        for k in rng.permutation(len(objects)):
            point, place, box = objects[k]
            point = relation.shown_at(point)
            inside = (box[:2] > -8).all() and (box[2:] < c.tile_size + 8).all() and (box[2:] - box[:2] > 6).all()
            shown = (point >= 2).all() and (point < c.query_size - 2).all()
            if not (inside and shown and mask[int(point[1] / 8), int(point[0] / 8)]):
                continue
            points.append(point)
            places.append(place)
            boxes.append(np.clip(box, 0, c.tile_size))
            if len(points) >= c.clicks * 3 // 4:
                break
        for _ in range(200):
            if len(points) == c.clicks:
                return np.array(points), np.array(places), np.array(boxes)
            point = rng.uniform(4, c.query_size - 4, 2)
            place = relation(point[None])[0]
            if mask[int(point[1] / 8), int(point[0] / 8)] and (place > 4).all() and (place < c.tile_size - 4).all():
                points.append(point)
                places.append(place)
                boxes.append(np.full(4, np.nan))
        return None


def _piece_to_tile(corner: NDArray[np.float64], side: float, size: int, turn: float) -> Homography:
    """Piece px -> tile px: a square of `side` tile pixels, turned about its centre."""
    scale = side / size
    cosine, sine = np.cos(turn) * scale, np.sin(turn) * scale
    middle = corner + side / 2
    rotation = np.array([[cosine, -sine], [sine, cosine]])
    return np.vstack([np.c_[rotation, middle - rotation @ np.full(2, size / 2)], [0, 0, 1]])


def _raster_to_piece(centre: NDArray[np.float64], config: PairConfig, rng: np.random.Generator) -> Homography:
    """Raster px -> piece px with the errors of the priors: heading, height, tilt."""
    angle = np.radians(np.clip(rng.normal(0, config.rotation), -28, 28))
    scale = np.exp(np.clip(rng.normal(0, config.scale), -0.3, 0.3))
    half = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], np.float64) * config.query_size / 2 * scale
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    tilt = rng.uniform(0, config.perspective)
    corners = half @ rotation.T + centre + rng.uniform(-tilt, tilt, (4, 2)) * config.query_size
    raster = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32) * config.query_size
    return cv2.getPerspectiveTransform(raster, corners.astype(np.float32)).astype(np.float64)
