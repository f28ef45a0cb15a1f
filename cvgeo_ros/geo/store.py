"""Satellite or aerial maps behind one interface, whatever file they come from."""

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cvgeo_ros.errors import MapError
from cvgeo_ros.geo.geotiff import GeoTiffStore
from cvgeo_ros.geo.mbtiles import MbtilesStore
from cvgeo_ros.geo.pyramid import BlockCache
from cvgeo_ros.geo.transform import GeoTransform
from cvgeo_ros.geo.xyz import XyzStore


class TileStore(Protocol):
    """A georeferenced map that is read by windows; safe to share by threads.

    Attributes:
        tile_id: a name for people and messages, unique enough to tell maps apart.
        width, height: size in pixels of the finest resolution.
        transform: of those pixels.
        attribution: whom the map's licence asks to name; may be empty.
        path: the file or folder, None where the map is none.
    """

    tile_id: str
    width: int
    height: int
    transform: GeoTransform
    attribution: str

    @property
    def path(self) -> Path | None: ...

    def read(
        self, u0: float, v0: float, u1: float, v1: float, shape: tuple[int, int]
    ) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """RGB uint8 (h, w, 3) and valid bool (h, w) of a window in tile pixels; see `PyramidStore.read`."""

    def close(self) -> None:
        """Release the file and the memory."""


def open_store(path: str | Path, cache_bytes: int = 256 << 20, cache: BlockCache | None = None) -> TileStore:
    """Open a map: a GeoTIFF (or another raster of GDAL's), an .mbtiles file or a folder {z}/{x}/{y}.png|jpg|webp.

    Reads headers and indices only, so the size of the map does not matter.

    Args:
        cache_bytes: memory for decoded blocks.
        cache: share this cache with other stores instead.

    Raises:
        MapError: where there is no such file, or it is no map that can be used; the message says what to do.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise MapError(f"{path}: no such file or folder; give a GeoTIFF, an .mbtiles file or an XYZ folder")
    cache = BlockCache(cache_bytes) if cache is None else cache
    if path.is_dir():
        return XyzStore(path, cache)
    if path.suffix.lower() == ".mbtiles":
        return MbtilesStore(path, cache)
    return GeoTiffStore(path, cache)
