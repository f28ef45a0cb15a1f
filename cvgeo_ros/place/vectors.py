"""Vectors of a map's windows behind one interface: in a file beside the map, or in a Milvus that a fleet shares.

`open_vectors` and `write_vectors` take a path or a URI, and nothing else differs.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from ..errors import PlaceError

FORMAT = 1
"""Counted up whenever file or windows change, so that older indices are stale."""
EXACT = 20_000
"""Up to so many windows are compared one by one: 30 MB."""
Array = NDArray[np.float32]
Location = str | Path
"""A file, or the URI of a Milvus: http://host:19530, https://host, tcp://host:19530, unix:socket, or a .db of Lite."""
REMOTE = ("http:", "https:", "tcp:", "unix:", "grpc:")


@dataclass(frozen=True)
class IndexHeader:
    """What vectors are of.

    Attributes:
        model: name of the model.
        weights: digest of it.
        map: digest of the map's content and georeference.
        dim: length of a vector.
        scales, overlap: how the map was cut into windows.
        windows: how many there are, those among them too that show nothing.
        format: of the index.
    """

    model: str
    weights: str
    map: str
    dim: int
    scales: tuple[float, ...]
    overlap: float
    windows: int
    format: int = field(default=FORMAT)

    @classmethod
    def parse(cls, data: bytes | str) -> "IndexHeader":
        """Of JSON; KeyError, TypeError or ValueError where it is another."""
        values: dict[str, Any] = json.loads(data)
        if values["format"] != FORMAT:
            raise ValueError(f"format {values['format']} of another version of cvgeo_ros")
        return cls(**{**values, "scales": tuple(float(scale) for scale in values["scales"])})

    def encode(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self))

    def stale(self, wanted: "IndexHeader") -> str:
        """Why this is not the index that is wanted; empty: it is. Windows may be cut in another way."""
        if (self.model, self.weights, self.dim) != (wanted.model, wanted.weights, wanted.dim):
            return "it was made with another model"
        return "" if self.map == wanted.map else "the map has changed since"

    def differs(self, wanted: "IndexHeader") -> str:
        """Why it has to be made anew; empty: it need not."""
        cut = replace(self, scales=wanted.scales, overlap=wanted.overlap, windows=wanted.windows) != self
        return self.stale(wanted) or ("the windows are of other sizes" if cut else "")

    @property
    def key(self) -> str:
        """Name for the vectors of this model and map among those of others."""
        return hashlib.sha256(f"{self.model} {self.weights} {self.map} {self.dim}".encode()).hexdigest()[:24]


@dataclass(frozen=True)
class Hits:
    """Windows that were found, best first.

    Attributes:
        ids: (K,) numbers of the windows.
        scores: (K,) inner products.
        vectors: (K, D).
    """

    ids: NDArray[np.int64]
    scores: Array
    vectors: Array


class VectorStore(Protocol):
    """Vectors to search; threads may share it."""

    header: IndexHeader

    def __len__(self) -> int: ...

    def search(
        self, vector: Array, count: int, near: tuple[float, float] | None = None, radius: float | None = None
    ) -> Hits:
        """The windows whose inner product with a vector (D,) is highest, at most `count` of them.

        Args:
            near: latitude, longitude in degrees; only windows whose centre lies within `radius` metres.
        """
        ...

    def close(self) -> None:
        """Release the file or the connection."""


class VectorWriter(Protocol):
    """Takes vectors in the order of their numbers.

    Attributes:
        next: number of the first window that is not known to be there.
        rows: how many vectors are there.
    """

    next: int
    rows: int

    def add(self, ids: NDArray[np.int64], vectors: Array, places: NDArray[np.float64]) -> None:
        """Append vectors (N, D) and the centres of their windows (N, 2), latitude and longitude in degrees."""

    def finish(self, progress: Callable[[str], None]) -> None:
        """Make them searchable; from now on others find them. `progress` is told what is done now."""

    def close(self) -> None:
        """Leave everything as it is."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def is_milvus(location: Location) -> bool:
    """Whether this names a Milvus rather than a file."""
    return isinstance(location, str) and (location.startswith(REMOTE) or location.endswith(".db"))


def open_vectors(location: Location, wanted: IndexHeader) -> VectorStore:
    """Open finished vectors; whether they are those `wanted` (`IndexHeader.stale`) is for the caller to judge.

    Raises:
        PlaceError: there are none, they are damaged, or the Milvus cannot be reached.
    """
    if is_milvus(location):
        from .vectors_milvus import MilvusVectors

        return MilvusVectors(str(location), wanted)
    from .vectors_file import FileVectors

    return FileVectors(Path(location))


def stored_header(location: Location, wanted: IndexHeader) -> IndexHeader | None:
    """How the vectors that are there were made; None: there are none.

    Raises:
        PlaceError: they are damaged, or the Milvus cannot be reached.
    """
    if is_milvus(location):
        from .vectors_milvus import Connection

        connection = Connection(str(location), wanted.key)
        try:
            return connection.header(wanted.key)
        finally:
            connection.client.close()
    if not Path(location).exists():
        return None
    return open_vectors(location, wanted).header


def write_vectors(location: Location, wanted: IndexHeader) -> VectorWriter:
    """Begin, or go on with, vectors.

    Raises:
        PlaceError: somebody else is writing them, or the Milvus cannot be reached.
    """
    if is_milvus(location):
        from .vectors_milvus import MilvusWriter

        return MilvusWriter(str(location), wanted)
    from .vectors_file_writer import FileWriter

    return FileWriter(Path(location), wanted)


def check_query_vector(vector: Array, dim: int) -> Array:
    """PlaceError unless it is (dim,) and finite."""
    query = np.ascontiguousarray(vector, np.float32)
    if query.shape != (dim,) or not np.isfinite(query).all():
        raise PlaceError(f"a query of {dim} finite numbers is needed, got an array of shape {np.shape(vector)}")
    return query
