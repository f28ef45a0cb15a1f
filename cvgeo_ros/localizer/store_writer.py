"""Writing prepared features: block by block into a file of its own, which takes its name when it is whole."""

import fcntl
import os
import zlib
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from ..errors import MapError
from .features import Grid
from .store import ABSENT, END, MAGIC, PREFIX, RECORD, STORED, VOID, Arrays, StoreHeader, read_block, read_header


class FeatureWriter:
    """Fills `<path>.part`, which `finish` renames to `path`; one that was left unfinished by a kill is gone on with.

    A block's record is written after the block itself, and what a power cut left wrong is found by its checksum and
    written anew.

    Raises:
        MapError: another process is writing it.
    """

    def __init__(self, path: Path, header: StoreHeader) -> None:
        self.path, self.header = path, header
        self.part = path.with_name(path.name + ".part")
        self._file = os.open(self.part, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._file)
            raise MapError(f"{self.part}: another `cvgeo map prepare` is writing it; wait for it or end it") from error
        encoded = header.encode()
        self._first = PREFIX + len(encoded)
        self._records = np.zeros(header.count, RECORD)
        if not self._resume():
            os.ftruncate(self._file, 0)
            prefix = MAGIC + len(encoded).to_bytes(4, "little") + zlib.crc32(encoded).to_bytes(4, "little")
            os.pwrite(self._file, prefix + encoded + self._records.tobytes(), 0)
        stored = self._records[self._records["state"] == STORED]
        start = self._first + self._records.nbytes
        self._end = start + len(stored) * header.block_bytes

    def _resume(self) -> bool:
        """Take over the whole blocks of an unfinished file; False where it is none, or of something else."""
        try:
            header, first = read_header(self._file)
        except (ValueError, KeyError, TypeError):
            return False
        raw = os.pread(self._file, self._records.nbytes, first)
        if header != self.header or len(raw) != self._records.nbytes:
            return False
        records = np.frombuffer(raw, RECORD).copy()
        start, size = first + records.nbytes, self.header.block_bytes
        # Blocks were appended one after the other: those up to the first damaged one are kept.
        stored = np.flatnonzero(records["state"] == STORED)
        stored = stored[np.argsort(records["offset"][stored])]
        kept = 0
        for index in stored:
            if records["offset"][index] != start + kept * size or not self._sound(records[index]):
                break
            kept += 1
        records[stored[kept:]] = 0
        records[records["state"] > STORED] = 0
        self._records = records
        os.pwrite(self._file, records.tobytes(), first)
        os.ftruncate(self._file, start + kept * size)
        return True

    def _sound(self, record: np.void) -> bool:
        return read_block(self._file, self.header, record) is not None

    @property
    def done(self) -> int:
        """Blocks that are there."""
        return int(np.count_nonzero(self._records["state"]))

    def has(self, grid: Grid, i: int, j: int) -> bool:
        """Whether a block is there; False, too, where the file has no room for it."""
        index = self.header.index(grid, i, j)
        return index is not None and bool(self._records[index]["state"] != ABSENT)

    def put(self, grid: Grid, i: int, j: int, block: Arrays) -> None:
        """Append a block. ValueError where the file has no room for it."""
        index = self.header.index(grid, i, j)
        if index is None:
            raise ValueError(f"block {i}, {j} at {grid.gsd} m is none of {self.path}")
        *features, void = block
        if void.all():
            self._records[index] = (0, 0, VOID)
        else:
            data = b"".join([*(np.ascontiguousarray(part, "<f2").tobytes() for part in features), void.tobytes()])
            os.pwrite(self._file, data, self._end)
            self._records[index] = (self._end, zlib.crc32(data), STORED)
            self._end += len(data)
        place = self._first + index * RECORD.itemsize
        os.pwrite(self._file, self._records[index].tobytes(), place)

    def finish(self) -> None:
        """Seal the file and give it its name, also where one has it already. ValueError where blocks are missing."""
        if self.done != self.header.count:
            raise ValueError(f"{self.header.count - self.done} blocks of {self.path} are missing")
        os.pwrite(self._file, END + zlib.crc32(self._records.tobytes()).to_bytes(4, "little"), self._end)
        os.fsync(self._file)
        os.replace(self.part, self.path)
        folder = os.open(self.path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)

    def close(self) -> None:
        """Leave the file as it is."""
        if self._file >= 0:
            os.close(self._file)
        self._file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
