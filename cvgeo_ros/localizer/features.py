"""Features of a tile: encoded block by block when first needed, kept in bounded memory, served as windows."""

import logging
import math
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import MapError
from ..geo import TileStore
from ..net import STRIDE, CrossViewLocator, TileFeatures
from ..net.consensus import Correlator


@dataclass(frozen=True)
class Grid:
    """The tile resampled for matching: its own axes, square pixels on the ground, one feature cell per 8 x 8 of them.

    Attributes:
        gsd: metres over ground per raster pixel.
        scale: (2,) tile pixels per raster pixel along u and v.
        cells: (columns, rows) of the whole tile.
    """

    gsd: float
    scale: tuple[float, float]
    cells: tuple[int, int]

    @classmethod
    def of(cls, tile: TileStore, gsd: float) -> "Grid":
        """Grid of a tile at `gsd`, taken at the tile's centre."""
        along_u, along_v = tile.transform.gsd((tile.width / 2, tile.height / 2))
        scale = (gsd / along_u, gsd / along_v)
        size = (tile.width / scale[0] / STRIDE, tile.height / scale[1] / STRIDE)
        # Rounding must not add a column of cells that holds nothing.
        return cls(gsd, scale, (math.ceil(size[0] - 1e-3), math.ceil(size[1] - 1e-3)))

    @classmethod
    def matched(cls, tile: TileStore, gsd: float, zoom: float = 1.0) -> "Grid":
        """Grid at the network's own `gsd`, or the tile's if that is coarser, times `zoom`."""
        native = max(tile.transform.gsd((tile.width / 2, tile.height / 2)))
        return cls.of(tile, max(native, gsd) * zoom)

    def to_tile(self, cells: NDArray[np.float64]) -> NDArray[np.float64]:
        """Cells (..., 2) (x, y) to tile pixels (u, v)."""
        return cells * STRIDE * np.asarray(self.scale)

    def from_tile(self, pixels: NDArray[np.float64]) -> NDArray[np.float64]:
        """Tile pixels (..., 2) (u, v) to cells (x, y)."""
        return pixels / (STRIDE * np.asarray(self.scale))


@dataclass(frozen=True)
class Window:
    """Features of a rectangle of cells.

    Attributes:
        origin: (x, y) cell of the tile at the window's top-left corner.
        features: (1, ., h, w) each.
        void: (1, h, w) bool, cells without imagery.
    """

    origin: tuple[int, int]
    features: TileFeatures
    void: Tensor

    _correlators: dict[int, Correlator] = field(default_factory=dict)

    def correlator(self, side: int) -> Correlator:
        """For frames of up to `side` cells a side; kept, one for every 16 cells more."""
        reach = -(-side // 16) * 16
        if reach not in self._correlators:
            self._correlators[reach] = Correlator(self.features.match, (reach, reach))
        return self._correlators[reach]


Block = tuple[Tensor, Tensor, Tensor, Tensor]
"""match, context and gated (channels, block, block), void (block, block)."""
log = logging.getLogger(__name__)


class Prepared(Protocol):
    """Features that were computed before, see `store`."""

    def read(
        self, grid: Grid, i: int, j: int
    ) -> tuple[NDArray[np.float16], NDArray[np.float16], NDArray[np.float16], NDArray[np.bool_]] | None:
        """A block; None where there is none, MapError where it is damaged."""

    def close(self) -> None: ...


class FeatureCache:
    """Feature blocks of one tile at any number of grids, least recently used first out."""

    block = 64
    """Cells a side."""
    halo = 8
    """Cells encoded around a block and cut off, so that blocks join without seams."""
    windows = 2
    """Windows kept in one piece besides the blocks."""

    def __init__(self, model: CrossViewLocator, tile: TileStore, limit: int, prepared: Prepared | None = None) -> None:
        """`limit`: bytes kept; `prepared`: where blocks are looked up before they are encoded, closed by `close`."""
        self.model, self.tile, self.limit, self.prepared = model, tile, limit, prepared
        self.device = next(model.parameters()).device
        self.bytes = 0
        self.encoded = 0
        """Blocks that had to be encoded so far."""
        self._blocks: OrderedDict[tuple[float, int, int], Block] = OrderedDict()
        self._windows: OrderedDict[object, Window] = OrderedDict()
        """The last ones: frames in a row look at the same place, and at its surroundings."""
        # Half precision halves the memory; descriptors are unit vectors, so nothing overflows.
        self._kind = torch.float16

    @property
    def bytes_per_cell(self) -> int:
        config = self.model.config
        return 2 * (config.match_dim + config.context_dim + self.model.fusion.gated) + 1

    def window(self, grid: Grid, x0: int, y0: int, x1: int, y1: int) -> Window:
        """Features of the cells [x0, x1) x [y0, y1), clipped to the tile.

        Raises:
            MapError: the window is empty, shows nothing, or is larger than the cache may hold.
        """
        x0, y0 = max(x0, 0), max(y0, 0)
        x1, y1 = min(x1, grid.cells[0]), min(y1, grid.cells[1])
        if x1 <= x0 or y1 <= y0:
            raise MapError(f"{self.tile.tile_id}: the search window lies outside the map; check the position prior")
        needed = (x1 - x0) * (y1 - y0) * self.bytes_per_cell
        if needed > self.limit:
            cell = STRIDE * grid.gsd
            raise MapError(
                f"{self.tile.tile_id}: searching {(x1 - x0) * cell:.0f} by {(y1 - y0) * cell:.0f} m needs "
                f"{needed >> 20} MiB of features, {self.limit >> 20} MiB are allowed; give a position prior, "
                "a smaller map or a larger cache"
            )
        key = (grid, x0, y0, x1, y1)
        if key in self._windows:
            self._windows.move_to_end(key)
            return self._windows[key]
        parts: tuple[list[list[Tensor]], ...] = ([], [], [], [])
        for j in range(y0 // self.block, -(-y1 // self.block)):
            rows: tuple[list[Tensor], ...] = ([], [], [], [])
            for i in range(x0 // self.block, -(-x1 // self.block)):
                top, left = max(y0 - j * self.block, 0), max(x0 - i * self.block, 0)
                bottom, right = min(y1 - j * self.block, self.block), min(x1 - i * self.block, self.block)
                for row, value in zip(rows, self._get(grid, i, j), strict=True):
                    row.append(value[..., top:bottom, left:right])
            for part, row in zip(parts, rows, strict=True):
                part.append(row)
        match, context, gated, void = (torch.cat([torch.cat(row, -1) for row in part], -2)[None] for part in parts)
        if bool(void.all()):
            raise MapError(f"{self.tile.tile_id}: the map shows nothing there; load one that covers the place")
        features = TileFeatures(match.float(), context.float(), gated.float())
        window = Window((x0, y0), features, void)
        self._windows[key] = window
        if len(self._windows) > self.windows:
            self._windows.popitem(last=False)
        return window

    def blocks(self, grid: Grid) -> Iterator[tuple[int, int]]:
        """Block indices of the whole tile."""
        for j in range(-(-grid.cells[1] // self.block)):
            for i in range(-(-grid.cells[0] // self.block)):
                yield i, j

    def fill(self, grid: Grid, i: int, j: int) -> None:
        """Encode one block now, if it is not there."""
        self._get(grid, i, j)

    def close(self) -> None:
        """Release the prepared features."""
        if self.prepared is not None:
            self.prepared.close()
        self.prepared = None

    def _get(self, grid: Grid, i: int, j: int) -> Block:
        key = (grid.gsd, i, j)
        if key in self._blocks:
            self._blocks.move_to_end(key)
            return self._blocks[key]
        block = self._look_up(grid, i, j)
        if block is None:
            self.encoded += 1
            block = self.encode(grid, i, j)
        self._blocks[key] = block
        self.bytes += sum(t.nbytes for t in block)
        while self.bytes > self.limit and len(self._blocks) > 1:
            _, old = self._blocks.popitem(last=False)
            self.bytes -= sum(t.nbytes for t in old)
        return block

    def _look_up(self, grid: Grid, i: int, j: int) -> Block | None:
        if self.prepared is None:
            return None
        try:
            found = self.prepared.read(grid, i, j)
        except MapError as error:
            # On the ground it would be refused; in the air an answer some tenths of a second later beats none.
            log.warning("%s; it is encoded now instead", error)
            return None
        if found is None:
            return None
        match, context, gated, void = (torch.from_numpy(part).to(self.device) for part in found)
        return match, context, gated, void

    @torch.inference_mode()
    def encode(self, grid: Grid, i: int, j: int) -> Block:
        """A block from the map's pixels."""
        side = self.block + 2 * self.halo
        first = np.array([i, j], np.float64) * self.block - self.halo
        (u0, v0), (u1, v1) = grid.to_tile(first), grid.to_tile(first + side)
        image, valid = self.tile.read(float(u0), float(v0), float(u1), float(v1), (side * STRIDE, side * STRIDE))
        inner = slice(self.halo, self.halo + self.block)
        shown = valid.reshape(side, STRIDE, side, STRIDE).mean((1, 3)) > 0.5
        void = torch.from_numpy(~shown[inner, inner]).to(self.device)
        if bool(void.all()):
            c = self.model.config
            size = (self.block, self.block)
            empty = [
                torch.zeros(d, *size, dtype=self._kind) for d in (c.match_dim, c.context_dim, self.model.fusion.gated)
            ]
            return empty[0].to(self.device), empty[1].to(self.device), empty[2].to(self.device), void
        pixels = to_tensor(image, valid, self.device)
        features, _ = self.model.encode_tile(pixels, torch.tensor([grid.gsd], device=self.device))
        match, context, gated = (
            f[0, :, inner, inner].to(self._kind).contiguous()
            for f in (features.match, features.context, features.gated)
        )
        return match.masked_fill(void, 0), context, gated, void


def to_tensor(image: NDArray[np.uint8], valid: NDArray[np.bool_], device: torch.device) -> Tensor:
    """What the network takes of an image: (h, w, 3) uint8 -> (1, 3, h, w) in 0..1.

    Pixels that show nothing get the mean colour of those that do, so that their edge is no feature.
    """
    if valid.any() and not valid.all():
        image = image.copy()
        image[~valid] = image[valid].mean(0).astype(np.uint8)
    return torch.from_numpy(image).to(device).permute(2, 0, 1)[None].float() / 255
