"""MBTiles 1.3: raster tiles in an SQLite file (github.com/mapbox/mbtiles-spec)."""

import re
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

from cvgeo_ros.errors import MapError
from cvgeo_ros.geo.mercator import TileRange, decode_tile, levels, to_block
from cvgeo_ros.geo.pyramid import Block, BlockCache, PyramidStore


class MbtilesStore(PyramidStore):
    """The highest zoom is the pixel grid, the lower zooms its overviews, gaps are invalid.

    Opening scans the index of the highest zoom, never the tiles. Rows count from the south in the file (TMS) and from
    the north here.

    Raises:
        MapError: where the file is no SQLite database, damaged, or without raster tiles.
    """

    path: Path

    def __init__(self, path: Path, cache: BlockCache) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        try:
            # SQLite would create a missing file; a URI opens it for reading alone.
            uri = f"{path.resolve().as_uri()}?mode=ro"
            self._connection = sqlite3.connect(uri, uri=True, check_same_thread=False)
            zooms, tiles = self._survey()
            self.metadata = self._metadata()
            self._check_format(self.metadata.get("format", ""))
            self._size = self._first_size(tiles.zoom)
        except MapError:
            self._disconnect()
            raise
        except (sqlite3.Error, TypeError) as error:
            self._disconnect()
            raise MapError(f"{path}: not an MBTiles file, or damaged ({error}); copy or make it again") from error
        size = self._size
        super().__init__(
            f"{path.resolve().parent.name}/{path.stem}",
            tiles.pixels(size),
            tiles.transform(size),
            re.sub(r"<[^>]*>", "", self.metadata.get("attribution", "")).strip(),
            levels(zooms),
            size,
            tiles.offset(size),
            cache,
        )

    def close(self) -> None:
        super().close()
        self._disconnect()

    def _disconnect(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def _rows(self, query: str, *values: int) -> list[tuple]:
        with self._lock:
            if self._connection is None:
                raise MapError(f"{self.path}: the store is closed; open it again")
            with closing(self._connection.execute(query, values)) as cursor:
                return cursor.fetchall()

    def _survey(self) -> tuple[list[int], TileRange]:
        """The zooms that have tiles and the extent of the highest, from the index alone."""
        zooms: list[int] = []
        below = 1 << 31
        while (found := self._rows("SELECT max(zoom_level) FROM tiles WHERE zoom_level < ?", below)[0][0]) is not None:
            below = found
            zooms.append(found)
        if not zooms:
            raise MapError(f"{self.path}: no tiles in it; was the download cut short?")
        x_min, x_max, row_min, row_max = self._rows(
            "SELECT min(tile_column), max(tile_column), min(tile_row), max(tile_row) FROM tiles WHERE zoom_level = ?",
            zooms[0],
        )[0]
        last = (1 << zooms[0]) - 1
        return zooms, TileRange(zooms[0], x_min, x_max, last - row_max, last - row_min)

    def _metadata(self) -> dict[str, str]:
        if not self._rows("SELECT 1 FROM sqlite_master WHERE name = 'metadata'"):
            return {}
        return {str(name): str(value) for name, value in self._rows("SELECT name, value FROM metadata")}

    def _check_format(self, name: str) -> None:
        if name in ("pbf", "mvt", "application/x-protobuf"):
            raise MapError(f"{self.path}: vector tiles ({name}); a map of satellite or aerial images is needed")

    def _first_size(self, zoom: int) -> int:
        data = self._rows("SELECT tile_data FROM tiles WHERE zoom_level = ? LIMIT 1", zoom)[0][0]
        return decode_tile(bytes(data), f"{self.path}: first tile of zoom {zoom}").shape[0]

    def _decode(self, source: int, column: int, row: int) -> Block | None:
        where = f"{self.path}: tile {source}/{column}/{row}"
        try:
            found = self._rows(
                "SELECT tile_data FROM tiles WHERE zoom_level = ? AND tile_column = ? AND tile_row = ?",
                source,
                column,
                (1 << source) - 1 - row,
            )
        except sqlite3.Error as error:
            raise MapError(f"{where}: damaged ({error}); copy the file again") from error
        if not found or found[0][0] is None:
            return None
        return to_block(decode_tile(bytes(found[0][0]), where), self._size, where)
