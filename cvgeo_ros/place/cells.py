"""Approximate search among very many vectors: cells around centres, vectors in one byte a number (FAISS, IVF SQ8)."""

import math
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..errors import PlaceError

PROBES = 8
"""A search looks into one of so many cells."""
SAMPLES = 64
"""Vectors a cell that the centres are learned from."""
CHUNK = 32_768
Array = NDArray[np.float32]


def library() -> Any:
    """FAISS. PlaceError where it is not installed."""
    try:
        import faiss
    except ImportError as error:
        raise PlaceError(
            "so many windows need FAISS, which is not installed: pip install -r requirements/place.txt, or pip install "
            "faiss-cpu"
        ) from error
    return faiss


class Cells:
    """An index of rows 0, 1, ... by inner product."""

    def __init__(self, index: Any) -> None:
        self._index = index

    @classmethod
    def build(cls, rows: int, dim: int, read: Callable[[NDArray[np.int64]], Array]) -> "Cells":
        """Learn the cells and fill them.

        Args:
            read: vectors (N, dim) of row numbers (N,), ascending.

        Raises:
            PlaceError: FAISS is not installed.
        """
        faiss = library()
        count = 2 ** round(np.log2(np.sqrt(rows)))
        index = faiss.IndexIVFScalarQuantizer(
            faiss.IndexFlatIP(dim), dim, count, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
        )
        sample = np.random.default_rng(0).choice(rows, min(rows, count * SAMPLES), replace=False)
        index.train(read(np.sort(sample)))
        for start in range(0, rows, CHUNK):
            index.add(read(np.arange(start, min(start + CHUNK, rows))))
        index.nprobe = max(count // PROBES, 1)
        return cls(index)

    @classmethod
    def load(cls, chunks: Iterator[bytes]) -> "Cells":
        """Of what `save` wrote. PlaceError where FAISS is not installed; RuntimeError where the bytes are others."""
        faiss = library()
        rest = bytearray()

        def read(size: int) -> bytes:
            while len(rest) < size and (chunk := next(chunks, b"")):
                rest.extend(chunk)
            part = bytes(rest[:size])
            del rest[:size]
            return part

        return cls(faiss.read_index(faiss.PyCallbackIOReader(read)))

    def save(self, file: BinaryIO) -> None:
        """Append it to a file."""
        faiss = library()
        faiss.write_index(self._index, faiss.PyCallbackIOWriter(file.write))

    def search(self, vector: Array, count: int, among: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
        """Rows that are likely the best for a vector (D,), at most `count`; of those `among` marks, where given."""
        faiss = library()
        selector, probes = None, self._index.nprobe
        if among is not None:
            bits = np.packbits(among, bitorder="little")
            selector = faiss.IDSelectorBitmap(bits)
            # The few may lie in any cell; as many vectors are compared as without.
            probes = min(math.ceil(probes / max(float(among.mean()), 1e-9)), self._index.nlist)
        parameters = faiss.SearchParametersIVF(nprobe=probes, sel=selector)
        _, rows = self._index.search(vector[None], count, params=parameters)
        return np.asarray(rows[0][rows[0] >= 0], np.int64)

    def __len__(self) -> int:
        return int(self._index.ntotal)
