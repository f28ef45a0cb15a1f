"""Writing MBTiles 1.3: tiles go into `<path>.part`, which takes its name when the map is whole."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Self

import mercantile

from cvgeo_ros.errors import MapError
from cvgeo_ros.geo.mercator import TileRange

SCHEMA = """
CREATE TABLE IF NOT EXISTS metadata (name text PRIMARY KEY, value text);
CREATE TABLE IF NOT EXISTS tiles (zoom_level integer, tile_column integer, tile_row integer, tile_data blob);
CREATE UNIQUE INDEX IF NOT EXISTS tile_index ON tiles (zoom_level, tile_column, tile_row);
CREATE TABLE IF NOT EXISTS work (name text PRIMARY KEY, value text);
CREATE TABLE IF NOT EXISTS absent (zoom integer, x integer, y integer, PRIMARY KEY (zoom, x, y)) WITHOUT ROWID;
"""
SUFFIX = ".part"


class MbtilesWriter:
    """Fills a new MBTiles file; one that was left unfinished is gone on with where `request` is the same.

    Rows count from the north here and from the south in the file. A killed process loses what was put since `commit`.

    Args:
        path: of the finished file.
        request: what the unfinished file is of; None: begin anew.

    Raises:
        MapError: there is such a file already, or the unfinished one is of another request or in use.
    """

    def __init__(self, path: Path, request: str | None = None) -> None:
        self.path, self.part = path, path.with_name(path.name + SUFFIX)
        if path.exists():
            raise MapError(f"{path}: is there already; remove it or choose another name")
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._connection = sqlite3.connect(self.part, timeout=0.5, isolation_level=None)
            self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.execute("BEGIN EXCLUSIVE")
            for statement in filter(None, map(str.strip, SCHEMA.split(";"))):
                self._connection.execute(statement)
            self._take_over(request)
            self.commit()
        except sqlite3.OperationalError as error:
            self._connection.close()
            raise MapError(f"{self.part}: cannot be written ({error}); is another process writing it?") from error
        except sqlite3.DatabaseError as error:
            self._connection.close()
            raise MapError(f"{self.part}: damaged ({error}); remove it to begin anew") from error
        except MapError:
            self._connection.close()
            raise

    def _take_over(self, request: str | None) -> None:
        former = self.work("request")
        if request is None:
            for table in ("tiles", "absent", "work", "metadata"):
                self._connection.execute(f"DELETE FROM {table}")
        elif former is not None and former != request:
            raise MapError(
                f"{self.part}: was begun with other arguments; repeat them to go on with it, or remove it to begin anew"
            )
        self.set_work("request", request or "")

    def work(self, name: str) -> str | None:
        """A note of this unfinished file; not in the finished one."""
        found = self._connection.execute("SELECT value FROM work WHERE name = ?", (name,)).fetchone()
        return None if found is None else str(found[0])

    def set_work(self, name: str, value: str) -> None:
        """Take a note, see `work`."""
        self._connection.execute("INSERT OR REPLACE INTO work VALUES (?, ?)", (name, value))

    def put(self, zoom: int, x: int, y: int, data: bytes) -> None:
        """Add a tile, or replace it. MapError where the disk is full."""
        row = (1 << zoom) - 1 - y
        self._write("INSERT OR REPLACE INTO tiles VALUES (?, ?, ?, ?)", zoom, x, row, data)

    def put_absent(self, zoom: int, x: int, y: int) -> None:
        """Remember that there is no such tile, so that it is not asked for again."""
        self._connection.execute("INSERT OR IGNORE INTO absent VALUES (?, ?, ?)", (zoom, x, y))

    def get(self, zoom: int, x: int, y: int) -> bytes | None:
        """A tile, None: it is not there."""
        found = self._connection.execute(
            "SELECT tile_data FROM tiles WHERE zoom_level = ? AND tile_column = ? AND tile_row = ?",
            (zoom, x, (1 << zoom) - 1 - y),
        ).fetchone()
        return None if found is None else bytes(found[0])

    def known(self, zoom: int, x: int) -> set[int]:
        """Rows of a column whose tiles are there, or known to be absent."""
        last = (1 << zoom) - 1
        rows = self._connection.execute(
            "SELECT tile_row FROM tiles WHERE zoom_level = ? AND tile_column = ?", (zoom, x)
        ).fetchall()
        gone = self._connection.execute("SELECT y FROM absent WHERE zoom = ? AND x = ?", (zoom, x)).fetchall()
        return {last - row for (row,) in rows} | {y for (y,) in gone}

    def count(self, zoom: int) -> int:
        """Number of tiles at a zoom."""
        return int(self._connection.execute("SELECT count(*) FROM tiles WHERE zoom_level = ?", (zoom,)).fetchone()[0])

    def zooms(self) -> list[int]:
        """The zooms that have tiles, highest first."""
        found = self._connection.execute("SELECT DISTINCT zoom_level FROM tiles ORDER BY zoom_level DESC").fetchall()
        return [zoom for (zoom,) in found]

    def parents(self, zoom: int) -> Iterator[tuple[int, int]]:
        """(x, y) of the tiles at the zoom below that have a child at `zoom`, by columns."""
        last = (1 << (zoom - 1)) - 1
        query = "SELECT DISTINCT tile_column / 2, tile_row / 2 FROM tiles WHERE zoom_level = ? ORDER BY 1, 2"
        with closing(self._connection.cursor()) as cursor:
            for x, row in cursor.execute(query, (zoom,)).fetchall():
                yield x, last - row

    def extent(self, zoom: int) -> TileRange | None:
        """The range that the tiles of a zoom span; None: there are none."""
        x_min, x_max, row_min, row_max = self._connection.execute(
            "SELECT min(tile_column), max(tile_column), min(tile_row), max(tile_row) FROM tiles WHERE zoom_level = ?",
            (zoom,),
        ).fetchone()
        last = (1 << zoom) - 1
        return None if x_min is None else TileRange(zoom, x_min, x_max, last - row_max, last - row_min)

    def commit(self) -> None:
        """Make what was put so far survive a kill. MapError where the disk is full."""
        if self._connection.in_transaction:  # a full disk may have ended it
            self._write("COMMIT")
        self._write("BEGIN IMMEDIATE")

    def _write(self, statement: str, *values: int | bytes) -> None:
        try:
            self._connection.execute(statement, values)
        except sqlite3.OperationalError as error:
            raise MapError(
                f"{self.part}: cannot be written ({error}); it keeps what was written before, free some space and run "
                "the same command again"
            ) from error

    def finish(self, metadata: dict[str, str]) -> None:
        """Write the metadata, with bounds and zooms as they are, and give the file its name.

        Raises:
            MapError: it has no tiles, or a file of this name has appeared.
        """
        zooms = self.zooms()
        extent = self.extent(zooms[0]) if zooms else None
        if extent is None:
            raise MapError(f"{self.path}: there is not one tile to make a map of")
        first, last = (
            mercantile.bounds(x, y, extent.zoom)
            for x, y in ((extent.x_min, extent.y_min), (extent.x_max, extent.y_max))
        )
        bounds = (first.west, last.south, last.east, first.north)
        facts = {
            "name": self.path.stem,
            "type": "baselayer",
            "version": "1",
            "format": self._format(extent.zoom),
            "bounds": ",".join(f"{value:.7f}" for value in bounds),
            "center": f"{(bounds[0] + bounds[2]) / 2:.7f},{(bounds[1] + bounds[3]) / 2:.7f},{zooms[0]}",
            "minzoom": str(zooms[-1]),
            "maxzoom": str(zooms[0]),
            "generator": "cvgeo_ros",
            **metadata,
        }
        self._connection.executemany("INSERT OR REPLACE INTO metadata VALUES (?, ?)", facts.items())
        for table in ("work", "absent"):
            self._connection.execute(f"DROP TABLE {table}")
        self._connection.execute("COMMIT")
        self._connection.execute("PRAGMA journal_mode = DELETE")
        self._connection.close()
        if self.path.exists():
            raise MapError(f"{self.path}: has appeared meanwhile; the new map is {self.part}")
        os.replace(self.part, self.path)

    def _format(self, zoom: int) -> str:
        query = "SELECT substr(tile_data, 1, 12) FROM tiles WHERE zoom_level = ? LIMIT 1"
        return image_format(bytes(self._connection.execute(query, (zoom,)).fetchone()[0])) or "png"

    def discard(self) -> None:
        """Remove the unfinished file."""
        self.close()
        for ending in ("", "-wal", "-shm", "-journal"):
            self.part.with_name(self.part.name + ending).unlink(missing_ok=True)

    def close(self) -> None:
        """Leave the file as it is: to be gone on with, where it is unfinished."""
        try:
            if self._connection.in_transaction:
                self._connection.execute("COMMIT")
        except sqlite3.ProgrammingError:  # closed already
            return
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def image_format(data: bytes) -> str | None:
    """png, jpg or webp by the first bytes, as MBTiles names them; None: another."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if data.startswith(b"\xff\xd8\xff"):
        return "jpg"
    return "webp" if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else None
