"""Writing vectors: window by window into a file of its own, which takes its name when it is whole."""

import fcntl
import json
import os
import zlib
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..errors import PlaceError
from .cells import Cells
from .vectors import EXACT, Array, IndexHeader
from .vectors_file import CHUNK, END, MAGIC, PREFIX, Checked, read_header, record, sums


class FileWriter:
    """Fills `<path>.part`; one that was left unfinished by a kill or a power cut is gone on with.

    Raises:
        PlaceError: another process is writing it.
    """

    def __init__(self, path: Path, header: IndexHeader) -> None:
        self.path, self.header = path, header
        self.part = path.with_name(path.name + ".part")
        self._kind = record(header.dim)
        self._file = os.open(self.part, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._file)
            raise PlaceError(
                f"{self.part}: another `cvgeo place index` is writing it; wait for it or end it"
            ) from error
        encoded = header.encode().encode()
        self._first = PREFIX + len(encoded)
        self.rows, self.next = 0, 0
        if self._resume():
            os.ftruncate(self._file, self._first + self.rows * self._kind.itemsize)
        else:
            os.ftruncate(self._file, 0)
            prefix = MAGIC + len(encoded).to_bytes(4, "little") + zlib.crc32(encoded).to_bytes(4, "little")
            os.pwrite(self._file, prefix + encoded, 0)

    def _resume(self) -> bool:
        """Take over the records of an unfinished file up to the first damaged one; False where it is another file."""
        try:
            header, _ = read_header(self._file)
        except (ValueError, KeyError, TypeError):
            return False
        if header != self.header:
            return False
        total = (os.fstat(self._file).st_size - self._first) // self._kind.itemsize
        for start in range(0, total, CHUNK):
            records = self._records(start, min(start + CHUNK, total))
            rising = np.diff(records["id"].astype(np.int64), prepend=self.next - 1) > 0
            sound = (sums(records) == records["crc"]) & rising & (records["id"] < header.windows)
            kept = len(records) if sound.all() else int(np.argmin(sound))
            if kept:
                self.rows, self.next = start + kept, int(records["id"][kept - 1]) + 1
            if kept < len(records):
                break
        return True

    def _records(self, start: int, end: int) -> NDArray[np.void]:
        size = self._kind.itemsize
        return np.frombuffer(os.pread(self._file, (end - start) * size, self._first + start * size), self._kind)

    def add(self, ids: NDArray[np.int64], vectors: Array, places: NDArray[np.float64]) -> None:
        """See VectorWriter."""
        records = np.zeros(len(ids), self._kind)
        records["id"], records["place"], records["vector"] = ids, places, vectors
        records["crc"] = sums(records)
        os.pwrite(self._file, records.tobytes(), self._first + self.rows * self._kind.itemsize)
        self.rows += len(ids)
        self.next = int(ids[-1]) + 1

    def finish(self, progress: Callable[[str], None]) -> None:
        """See VectorWriter. PlaceError where there is nothing, or FAISS is needed and not installed."""
        if not self.rows:
            raise PlaceError(f"{self.path}: no window to index")
        tail: dict[str, Any] = {"rows": self.rows, "cells": 0, "cells_crc": 0}
        with open(os.dup(self._file), "r+b") as file:
            file.seek(self._first + self.rows * self._kind.itemsize)
            file.truncate()
            crc = 0
            for start in range(0, self.rows, CHUNK):
                centres = self._records(start, min(start + CHUNK, self.rows))["place"].tobytes()
                crc = zlib.crc32(centres, crc)
                file.write(centres)
            tail["centres_crc"] = crc
            if self.rows > EXACT:
                progress("cells")
                file.flush()
                records = np.memmap(self.part, self._kind, "r", self._first, (self.rows,))
                cells = Cells.build(self.rows, self.header.dim, lambda rows: records["vector"][rows].astype(np.float32))
                before = file.tell()
                cells.save(file)
                file.flush()
                tail["cells"] = file.tell() - before
                check = Checked(self._file, before, tail["cells"])
                for _ in check:
                    pass
                tail["cells_crc"] = check.crc
            data = json.dumps(tail).encode()
            file.write(data + len(data).to_bytes(4, "little") + zlib.crc32(data).to_bytes(4, "little") + END)
        os.fsync(self._file)
        os.replace(self.part, self.path)
        folder = os.open(self.path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)

    def close(self) -> None:
        """See VectorWriter."""
        if self._file >= 0:
            os.close(self._file)
        self._file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
