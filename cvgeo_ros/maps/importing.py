"""Maps of other kinds as MBTiles: GeoTIFFs are warped, XYZ folders and MBTiles copied tile by tile and checked."""

import math
import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import mercantile
import numpy as np
import rasterio
from rasterio.enums import ColorInterp, Resampling
from rasterio.errors import RasterioError
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from ..errors import MapError
from ..geo import TileStore, open_store
from ..geo.geotiff import GeoTiffStore, colour_bands
from ..geo.mbtiles import MbtilesStore
from ..geo.mbtiles_writer import MbtilesWriter
from ..geo.xyz import SUFFIXES, XyzStore
from .overviews import COMMIT_EVERY, encode
from .tiles import MAX_LATITUDE, Area, Bounds, RefusedError, check_tile

TILE = 256
STRIP = 8
"""Tiles a side that are warped at once."""
COARSER = 0.15
"""Of a zoom: by how much tiles may be coarser than the raster; else they are finer."""


@dataclass
class Imported:
    """What came of an import.

    Attributes:
        total: tiles looked at, as far as known.
        tiles: put into the map.
        empty: without imagery.
        refused: damaged ones, by reason.
    """

    total: int = 0
    tiles: int = 0
    empty: int = 0
    refused: Counter[str] = field(default_factory=Counter)

    @property
    def done(self) -> int:
        return self.tiles + self.empty + self.refused.total()


def import_map(
    source: Path,
    writer: MbtilesWriter,
    bounds: Bounds | None = None,
    zooms: tuple[int, ...] | None = None,
    progress: Callable[[Imported], None] | None = None,
) -> Imported:
    """Put a map, or the part of it within bounds, into a new one.

    Args:
        source: GeoTIFF (warped to EPSG:3857, to the highest of `zooms` or that of its own resolution), XYZ folder or
            MBTiles file (their tiles as they are, all zooms or those given).
        progress: called after every tile.

    Raises:
        MapError: the source cannot be read, or has nothing there.
    """
    with closing(open_store(source)) as store:
        if isinstance(store, GeoTiffStore):
            return _warp(store, writer, bounds, None if zooms is None else max(zooms), progress)
        if isinstance(store, XyzStore):
            return _copy(_xyz_tiles(store), writer, bounds, zooms, progress)
        assert isinstance(store, MbtilesStore)
        return _copy(_mbtiles_tiles(store), writer, bounds, zooms, progress)


def facts_of(source: Path) -> dict[str, str]:
    """Name, attribution and licence of a map, those that it tells."""
    with closing(open_store(source)) as store:
        metadata = store.metadata if isinstance(store, MbtilesStore | XyzStore) else {}
        told = {name: metadata.get(name, "") for name in ("name", "description", "attribution", "license")}
        told["attribution"] = told["attribution"] or store.attribution
    return {name: value for name, value in told.items() if value}


def native_zoom(store: TileStore) -> int:
    """The zoom whose pixels are about as fine as a map's own."""
    centre = (store.width / 2, store.height / 2)
    latitude = float(store.transform.pixel_to_geodetic(centre)[0])
    world = mercantile.xy_bounds(0, 0, 0)
    ground = (world.right - world.left) * math.cos(math.radians(latitude)) / TILE
    return max(math.ceil(math.log2(ground / min(store.transform.gsd(centre))) - COARSER), 0)


def _copy(
    tiles: Iterator[tuple[int, int, int, bytes]],
    writer: MbtilesWriter,
    bounds: Bounds | None,
    zooms: tuple[int, ...] | None,
    progress: Callable[[Imported], None] | None,
) -> Imported:
    done, size = Imported(), None
    areas: dict[int, Area] = {}
    for zoom, x, y, data in tiles:
        if zooms is not None and zoom not in zooms:
            continue
        if bounds is not None and not areas.setdefault(zoom, Area(bounds, (zoom,))).holds(zoom, x, y):
            continue
        try:
            size = check_tile(data, size)
        except RefusedError as error:
            done.refused[str(error)] += 1
        else:
            writer.put(zoom, x, y, data)
            done.tiles += 1
        if done.done % COMMIT_EVERY == 0:
            writer.commit()
        if progress is not None:
            progress(done)
    return done


def _xyz_tiles(store: XyzStore) -> Iterator[tuple[int, int, int, bytes]]:
    for zoom in sorted((int(name) for name in os.listdir(store.path) if name.isdecimal()), reverse=True):
        last = (1 << zoom) - 1
        for folder in sorted((store.path / str(zoom)).iterdir()):
            if not (folder.name.isdecimal() and folder.is_dir()):
                continue
            for file in sorted(folder.iterdir()):
                if file.stem.isdecimal() and file.suffix in SUFFIXES:
                    y = int(file.stem)
                    yield zoom, int(folder.name), last - y if store.tms else y, file.read_bytes()


def _mbtiles_tiles(store: MbtilesStore) -> Iterator[tuple[int, int, int, bytes]]:
    query = "SELECT zoom_level, tile_column, tile_row, tile_data FROM tiles ORDER BY zoom_level DESC"
    try:
        with closing(sqlite3.connect(f"{store.path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            for zoom, x, row, data in connection.execute(query):
                yield zoom, x, (1 << zoom) - 1 - row, bytes(data or b"")
    except sqlite3.Error as error:
        raise MapError(f"{store.path}: damaged ({error}); copy the file again") from error


def _warp(
    store: GeoTiffStore,
    writer: MbtilesWriter,
    bounds: Bounds | None,
    zoom: int | None,
    progress: Callable[[Imported], None] | None,
) -> Imported:
    zoom = native_zoom(store) if zoom is None else zoom
    south, west, north, east = store.transform.bounds(0, 0, store.width, store.height)
    if west >= east:
        raise MapError(f"{store.path}: crosses the antimeridian; cut it there first (gdalwarp -te)")
    extent = (west, max(south, -MAX_LATITUDE), east, min(north, MAX_LATITUDE))
    if bounds is not None:
        extent = (*map(max, extent[:2], bounds[:2]), *map(min, extent[2:], bounds[2:]))  # type: ignore[assignment]
    if not (extent[0] < extent[2] and extent[1] < extent[3]):
        raise MapError(f"{store.path}: nothing of it lies within the area asked for")
    tiles = Area(extent, (zoom,)).at(zoom)
    width, height = tiles.pixels(TILE)
    transform = tiles.transform(TILE)
    done = Imported(total=width * height // TILE**2)
    try:
        with rasterio.open(store.path) as dataset:
            bands = colour_bands(dataset)
            alpha = ColorInterp.alpha in dataset.colorinterp
            options = {} if alpha else {"add_alpha": True}
            with WarpedVRT(
                dataset,
                crs=transform.crs,
                transform=transform.affine,
                width=width,
                height=height,
                resampling=Resampling.bilinear,
                **options,
            ) as warped:
                opacity = dataset.colorinterp.index(ColorInterp.alpha) + 1 if alpha else warped.count
                for v in range(0, height, STRIP * TILE):
                    for u in range(0, width, STRIP * TILE):
                        window = Window(u, v, min(STRIP * TILE, width - u), min(STRIP * TILE, height - v))
                        rgba = warped.read([*bands, opacity], window=window).transpose(1, 2, 0)
                        _put(rgba, writer, zoom, tiles.x_min + u // TILE, tiles.y_min + v // TILE, done)
                        writer.commit()
                        if progress is not None:
                            progress(done)
    except RasterioError as error:
        raise MapError(f"{store.path}: cannot be warped ({error}); copy the file again, or mend it") from error
    return done


def _put(rgba: np.ndarray, writer: MbtilesWriter, zoom: int, x0: int, y0: int, done: Imported) -> None:
    for row in range(rgba.shape[0] // TILE):
        for column in range(rgba.shape[1] // TILE):
            tile = rgba[row * TILE : (row + 1) * TILE, column * TILE : (column + 1) * TILE]
            if (tile[..., 3] >= 128).any():
                writer.put(zoom, x0 + column, y0 + row, encode(np.ascontiguousarray(tile)))
                done.tiles += 1
            else:
                done.empty += 1
