"""What a map file holds: extent, resolution, zooms, coverage and gaps, and whom to name."""

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import MaskFlags
from rasterio.errors import RasterioError

from ..errors import MapError
from ..geo import GeoTransform, TileStore, distance
from ..geo.geotiff import GeoTiffStore
from ..geo.mbtiles import MbtilesStore
from ..geo.mercator import TileRange
from ..geo.xyz import SUFFIXES, XyzStore

CELLS = 512
"""Longest side of the coverage raster."""
SPARSE = 64
"""The same for GeoTIFFs without overviews, of which every cell costs a block."""
LISTED = 20
"""Gaps that are told one by one, the largest."""


@dataclass(frozen=True)
class Zoom:
    """Tiles of a zoom, and how many there would be without gaps in the box around them."""

    zoom: int
    tiles: int
    expected: int


@dataclass(frozen=True)
class Gap:
    """A region without imagery: its box in tile pixels, and its share of the map."""

    box: tuple[float, float, float, float]
    bounds: tuple[float, float, float, float]
    share: float


@dataclass(frozen=True)
class Survey:
    """What a map holds.

    Attributes:
        kind: GeoTIFF, MBTiles or XYZ folder.
        bytes: of the file; of a folder its tiles at the highest zoom are counted, not weighed: 0.
        gsd: metres per pixel over ground, at the centre.
        bounds: west, south, east, north in degrees.
        area: of the box around it, square metres.
        zooms: of tiled maps, the highest first.
        overviews: of GeoTIFFs, their factors.
        coverage: (h, w) share of each cell of the box that has imagery, 0..1.
        exact: whether every tile was counted; else the coverage is sampled.
        gaps: the largest, largest first.
        attribution, licence: as the file tells them.
    """

    path: Path
    kind: str
    bytes: int
    size: tuple[int, int]
    gsd: float
    crs: str
    bounds: tuple[float, float, float, float]
    area: float
    zooms: tuple[Zoom, ...]
    overviews: tuple[int, ...]
    coverage: NDArray[np.float32]
    exact: bool
    gaps: tuple[Gap, ...]
    attribution: str
    licence: str

    @property
    def covered(self) -> float:
        """Share of the box that has imagery."""
        if self.zooms:
            return self.zooms[0].tiles / self.zooms[0].expected
        return float(self.coverage.mean())

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "path": str(self.path),
            "kind": self.kind,
            "bytes": self.bytes,
            "size": self.size,
            "gsd": self.gsd,
            "crs": self.crs,
            "bounds": self.bounds,
            "area_km2": self.area * 1e-6,
            "coverage": self.covered,
            "coverage_exact": self.exact,
            "zooms": [{"zoom": z.zoom, "tiles": z.tiles, "missing": z.expected - z.tiles} for z in self.zooms],
            "overviews": self.overviews,
            "gaps": [{"bounds": gap.bounds, "share": gap.share} for gap in self.gaps],
            "attribution": self.attribution,
            "licence": self.licence,
        }


def survey(store: TileStore) -> Survey:
    """Look a map over, without decoding more than a few of its tiles.

    Raises:
        MapError: the file is damaged.
    """
    assert store.path is not None
    centre = (store.width / 2, store.height / 2)
    south, west, north, east = store.transform.bounds(0, 0, store.width, store.height)
    middle = (south + north) / 2
    sides = distance([middle, west], [middle, east]), distance([south, west], [north, west])
    zooms: tuple[Zoom, ...] = ()
    overviews: tuple[int, ...] = ()
    metadata: dict[str, str] = {}
    exact = True
    if isinstance(store, GeoTiffStore):
        kind = "GeoTIFF"
        overviews, coverage, exact = _raster_coverage(store.path)
    elif isinstance(store, MbtilesStore | XyzStore):
        kind, metadata = ("MBTiles" if isinstance(store, MbtilesStore) else "XYZ folder"), store.metadata
        zooms, coverage = _counted(store) if isinstance(store, MbtilesStore) else _listed(store)
    else:
        raise MapError(f"{store.path}: no kind of map that can be looked over")
    return Survey(
        path=store.path,
        kind=kind,
        bytes=os.stat(store.path).st_size if store.path.is_file() else 0,
        size=(store.width, store.height),
        gsd=max(store.transform.gsd(centre)),
        crs=store.transform.crs.to_string(),
        bounds=(west, south, east, north),
        area=float(sides[0] * sides[1]),
        zooms=zooms,
        overviews=overviews,
        coverage=coverage,
        exact=exact,
        gaps=_gaps(coverage, store.transform, store.width, store.height),
        attribution=store.attribution,
        licence=metadata.get("license", metadata.get("licence", "")),
    )


def _bin(tiles: TileRange) -> int:
    """Tiles a side of a cell of the coverage raster."""
    return -(-max(tiles.x_max - tiles.x_min + 1, tiles.y_max - tiles.y_min + 1) // CELLS)


def _raster(tiles: TileRange, counts: list[tuple[int, int, int]]) -> NDArray[np.float32]:
    """Counts (column, row, tiles) of cells as shares of what each cell can hold."""
    side = _bin(tiles)
    columns, rows = tiles.x_max - tiles.x_min + 1, tiles.y_max - tiles.y_min + 1
    raster = np.zeros((-(-rows // side), -(-columns // side)), np.float32)
    for column, row, count in counts:
        raster[row, column] = count
    widths = np.minimum(side, columns - side * np.arange(raster.shape[1]))
    heights = np.minimum(side, rows - side * np.arange(raster.shape[0]))
    room = (heights[:, None] * widths[None]).astype(np.float32)
    return np.asarray(raster / room, np.float32)


def _counted(store: MbtilesStore) -> tuple[tuple[Zoom, ...], NDArray[np.float32]]:
    """From the file's index."""
    try:
        with closing(sqlite3.connect(f"{store.path.resolve().as_uri()}?mode=ro", uri=True)) as file:
            spans = file.execute(
                "SELECT zoom_level, count(*), min(tile_column), max(tile_column), min(tile_row), max(tile_row) "
                "FROM tiles GROUP BY zoom_level ORDER BY zoom_level DESC"
            ).fetchall()
            zooms = tuple(Zoom(z, n, (x1 - x0 + 1) * (r1 - r0 + 1)) for z, n, x0, x1, r0, r1 in spans)
            zoom, _, x0, x1, r0, r1 = spans[0]
            last = (1 << zoom) - 1
            tiles = TileRange(zoom, x0, x1, last - r1, last - r0)
            counts = file.execute(
                "SELECT (tile_column - ?) / ?, (? - tile_row) / ?, count(*) FROM tiles WHERE zoom_level = ? "
                "GROUP BY 1, 2",
                (x0, _bin(tiles), r1, _bin(tiles), zoom),
            ).fetchall()
    except sqlite3.Error as error:
        raise MapError(f"{store.path}: damaged ({error}); copy the file again") from error
    return zooms, _raster(tiles, counts)


def _listed(store: XyzStore) -> tuple[tuple[Zoom, ...], NDArray[np.float32]]:
    """From the folder's listing."""
    zooms: list[Zoom] = []
    raster = np.zeros((0, 0), np.float32)
    for zoom in sorted((int(name) for name in os.listdir(store.path) if name.isdecimal()), reverse=True):
        last, places = (1 << zoom) - 1, set()
        for column in (name for name in os.listdir(store.path / str(zoom)) if name.isdecimal()):
            for name in os.listdir(store.path / str(zoom) / column):
                stem, suffix = os.path.splitext(name)
                if stem.isdecimal() and suffix in SUFFIXES:
                    places.add((int(column), last - int(stem) if store.tms else int(stem)))
        if not places:
            continue
        array = np.array(sorted(places))
        (x0, y0), (x1, y1) = array.min(0).tolist(), array.max(0).tolist()
        zooms.append(Zoom(zoom, len(places), (x1 - x0 + 1) * (y1 - y0 + 1)))
        if len(zooms) == 1:
            tiles = TileRange(zoom, x0, x1, y0, y1)
            cells, counts = np.unique((array - [x0, y0]) // _bin(tiles), axis=0, return_counts=True)
            raster = _raster(tiles, [(*cell, n) for cell, n in zip(cells.tolist(), counts.tolist(), strict=True)])
    return tuple(zooms), raster


def _raster_coverage(path: Path) -> tuple[tuple[int, ...], NDArray[np.float32], bool]:
    """From the raster's mask, sampled."""
    try:
        with rasterio.open(path) as dataset:
            overviews = tuple(dataset.overviews(1))
            if all(MaskFlags.all_valid in flags for flags in dataset.mask_flag_enums):
                return overviews, np.ones((1, 1), np.float32), True
            longest = max(dataset.width, dataset.height)
            # An overview is quick to read; without any, every cell reads a block of its own.
            cells = min(CELLS if overviews or longest <= 16384 else SPARSE, longest)
            shape = tuple(max(round(side * cells / longest), 1) for side in (dataset.height, dataset.width))
            mask = dataset.dataset_mask(out_shape=shape)
    except RasterioError as error:
        raise MapError(f"{path}: damaged ({error}); copy the file again") from error
    return overviews, (np.asarray(mask) >= 128).astype(np.float32), False


def _gaps(coverage: NDArray[np.float32], transform: GeoTransform, width: int, height: int) -> tuple[Gap, ...]:
    """Connected cells that miss something, the largest first."""
    missing = (coverage < 1.0).astype(np.uint8)
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(missing, connectivity=8)
    lacking = np.bincount(labels.ravel(), weights=(1.0 - coverage).ravel(), minlength=count) / coverage.size
    scale = np.array([width / coverage.shape[1], height / coverage.shape[0]])
    found = []
    for label in np.argsort(-lacking)[: LISTED + 1]:
        if label == 0 or lacking[label] <= 0:
            continue
        left, top, w, h = boxes[label, :4].tolist()
        u0, v0, u1, v1 = (np.array([left, top, left + w, top + h]) * np.tile(scale, 2)).tolist()
        south, west, north, east = transform.bounds(u0, v0, min(u1, width), min(v1, height))
        found.append(Gap((u0, v0, u1, v1), (west, south, east, north), float(lacking[label])))
    return tuple(found[:LISTED])
