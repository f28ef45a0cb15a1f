"""Vectors in one file beside the map.

The file: magic; length and CRC-32 of the header; the header, JSON; one record a window (`record`), float16 and
little-endian, each with a CRC-32 of its own; the windows' centres once more, in one piece; cells (`Cells`) where there
are more than `EXACT` windows; the tail, JSON, its length and CRC-32; end. A writer fills `<path>.part`, which takes its
name when it is whole.
"""

import json
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import PlaceError
from ..geo.geodesy import WGS84, check_place
from .cells import Cells
from .vectors import Array, Hits, IndexHeader, check_query_vector

MAGIC, END = b"CVGEOPL\n", b"CVGEOEND"
PREFIX = len(MAGIC) + 8
FEW = 2_000
"""Of more windows than `EXACT`, so many are compared one by one where a search is confined to them."""
SPARE = 4
"""Of the cells' answer so many times as asked for are compared again, in full precision."""
CHUNK = 8192


def record(dim: int) -> np.dtype[np.void]:
    """Number of the window, CRC-32 of the rest, latitude and longitude, vector."""
    return np.dtype([("id", "<u4"), ("crc", "<u4"), ("place", "<f8", (2,)), ("vector", "<f2", (dim,))])


def sums(records: NDArray[np.void]) -> NDArray[np.uint32]:
    """CRC-32 of each of the records (N,)."""
    bare = records.copy()
    bare["crc"] = 0
    raw, size = memoryview(bare.tobytes()), bare.dtype.itemsize
    return np.array([zlib.crc32(raw[at : at + size]) for at in range(0, len(raw), size)], np.uint32)


def damaged(path: Path, what: object) -> PlaceError:
    return PlaceError(
        f"{path}: this index of places is damaged ({what}); make it anew with `cvgeo place index --map ...`"
    )


class FileVectors:
    """Finished vectors in a file; threads may share it.

    Where there are no cells, and where a search is confined to `FEW` windows, the answer is exact. Memory: vectors
    themselves up to `EXACT`, the cells (a byte a number) beyond; the rest is read from the file as it is needed.

    Raises:
        PlaceError: no such file, or it is damaged or cut short.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise PlaceError(f"{path}: the places of this map are not indexed; run `cvgeo place index --map ...`")
        try:
            with path.open("rb", buffering=0) as file:
                self._open(file.fileno())
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, OverflowError) as error:
            if isinstance(error, PlaceError):
                raise
            raise damaged(path, error) from error

    def _open(self, file: int) -> None:
        self.header, start = read_header(file)
        kind, size = record(self.header.dim), os.fstat(file).st_size
        end = os.pread(file, len(END) + 8, size - len(END) - 8)
        if len(end) < len(END) + 8 or end[8:] != END:
            raise ValueError("cut short")
        length, crc = int.from_bytes(end[:4], "little"), int.from_bytes(end[4:8], "little")
        data = os.pread(file, min(length, 1 << 20), size - len(end) - length)
        if zlib.crc32(data) != crc:
            raise ValueError("checksum of the tail is wrong")
        tail = json.loads(data)
        rows, self._tail = int(tail["rows"]), tail
        self._centres_at = start + rows * kind.itemsize
        cells_at = self._centres_at + 16 * rows
        if rows < 1 or cells_at + tail["cells"] + length + len(end) != size:
            raise ValueError("cut short")
        self._records = np.memmap(self.path, kind, "r", start, (rows,))
        self._centres: NDArray[np.float64] | None = None
        self._vectors: Array | None = None
        self._cells: Cells | None = None
        if tail["cells"]:
            check = Checked(file, cells_at, int(tail["cells"]))
            self._cells = Cells.load(iter(check))
            if check.crc != tail["cells_crc"] or len(self._cells) != rows:
                raise ValueError("checksum of the cells is wrong")
        else:
            self._vectors = self._read(np.arange(rows))

    def __len__(self) -> int:
        return len(self._records)

    def _read(self, rows: NDArray[np.int64]) -> Array:
        """Vectors (N, D) of rows. PlaceError where one is damaged."""
        records = np.asarray(self._records[rows])
        if (sums(records) != records["crc"]).any():
            raise damaged(self.path, "checksum of a vector is wrong")
        return records["vector"].astype(np.float32)

    def search(
        self, vector: Array, count: int, near: tuple[float, float] | None = None, radius: float | None = None
    ) -> Hits:
        """See VectorStore. PlaceError where what is read is damaged."""
        query = check_query_vector(vector, self.header.dim)
        among = None if near is None or radius is None else self._within(near, radius)
        rows = None if among is None else np.flatnonzero(among)
        if self._cells is not None and (rows is None or len(rows) > FEW):
            found = self._cells.search(query, SPARE * count + 32, among)
        else:
            found = np.arange(len(self)) if rows is None else rows
            scores = self._compare(found, query)
            best = np.argpartition(-scores, count)[:count] if len(found) > count else np.arange(len(found))
            found = found[best]
        vectors = self._read(found) if self._vectors is None else self._vectors[found]
        exact = vectors @ query
        order = np.argsort(-exact, kind="stable")[:count]
        ids = np.asarray(self._records["id"][found[order]], np.int64)
        return Hits(ids, exact[order], vectors[order])

    def _compare(self, rows: NDArray[np.int64], query: Array) -> Array:
        if self._vectors is not None:
            return np.asarray((self._vectors @ query)[rows])
        scores = np.empty(len(rows), np.float32)
        for start in range(0, len(rows), CHUNK):
            part = rows[start : start + CHUNK]
            scores[start : start + CHUNK] = self._records["vector"][part].astype(np.float32) @ query
        return scores

    def _within(self, near: tuple[float, float], radius: float) -> NDArray[np.bool_]:
        """Which windows have their centre within metres of a place, as the crow flies through the Earth: 1 m at 100 km
        less than over ground."""
        check_place(*near, "near")
        if self._centres is None:
            rows = len(self)
            raw = np.memmap(self.path, np.uint8, "r", self._centres_at, (16 * rows,))
            if zlib.crc32(raw.data) != self._tail["centres_crc"]:
                raise damaged(self.path, "checksum of the centres is wrong")
            self._centres = to_space(raw.view("<f8").reshape(rows, 2))
        away = self._centres - to_space(np.array([near]))
        return np.asarray(np.einsum("ij,ij->i", away, away) <= radius * radius)

    def close(self) -> None:
        """See VectorStore; what is in memory goes with the object."""


def to_space(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Latitude, longitude (N, 2) in degrees to metres about the Earth's centre (N, 3), on WGS-84."""
    latitude, longitude = np.radians(places).T
    normal = WGS84.a / np.sqrt(1.0 - WGS84.es * np.sin(latitude) ** 2)
    across = normal * np.cos(latitude)
    up = normal * (1.0 - WGS84.es) * np.sin(latitude)
    return np.stack([across * np.cos(longitude), across * np.sin(longitude), up], axis=-1)


class Checked:
    """Chunks of a file, and the CRC-32 of what was read so far."""

    def __init__(self, file: int, start: int, size: int) -> None:
        self._file, self._start, self._size = file, start, size
        self.crc = 0

    def __iter__(self) -> Iterator[bytes]:
        for at in range(0, self._size, 1 << 20):
            chunk = os.pread(self._file, min(1 << 20, self._size - at), self._start + at)
            self.crc = zlib.crc32(chunk, self.crc)
            yield chunk


def read_header(file: int) -> tuple[IndexHeader, int]:
    """Header of a file, finished or not, and where its records begin; ValueError and others where it is none."""
    prefix = os.pread(file, PREFIX, 0)
    if len(prefix) < PREFIX or prefix[: len(MAGIC)] != MAGIC:
        raise ValueError("not such a file")
    length, crc = (int.from_bytes(prefix[k : k + 4], "little") for k in (len(MAGIC), len(MAGIC) + 4))
    data = os.pread(file, min(length, 1 << 20), PREFIX)
    if len(data) != length or zlib.crc32(data) != crc:
        raise ValueError("checksum of the header is wrong")
    return IndexHeader.parse(data), PREFIX + length
