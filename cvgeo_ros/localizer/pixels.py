"""Pixels of a tile at the scale it is searched at: read block by block when first looked at, in bounded memory."""

from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray

from ..geo import TileStore
from ..net import STRIDE
from .features import Grid

Pixels = tuple[NDArray[np.uint8], NDArray[np.bool_]]
"""RGB (h, w, 3), and (h, w) where it shows something."""


class TilePixels:
    """A tile's rasters, least recently used blocks first out."""

    block = 512
    """Raster pixels a side."""

    def __init__(self, tile: TileStore, blocks: int = 32) -> None:
        """`blocks`: kept at most, of 1 MiB each."""
        self.tile, self.limit = tile, blocks
        self._blocks: OrderedDict[tuple[Grid, int, int], Pixels] = OrderedDict()

    def around(self, grid: Grid, place: tuple[float, float], reach: int) -> tuple[Pixels, tuple[int, int]]:
        """The raster of a grid within `reach` pixels of a place on it, at least.

        Convention:
            Raster pixels (u, v), centres at .5, the origin at the tile's own.

        Returns:
            The pixels, and the raster pixel (u, v) that the first of them is.
        """
        u0, v0 = (int(np.floor(value)) - reach for value in place)
        side = 2 * reach + 1
        image, valid = np.zeros((side, side, 3), np.uint8), np.zeros((side, side), np.bool_)
        for j in range(v0 // self.block, (v0 + side - 1) // self.block + 1):
            for i in range(u0 // self.block, (u0 + side - 1) // self.block + 1):
                rgb, shown = self._get(grid, i, j)
                left, top = i * self.block, j * self.block
                columns = slice(max(u0, left), min(u0 + side, left + self.block))
                rows = slice(max(v0, top), min(v0 + side, top + self.block))
                there = slice(rows.start - v0, rows.stop - v0), slice(columns.start - u0, columns.stop - u0)
                here = slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left)
                image[there], valid[there] = rgb[here], shown[here]
        return (image, valid), (u0, v0)

    def _get(self, grid: Grid, i: int, j: int) -> Pixels:
        key = (grid, i, j)
        if key not in self._blocks:
            cells = np.array([[i, j], [i + 1, j + 1]], np.float64) * (self.block / STRIDE)
            (u0, v0), (u1, v1) = grid.to_tile(cells)
            shape = (self.block, self.block)
            self._blocks[key] = self.tile.read(float(u0), float(v0), float(u1), float(v1), shape)
            if len(self._blocks) > self.limit:
                self._blocks.popitem(last=False)
        self._blocks.move_to_end(key)
        return self._blocks[key]
