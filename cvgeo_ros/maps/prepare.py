"""Features of a map, computed once and kept beside it, so that the aircraft never encodes the map in the air."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..errors import MapError
from ..geo import TileStore
from ..geo.identity import features_path
from ..localizer import Localizer
from ..localizer.features import FeatureCache, Grid
from ..localizer.store import FeatureStore, StoredLevel, StoreHeader
from ..localizer.store_writer import FeatureWriter

ZOOMS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
"""Grids that are prepared, as `Placer.grid` counts them: 1 for frames, 2 for searches, the others for far views. Each
takes a quarter of the one before."""
Bounds = tuple[float, float, float, float]
"""West, south, east, north in degrees."""


@dataclass(frozen=True)
class Plan:
    """What is to be prepared.

    Attributes:
        path: of the file.
        header: with its levels.
        grids: one a level.
    """

    path: Path
    header: StoreHeader
    grids: tuple[Grid, ...]

    @property
    def bytes(self) -> int:
        """Size of the file, at most: blocks without imagery take no room."""
        return self.header.count * self.header.block_bytes


@dataclass(frozen=True)
class Done:
    """What came of it.

    Attributes:
        plan: what was asked for.
        reason: why anything was computed: "", where all was there already.
        encoded: blocks computed now.
        kept: blocks of an earlier run that was stopped.
    """

    plan: Plan
    reason: str
    encoded: int
    kept: int


def plan(localizer: Localizer, tile: TileStore, bounds: Bounds | None = None) -> Plan:
    """What preparing a map, or the part of it within bounds, takes.

    Raises:
        MapError: the bounds lie outside the map, or the map is no file.
    """
    if tile.path is None:
        raise MapError(f"{tile.tile_id}: no file beside which features could be kept")
    area = (0.0, 0.0, float(tile.width), float(tile.height)) if bounds is None else _pixels(tile, bounds)
    grids = tuple(Grid.matched(tile, localizer.model.config.gsd, zoom) for zoom in ZOOMS)
    header = StoreHeader.of(localizer.model, tile)
    levels = tuple(_level(grid, area) for grid in grids)
    path = features_path(tile.path, localizer.model.config.name)
    return Plan(path, replace(header, levels=levels), grids)


def prepare(
    localizer: Localizer,
    tile: TileStore,
    bounds: Bounds | None = None,
    progress: Callable[[int, int], None] | None = None,
    force: bool = False,
) -> Done:
    """Compute the features of a map and keep them beside it; one that was stopped is gone on with.

    Args:
        localizer: with the model; its tile is left alone.
        tile: the map.
        bounds: the part to prepare; None: all.
        progress: called with blocks done and their number.
        force: compute them anew although they are there.

    Raises:
        MapError: as `plan`; no room on the disk; another process prepares the same.
    """
    wanted = plan(localizer, tile, bounds)
    reason = "asked for" if force else state(wanted)
    if not reason:
        return Done(wanted, "", 0, wanted.header.count)
    cache = FeatureCache(localizer.model, tile, 0)
    with FeatureWriter(wanted.path, wanted.header) as writer:
        kept = writer.done
        missing = wanted.bytes - kept * wanted.header.block_bytes
        free = shutil.disk_usage(wanted.path.parent).free
        if missing > free:
            raise MapError(
                f"{wanted.path}: {missing >> 20} MiB are needed, {free >> 20} MiB are free; prepare a part with --bbox"
            )
        done = 0
        for grid, level in zip(wanted.grids, wanted.header.levels, strict=True):
            i0, j0, i1, j1 = level.blocks
            for j in range(j0, j1):
                for i in range(i0, i1):
                    if not writer.has(grid, i, j):
                        match, context, gated, void = (part.cpu().numpy() for part in cache.encode(grid, i, j))
                        writer.put(grid, i, j, (match, context, gated, void))
                    done += 1
                    if progress is not None:
                        progress(done, wanted.header.count)
        writer.finish()
    return Done(wanted, reason, wanted.header.count - kept, kept)


def state(wanted: Plan, verify: bool = True) -> str:
    """Why features have to be computed; empty: they are there. `verify` reads them all to find damage."""
    if not wanted.path.exists():
        return "there were none"
    try:
        store = FeatureStore(wanted.path)
    except MapError:
        return "they were damaged"
    try:
        if reason := store.header.stale(wanted.header):
            return reason
        if store.header.levels != wanted.header.levels:
            return "they covered another area"
        return "they were damaged" if verify and store.verify() else ""
    finally:
        store.close()


def _level(grid: Grid, area: tuple[float, float, float, float]) -> StoredLevel:
    """The blocks of a grid that touch an area of tile pixels."""
    corners = grid.from_tile(np.array(area, np.float64).reshape(2, 2))
    first = np.floor(corners[0] / FeatureCache.block).astype(int)
    # Rounding must not add a row of blocks beyond the grid.
    end = np.ceil(np.minimum(corners[1], grid.cells) / FeatureCache.block - 1e-6).astype(int)
    i0, j0, i1, j1 = (int(value) for value in (*first, *np.maximum(end, first + 1)))
    return StoredLevel(grid.gsd, grid.cells, (i0, j0, i1, j1))


def _pixels(tile: TileStore, bounds: Bounds) -> tuple[float, float, float, float]:
    """The upright box of tile pixels around bounds, clipped to the tile."""
    west, south, east, north = bounds
    corners = [[lat, lon] for lat in (south, (south + north) / 2, north) for lon in (west, (west + east) / 2, east)]
    pixels = tile.transform.geodetic_to_pixel(corners)
    u0, v0 = pixels.min(axis=0).clip(0.0)
    u1, v1 = pixels.max(axis=0).clip(None, [tile.width, tile.height])
    if not (u0 < u1 and v0 < v1):
        raise MapError(f"{tile.tile_id}: the area {west}, {south}, {east}, {north} lies outside the map")
    return float(u0), float(v0), float(u1), float(v1)
