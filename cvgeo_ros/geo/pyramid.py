"""Blocks of a tile at several resolutions, decoded once, kept in a bounded cache, resampled to any window.

Convention:
    Level 0 is the tile's own pixel grid. Pixel (U, V) of a level is tile pixel (U * scale_u, V * scale_v) - offset, and
    block (column, row) of a level holds its pixels from (column, row) * block size on. Centres at .5 on every level.
"""

import itertools
import math
import threading
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from cvgeo_ros.errors import MapError
from cvgeo_ros.geo.resample import warp
from cvgeo_ros.geo.transform import GeoTransform

MAX_READ_PIXELS = 1 << 26


@dataclass(frozen=True)
class Block:
    """RGB uint8 (n, n, 3) and which pixels are valid, bool (n, n); None = all."""

    rgb: NDArray[np.uint8]
    valid: NDArray[np.bool_] | None = None

    @property
    def nbytes(self) -> int:
        return self.rgb.nbytes + (0 if self.valid is None else self.valid.nbytes)


@dataclass(frozen=True)
class Level:
    """One resolution: tile pixels per pixel, and the format's own name for it; None = built from the level before."""

    scale_u: float
    scale_v: float
    source: int | None


class BlockCache:
    """The most recently used blocks of any number of stores, up to a number of bytes; safe to share by threads."""

    def __init__(self, max_bytes: int) -> None:
        if max_bytes < 0:
            raise MapError(f"cache of {max_bytes} bytes: must be 0 or more")
        self.max_bytes = max_bytes
        self.nbytes = 0
        self._blocks: OrderedDict[tuple[int, int, int, int], Block | None] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._blocks)

    def get(self, key: tuple[int, int, int, int]) -> tuple[bool, Block | None]:
        """Whether the block is known, and the block; None is a known gap."""
        with self._lock:
            if key not in self._blocks:
                return False, None
            self._blocks.move_to_end(key)
            return True, self._blocks[key]

    def put(self, key: tuple[int, int, int, int], block: Block | None) -> None:
        with self._lock:
            self.nbytes += _cost(block) - (_cost(self._blocks.pop(key)) if key in self._blocks else 0)
            self._blocks[key] = block
            while self.nbytes > self.max_bytes:
                self.nbytes -= _cost(self._blocks.popitem(last=False)[1])

    def drop(self, owner: int) -> None:
        """Forget the blocks of one store."""
        with self._lock:
            for key in [key for key in self._blocks if key[0] == owner]:
                self.nbytes -= _cost(self._blocks.pop(key))


def _cost(block: Block | None) -> int:
    return 256 + (0 if block is None else block.nbytes)


class PyramidStore(ABC):
    """A `TileStore` over blocks; a format says which levels it has and decodes one block at a time.

    Resolutions between and above those of the format are built by averaging 2 x 2, block by block, and cached too, so
    that a map without overviews can be shown whole in bounded memory. Safe to share by threads.

    Args:
        levels: of the format, finest first; the first has scale 1.
        offset: the pixel of level 0 where the tile begins, when blocks count from elsewhere.
    """

    path: Path | None = None
    """The file or folder, where the map is one."""
    _owners = itertools.count()

    def __init__(
        self,
        tile_id: str,
        size: tuple[int, int],
        transform: GeoTransform,
        attribution: str,
        levels: Sequence[Level],
        block_size: int,
        offset: tuple[int, int],
        cache: BlockCache,
    ) -> None:
        self.tile_id = tile_id
        self.width, self.height = size
        self.transform = transform
        self.attribution = attribution
        self.cache = cache
        self._levels = list(levels)
        while max(self.width / self._levels[-1].scale_u, self.height / self._levels[-1].scale_v) > 1.0:
            last = self._levels[-1]
            self._levels.append(Level(2.0 * last.scale_u, 2.0 * last.scale_v, None))
        self._block_size = block_size
        self._offset = offset
        self._owner = next(self._owners)

    @abstractmethod
    def _decode(self, source: int, column: int, row: int) -> Block | None:
        """The block of one of the format's own levels, None where it has none; MapError where it is damaged."""

    def close(self) -> None:
        """Release the file and the cached blocks; the store cannot be read any more."""
        self.cache.drop(self._owner)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(
        self, u0: float, v0: float, u1: float, v1: float, shape: tuple[int, int]
    ) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """A window of the tile at any resolution.

        Shrinking averages over areas, magnifying is bilinear; whole pixels of a stored resolution are copied.
        Invalid pixels do not bleed into valid ones.

        Args:
            u0, v0, u1, v1: window in tile pixels, u0 < u1 and v0 < v1; may reach outside or lie outside altogether.
            shape: (h, w) to resample to.

        Returns:
            RGB uint8 (h, w, 3), 0 where invalid, and valid bool (h, w): at least half of the pixel is inside the tile
            and holds data.

        Raises:
            MapError: where the window is empty or not finite, the shape empty or too large, or the file damaged.
        """
        if not (all(map(math.isfinite, (u0, v0, u1, v1))) and u0 < u1 and v0 < v1):
            raise MapError(f"{self.tile_id}: window ({u0}, {v0}, {u1}, {v1}) is empty or not finite")
        height, width = shape
        if not (height > 0 and width > 0 and height * width <= MAX_READ_PIXELS):
            raise MapError(
                f"{self.tile_id}: cannot read {shape} (height, width) pixels; ask for 1 to {MAX_READ_PIXELS}"
            )
        step_u, step_v = (u1 - u0) / width, (v1 - v0) / height
        index = self._level_for(u0, v0, u1, v1, step_u, step_v)
        level = self._levels[index]
        left, top = (u0 + self._offset[0]) / level.scale_u, (v0 + self._offset[1]) / level.scale_v
        ratio_u, ratio_v = step_u / level.scale_u, step_v / level.scale_v
        u, v = round(left), round(top)
        error = max(abs(left - u), abs(top - v), abs(ratio_u - 1.0) * width, abs(ratio_v - 1.0) * height)
        if error < 1e-3:
            rgb, valid = self._gather(index, u, v, width, height)
        else:
            # A pixel more on each side, for the bilinear samples at the border; never more than the tile has.
            u_min, v_min, u_max, v_max = self._extent(level)
            u, v = max(math.floor(left) - 1, u_min), max(math.floor(top) - 1, v_min)
            columns = min(math.ceil(left + ratio_u * width) + 1, u_max) - u
            rows = min(math.ceil(top + ratio_v * height) + 1, v_max) - v
            if columns <= 0 or rows <= 0:
                return np.zeros((height, width, 3), dtype=np.uint8), np.zeros((height, width), dtype=bool)
            rgb, valid = self._gather(index, u, v, columns, rows)
            matrix = np.array([[ratio_u, 0.0, left - u], [0.0, ratio_v, top - v], [0.0, 0.0, 1.0]])
            samples_u = min(math.ceil(ratio_u - 1e-6), math.ceil(2 * columns / width))
            samples_v = min(math.ceil(ratio_v - 1e-6), math.ceil(2 * rows / height))
            rgb, coverage = warp(rgb, matrix, shape, (samples_u, samples_v), valid)
            valid = coverage >= 128
        rgb[~valid] = 0
        return rgb, valid

    def _extent(self, level: Level) -> tuple[int, int, int, int]:
        """The tile's place on a level's grid: u_min, v_min, u_max, v_max in whole pixels."""
        return (
            math.floor(self._offset[0] / level.scale_u),
            math.floor(self._offset[1] / level.scale_v),
            math.ceil((self.width + self._offset[0]) / level.scale_u),
            math.ceil((self.height + self._offset[1]) / level.scale_v),
        )

    def _level_for(self, u0: float, v0: float, u1: float, v1: float, step_u: float, step_v: float) -> int:
        """The coarsest level that still has a pixel for each one asked for, or a coarser one where that is too many."""
        inside = max(0.0, min(u1, self.width) - max(u0, 0.0)) * max(0.0, min(v1, self.height) - max(v0, 0.0))
        chosen = 0
        for index, level in enumerate(self._levels):
            fine_enough = level.scale_u <= step_u * (1 + 1e-6) and level.scale_v <= step_v * (1 + 1e-6)
            before = self._levels[index - 1]
            if fine_enough or (index and inside / (before.scale_u * before.scale_v) > MAX_READ_PIXELS):
                chosen = index
        return chosen

    def _gather(
        self, index: int, left: int, top: int, width: int, height: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """A window of whole pixels of one level."""
        n, level = self._block_size, self._levels[index]
        rgb = np.zeros((height, width, 3), dtype=np.uint8)
        valid = np.zeros((height, width), dtype=bool)
        u_min, v_min, u_max, v_max = self._extent(level)
        u_from, u_to = max(left, u_min), min(left + width, u_max)
        v_from, v_to = max(top, v_min), min(top + height, v_max)
        if u_from >= u_to or v_from >= v_to:
            return rgb, valid
        for row in range(v_from // n, (v_to - 1) // n + 1):
            for column in range(u_from // n, (u_to - 1) // n + 1):
                block = self._block(index, column, row)
                if block is None:
                    continue
                a, b = max(column * n, u_from), min((column + 1) * n, u_to)
                c, d = max(row * n, v_from), min((row + 1) * n, v_to)
                inner = (slice(c - row * n, d - row * n), slice(a - column * n, b - column * n))
                outer = (slice(c - top, d - top), slice(a - left, b - left))
                rgb[outer] = block.rgb[inner]
                valid[outer] = True if block.valid is None else block.valid[inner]
        return rgb, valid

    def _block(self, index: int, column: int, row: int) -> Block | None:
        key = (self._owner, index, column, row)
        known, block = self.cache.get(key)
        if not known:
            source = self._levels[index].source
            block = self._decode(source, column, row) if source is not None else self._build(index, column, row)
            self.cache.put(key, block)
        return block

    def _build(self, index: int, column: int, row: int) -> Block | None:
        """A block averaged from the four of the level before."""
        n = self._block_size
        rgb, valid = self._gather(index - 1, 2 * column * n, 2 * row * n, 2 * n, 2 * n)
        if not valid.any():
            return None
        if valid.all():
            # The mean of four, halves to even: rounding them up would brighten the map level by level.
            quads = rgb.reshape(n, 2, n, 2, 3)
            total = quads[:, 0, :, 0].astype(np.uint16) + quads[:, 0, :, 1] + quads[:, 1, :, 0] + quads[:, 1, :, 1]
            return Block(((total + 1 + (total >> 2 & 1)) >> 2).astype(np.uint8))
        rgb, coverage = warp(rgb, np.diag([2.0, 2.0, 1.0]), (n, n), (2, 2), valid)
        return Block(rgb, coverage >= 128)
