"""Prepared features: those of a map computed once for a model, in one file beside the map, read block by block.

The file: magic; length and CRC-32 of the header; the header, JSON that says which model, map and grids it is for; one
record a block (`RECORD`); the blocks, float16 and little-endian, void mask last; the CRC-32 of the records. Every block
has its own CRC-32, so that opening reads header and records alone.
"""

import hashlib
import json
import os
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import MapError
from ..geo import TileStore
from ..geo.identity import features_path, tile_digest
from ..net import STRIDE, CrossViewLocator
from .features import FeatureCache, Grid

FORMAT = 1
"""Counted up whenever file or encoding change, so that older files are stale."""
MAGIC, END = b"CVGEOFT\n", b"CVGEOEND"
RECORD = np.dtype([("offset", "<u8"), ("crc", "<u4"), ("state", "<u4")])
ABSENT, VOID, STORED = 0, 1, 2
PREFIX = len(MAGIC) + 8
Arrays = tuple[NDArray[np.float16], NDArray[np.float16], NDArray[np.float16], NDArray[np.bool_]]
"""match, context and gated (channels, block, block), void (block, block)."""


@dataclass(frozen=True)
class StoredLevel:
    """A grid and the blocks of it that the file has room for.

    Attributes:
        gsd: metres per pixel of the grid.
        cells: (columns, rows) of the grid.
        blocks: first column, first row, end column, end row.
    """

    gsd: float
    cells: tuple[int, int]
    blocks: tuple[int, int, int, int]

    @property
    def count(self) -> int:
        i0, j0, i1, j1 = self.blocks
        return (i1 - i0) * (j1 - j0)

    def serves(self, grid: Grid) -> bool:
        """Whether these are that grid's cells."""
        return self.cells == grid.cells and abs(self.gsd / grid.gsd - 1.0) < 1e-9


@dataclass(frozen=True)
class StoreHeader:
    """What features are of.

    Attributes:
        model: name of the network's size.
        weights: digest of its weights.
        map: digest of the map's content and georeference.
        channels: of match, context and gated.
        block, halo, stride: how the map was cut.
        levels: grids, finest first.
        format: of the file.
    """

    model: str
    weights: str
    map: str
    channels: tuple[int, int, int]
    levels: tuple[StoredLevel, ...] = ()
    block: int = FeatureCache.block
    halo: int = FeatureCache.halo
    stride: int = STRIDE
    format: int = field(default=FORMAT)

    @classmethod
    def of(cls, model: CrossViewLocator, tile: TileStore) -> "StoreHeader":
        """For a model and a map that is a file; without levels."""
        config = model.config
        channels = (config.match_dim, config.context_dim, model.fusion.gated)
        return cls(config.name, model_digest(model), tile_digest(tile), channels)

    @classmethod
    def parse(cls, data: bytes) -> "StoreHeader":
        """Of JSON; KeyError, TypeError or ValueError where it is another."""
        values: dict[str, Any] = json.loads(data)
        if values["format"] != FORMAT:
            raise ValueError(f"format {values['format']} of another version of cvgeo_ros")
        levels = tuple(
            StoredLevel(float(level["gsd"]), tuple(level["cells"]), tuple(level["blocks"]))
            for level in values.pop("levels")
        )
        return replace(cls(**{**values, "channels": tuple(values["channels"])}), levels=levels)

    def encode(self) -> bytes:
        """As JSON."""
        return json.dumps(asdict(self)).encode()

    @property
    def block_bytes(self) -> int:
        """Of one block in the file."""
        return self.block**2 * (2 * sum(self.channels) + 1)

    @property
    def count(self) -> int:
        """Blocks of all levels."""
        return sum(level.count for level in self.levels)

    def index(self, grid: Grid, i: int, j: int) -> int | None:
        """Number of a block's record, None where there is none."""
        first = 0
        for level in self.levels:
            i0, j0, i1, j1 = level.blocks
            if level.serves(grid):
                return first + (j - j0) * (i1 - i0) + i - i0 if i0 <= i < i1 and j0 <= j < j1 else None
            first += level.count
        return None

    def stale(self, wanted: "StoreHeader") -> str:
        """Why these are not the features that are wanted; empty: they are."""
        if (self.model, self.weights) != (wanted.model, wanted.weights):
            return "they were computed with other weights"
        if self.map != wanted.map:
            return "the map has changed since"
        if replace(self, levels=()) != replace(wanted, levels=()):
            return "they were computed by another version of cvgeo_ros"
        return ""


class FeatureStore:
    """A finished file of features, open for reading; threads may share it.

    Raises:
        MapError: the file cannot be read, or is damaged or cut short.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = -1
        try:
            self._file = os.open(path, os.O_RDONLY)
            self.size = os.fstat(self._file).st_size
            self.header, self._records = self._survey()
        except (OSError, ValueError, KeyError, TypeError, IndexError, OverflowError) as error:
            self.close()
            raise MapError(
                f"{path}: these prepared features are damaged ({error}); make them anew with `cvgeo map prepare`, or "
                "remove the file to fly without"
            ) from error

    def _survey(self) -> tuple[StoreHeader, NDArray[np.void]]:
        header, start = read_header(self._file)
        data = start + header.count * RECORD.itemsize
        if not 0 < header.count <= self.size // RECORD.itemsize:
            raise ValueError("cut short")
        raw = os.pread(self._file, data - start, start)
        end = os.pread(self._file, len(END) + 4, self.size - len(END) - 4)
        if len(raw) < data - start or end[:-4] != END:
            raise ValueError("cut short")
        if zlib.crc32(raw) != int.from_bytes(end[-4:], "little"):
            raise ValueError("checksum of the index is wrong")
        records = np.frombuffer(raw, RECORD)
        stored = np.count_nonzero(records["state"] == STORED)
        if data + int(stored) * header.block_bytes + len(end) != self.size:
            raise ValueError("cut short")
        return header, records

    def read(self, grid: Grid, i: int, j: int) -> Arrays | None:
        """A block; None where the file does not have it.

        Raises:
            MapError: the block is damaged; it must not be used.
        """
        index = self.header.index(grid, i, j)
        if index is None or self._records[index]["state"] == ABSENT:
            return None
        if self._records[index]["state"] == VOID:
            side = self.header.block
            match, context, gated = (np.zeros((c, side, side), np.float16) for c in self.header.channels)
            return match, context, gated, np.ones((side, side), np.bool_)
        data = read_block(self._file, self.header, self._records[index])
        if data is None:
            raise MapError(
                f"{self.path}: block {i}, {j} of these prepared features is damaged; make them anew with "
                "`cvgeo map prepare`"
            )
        return split(self.header, data)

    def verify(self, progress: Callable[[float], None] | None = None) -> int:
        """Read everything; returns how many blocks are damaged."""
        damaged = 0
        for index, record in enumerate(self._records):
            if record["state"] == STORED and read_block(self._file, self.header, record) is None:
                damaged += 1
            if progress is not None:
                progress((index + 1) / len(self._records))
        return damaged

    def close(self) -> None:
        """Release the file."""
        if self._file >= 0:
            os.close(self._file)
        self._file = -1


def read_header(file: int) -> tuple[StoreHeader, int]:
    """Header of a file, finished or not, and where its records begin; ValueError and others where it is none."""
    prefix = os.pread(file, PREFIX, 0)
    if len(prefix) < PREFIX or prefix[: len(MAGIC)] != MAGIC:
        raise ValueError("not such a file")
    length, crc = (int.from_bytes(prefix[k : k + 4], "little") for k in (len(MAGIC), len(MAGIC) + 4))
    data = os.pread(file, min(length, 1 << 20), PREFIX)
    if len(data) != length or zlib.crc32(data) != crc:
        raise ValueError("checksum of the header is wrong")
    return StoreHeader.parse(data), PREFIX + length


def read_block(file: int, header: StoreHeader, record: np.void) -> NDArray[np.uint8] | None:
    """Bytes of a stored block; None where they are damaged or missing."""
    data = bytearray(header.block_bytes)
    try:
        done = os.preadv(file, [data], int(record["offset"]))
    except (OSError, OverflowError):
        return None
    whole = done == len(data) and zlib.crc32(data) == int(record["crc"])
    return np.frombuffer(data, np.uint8) if whole else None


def split(header: StoreHeader, data: NDArray[np.uint8]) -> Arrays:
    """A block's bytes as its arrays, without a copy."""
    side, first = header.block, 0
    parts = []
    for channels in header.channels:
        length = 2 * channels * side * side
        parts.append(data[first : first + length].view("<f2").reshape(channels, side, side))
        first += length
    return parts[0], parts[1], parts[2], data[first:].view(np.bool_).reshape(side, side)


def find_features(model: CrossViewLocator, tile: TileStore) -> tuple[FeatureStore | None, str]:
    """The prepared features of a map for a model, and a sentence about them where they cannot be used.

    Raises:
        MapError: there are some, and they are damaged.
    """
    if tile.path is None:
        return None, ""
    path = features_path(tile.path, model.config.name)
    if not path.exists():
        return None, ""
    store = FeatureStore(path)
    reason = store.header.stale(StoreHeader.of(model, tile))
    if not reason:
        return store, ""
    store.close()
    return None, (
        f"{path}: these prepared features are not used, {reason}; the map is encoded while flying instead, which takes "
        "seconds where it is new: run `cvgeo map prepare` again"
    )


def model_digest(model: CrossViewLocator) -> str:
    """Digest of a model's configuration and weights; the device does not matter."""
    digest = hashlib.sha256(json.dumps(model.config.to_dict(), sort_keys=True).encode())
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(value.detach().cpu().numpy()).data)
    return digest.hexdigest()
