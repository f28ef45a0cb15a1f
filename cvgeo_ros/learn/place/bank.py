"""Rows of numbers under keys, in a file that only grows: what frozen towers computed once."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float16]


class RowBank:
    """Entries of (count, width) float16; a process that is killed while writing loses its last entry at most.

    Processes may share it: each appends to what the others have written.
    """

    def __init__(self, path: Path, width: int) -> None:
        """Open or begin a bank.

        Args:
            path: of its files, without extension: `.rows` and `.index`.
            width: numbers in a row.
        """
        self.width = width
        self._rows, self._index = path.with_suffix(".rows"), path.with_suffix(".index")
        path.parent.mkdir(parents=True, exist_ok=True)
        self._places: dict[str, tuple[int, int]] = {}
        self.length = 0
        self._map: Any = None
        with self._locked():
            self._read()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other processes from writing meanwhile."""
        with self._index.open("a") as index:
            fcntl.flock(index, fcntl.LOCK_EX)
            yield

    def _read(self) -> None:
        """Learn what is there, and cut off what a killed process left half written."""
        self._places, self.length = {}, 0
        self._rows.touch()
        room = self._rows.stat().st_size // (2 * self.width)
        kept = 0
        with self._index.open("rb") as lines:
            for line in lines:
                try:
                    key, count = json.loads(line)
                except ValueError:  # killed while writing
                    break
                if not line.endswith(b"\n") or self.length + count > room:
                    break
                self._places[key] = (self.length, count)
                self.length += count
                kept += len(line)
        os.truncate(self._index, kept)
        os.truncate(self._rows, 2 * self.width * self.length)

    def __contains__(self, key: str) -> bool:
        return key in self._places

    def __len__(self) -> int:
        return len(self._places)

    def add(self, entries: dict[str, Any]) -> None:
        """Append entries: (count, width) each; of a key that is there already, the former is kept."""
        with self._locked(), self._rows.open("ab") as rows, self._index.open("a") as index:
            if rows.tell() != 2 * self.width * self.length:
                self._read()
            fresh = {key: values for key, values in entries.items() if key not in self._places}
            for values in fresh.values():
                rows.write(np.ascontiguousarray(values, np.float16).reshape(-1, self.width).data)
            rows.flush()
            for key, values in fresh.items():
                count = np.size(values) // self.width
                self._places[key] = (self.length, count)
                self.length += count
                index.write(json.dumps([key, count]) + "\n")
        self._map = None

    def __getitem__(self, key: str) -> Rows:
        """(count, width), read from disk when used."""
        if self._map is None:
            self._map = np.memmap(self._rows, np.float16, "r", shape=(self.length, self.width))
        start, count = self._places[key]
        return self._map[start : start + count]
