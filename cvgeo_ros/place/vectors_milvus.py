"""Vectors in a Milvus that many share: a cluster, a single server or, for trying it out, a file of Milvus Lite.

Every model and map has a collection of its own, `cvgeo_<key>`; the collection `cvgeo_places` says which are finished,
and how they were made.
"""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from ..errors import PlaceError
from ..geo import distance
from ..geo.geodesy import check_place, metres_per_degree
from .vectors import EXACT, Array, Hits, IndexHeader, check_query_vector

REGISTRY = "cvgeo_places"
BATCH = 1000
MOST = 16_384
"""Answers of one search, at most: Milvus' own limit."""
REACH, REACH_NEAR = 256, 2048
"""Windows that a search keeps in view on its way (HNSW's ef), anywhere and near a place."""
TIMEOUT = 30.0
TOKEN = "MILVUS_TOKEN"
"""Environment variable with the token, or user:password, of a Milvus that asks for it."""
MANY_SECONDS = 3600.0


class Connection:
    """A Milvus and the collections that belong to one model and map.

    Raises:
        PlaceError: pymilvus is not installed, or the Milvus cannot be reached.
    """

    def __init__(self, uri: str, key: str) -> None:
        try:
            import pymilvus
        except ImportError as error:
            raise PlaceError(
                "an index in a Milvus needs pymilvus, which is not installed: pip install -r requirements/place.txt, "
                "or pip install pymilvus"
            ) from error
        self._library = pymilvus
        # It logs every error that it raises, with the whole traceback.
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
        # Without the user's name and password.
        parts = urlsplit(uri)
        self.shown = uri if "@" not in parts.netloc else uri.replace(parts.netloc, parts.netloc.rpartition("@")[2])
        self.name = f"cvgeo_{key}"
        with self.told():
            self.client = pymilvus.MilvusClient(uri, token=os.environ.get(TOKEN, ""), timeout=TIMEOUT)

    @contextmanager
    def told(self) -> Iterator[None]:
        """Turn errors of Milvus into a PlaceError."""
        try:
            yield
        except self._library.MilvusException as error:
            raise PlaceError(f"{self.shown}: the Milvus cannot be used ({error.message})") from error

    def header(self, key: str) -> IndexHeader | None:
        """How the finished vectors were made; None: there are none."""
        with self.told():
            if not self.client.has_collection(REGISTRY, timeout=TIMEOUT):
                return None
            self.client.load_collection(REGISTRY, timeout=TIMEOUT)
            rows = self.client.query(REGISTRY, f'key == "{key}"', output_fields=["header"], timeout=TIMEOUT)
        try:
            return IndexHeader.parse(rows[0]["header"]) if rows else None
        except (KeyError, TypeError, ValueError):
            return None

    def count(self) -> int:
        with self.told():
            rows = self.client.query(self.name, "", output_fields=["count(*)"], timeout=TIMEOUT)
        return int(rows[0]["count(*)"])

    def create(self, header: IndexHeader) -> None:
        """Make the collection, empty, and the registry where there is none; the entry there goes first."""
        kinds = self._library.DataType
        with self.told():
            if not self.client.has_collection(REGISTRY, timeout=TIMEOUT):
                registry = self.client.create_schema(auto_id=False)
                registry.add_field("key", kinds.VARCHAR, is_primary=True, max_length=64)
                registry.add_field("header", kinds.VARCHAR, max_length=4096)
                registry.add_field("unused", kinds.FLOAT_VECTOR, dim=2)  # Milvus asks for a vector
                self._make(REGISTRY, registry, "unused", "FLAT", {})
            self.client.delete(REGISTRY, filter=f'key == "{header.key}"', timeout=TIMEOUT)
            if self.client.has_collection(self.name, timeout=TIMEOUT):
                self.client.drop_collection(self.name, timeout=TIMEOUT)
            schema = self.client.create_schema(auto_id=False)
            schema.add_field("id", kinds.INT64, is_primary=True)
            schema.add_field("latitude", kinds.DOUBLE)
            schema.add_field("longitude", kinds.DOUBLE)
            schema.add_field("vector", kinds.FLOAT_VECTOR, dim=header.dim)
            if header.windows > EXACT:
                self._make(self.name, schema, "vector", "HNSW", {"M": 16, "efConstruction": 200})
            else:
                self._make(self.name, schema, "vector", "FLAT", {})

    def _make(self, name: str, schema: Any, field: str, kind: str, parameters: dict[str, int]) -> None:
        index = self.client.prepare_index_params()
        index.add_index(field, index_type=kind, metric_type="IP", params=parameters)
        self.client.create_collection(
            name, schema=schema, index_params=index, consistency_level="Strong", timeout=TIMEOUT
        )


class MilvusVectors:
    """Finished vectors in a Milvus; threads may share it.

    Raises:
        PlaceError: the Milvus cannot be reached, or has no vectors of this model and map.
    """

    def __init__(self, uri: str, wanted: IndexHeader) -> None:
        self._connection = Connection(uri, wanted.key)
        found = self._connection.header(wanted.key)
        if found is None:
            raise PlaceError(
                f"{self._connection.shown}: the places of this map are not indexed there for this model; run "
                "`cvgeo place index --map ... --index URI`"
            )
        self.header = found
        with self._connection.told():
            self._connection.client.load_collection(self._connection.name, timeout=MANY_SECONDS)
        self._count = self._connection.count()

    def __len__(self) -> int:
        return self._count

    def search(
        self, vector: Array, count: int, near: tuple[float, float] | None = None, radius: float | None = None
    ) -> Hits:
        """See VectorStore. PlaceError where the Milvus cannot be reached."""
        query = check_query_vector(vector, self.header.dim)
        limit = min(count, MOST)
        if near is None or radius is None:
            found = self._ask(query, limit, "")
        else:
            check_place(*near, "near")
            # A box in Milvus, the circle in it here; of the box a fifth lies outside.
            limit = min(2 * count + 16, MOST)
            while True:
                rows = self._ask(query, limit, box(near, radius))
                places = np.array([(row["latitude"], row["longitude"]) for row in rows]).reshape(-1, 2)
                inside = distance(places, np.array(near)) <= radius
                found = [row for row, keep in zip(rows, inside, strict=True) if keep][:count]
                if len(found) == count or len(rows) < limit or limit == MOST:
                    break
                limit = min(4 * limit, MOST)
        ids = np.array([row["id"] for row in found], np.int64)
        vectors = np.array([row["vector"] for row in found], np.float32).reshape(-1, self.header.dim)
        return Hits(ids, np.asarray(vectors @ query), vectors)

    def _ask(self, query: Array, limit: int, condition: str) -> list[dict[str, Any]]:
        # A condition leaves few of the neighbours that the search goes along.
        reach = max(4 * limit, REACH_NEAR if condition else REACH)
        parameters = {"ef": min(reach, MOST)} if self.header.windows > EXACT else {}
        with self._connection.told():
            (hits,) = self._connection.client.search(
                self._connection.name,
                [query],
                filter=condition,
                limit=limit,
                output_fields=["latitude", "longitude", "vector"],
                search_params={"metric_type": "IP", "params": parameters},
                timeout=TIMEOUT,
            )
        return [{"id": hit["id"], **hit["entity"]} for hit in hits]

    def close(self) -> None:
        """See VectorStore."""
        self._connection.client.close()


def box(near: tuple[float, float], radius: float) -> str:
    """Condition that keeps the windows in a box around a circle, also across the antimeridian and at the poles."""
    latitude, longitude = near
    north = 1.001 * radius / float(metres_per_degree(latitude)[1])
    condition = f"latitude >= {latitude - north!r} and latitude <= {latitude + north!r}"
    # A degree of longitude is shortest at the end that is nearer to a pole.
    shortest = float(metres_per_degree(min(abs(latitude) + north, 90.0))[0])
    if radius >= 179.0 * shortest:
        return condition
    east = 1.001 * radius / shortest
    west, right = ((longitude + shift + 180.0) % 360.0 - 180.0 for shift in (-east, east))
    joined = "and" if west <= right else "or"
    return f"{condition} and (longitude >= {west!r} {joined} longitude <= {right!r})"


class MilvusWriter:
    """Fills a collection; one that was left unfinished is gone on with. Nobody finds it before it is finished.

    Raises:
        PlaceError: the Milvus cannot be reached.
    """

    def __init__(self, uri: str, header: IndexHeader) -> None:
        # Unfinished vectors of windows of other sizes are no beginning of these.
        self._connection = Connection(uri, header.key)
        self.header = header
        self.rows, self.next = 0, 0
        if not self._resume():
            self._connection.create(header)
            self._register(unfinished(header.key))

    def _resume(self) -> bool:
        key = unfinished(self.header.key)
        if self._connection.header(key) != self.header:
            return False
        client, name = self._connection.client, self._connection.name
        with self._connection.told():
            if not client.has_collection(name, timeout=TIMEOUT):
                return False
            client.load_collection(name, timeout=MANY_SECONDS)
            low, high = 0, self.header.windows
            # Vectors came in the order of their numbers.
            while low < high:
                middle = (low + high) // 2
                if client.query(name, f"id >= {middle}", output_fields=["id"], limit=1, timeout=TIMEOUT):
                    low = middle + 1
                else:
                    high = middle
        self.next, self.rows = low, self._connection.count()
        return True

    def _register(self, key: str) -> None:
        entry = {"key": key, "header": self.header.encode(), "unused": [0.0, 0.0]}
        with self._connection.told():
            self._connection.client.upsert(REGISTRY, [entry], timeout=TIMEOUT)

    def add(self, ids: NDArray[np.int64], vectors: Array, places: NDArray[np.float64]) -> None:
        """See VectorWriter."""
        rows = [
            {"id": number, "latitude": latitude, "longitude": longitude, "vector": vector}
            for number, (latitude, longitude), vector in zip(ids.tolist(), places.tolist(), vectors, strict=True)
        ]
        with self._connection.told():
            for start in range(0, len(rows), BATCH):
                self._connection.client.insert(self._connection.name, rows[start : start + BATCH], timeout=TIMEOUT)
        self.rows += len(ids)
        self.next = int(ids[-1]) + 1

    def finish(self, progress: Callable[[str], None]) -> None:
        """See VectorWriter. PlaceError where there is nothing."""
        if not self.rows:
            raise PlaceError(f"{self._connection.shown}: no window to index")
        progress("Milvus' own index")
        client, name = self._connection.client, self._connection.name
        with self._connection.told():
            client.flush(name, timeout=MANY_SECONDS)
            client.load_collection(name, timeout=MANY_SECONDS)
            client.delete(REGISTRY, filter=f'key == "{unfinished(self.header.key)}"', timeout=TIMEOUT)
        self._register(self.header.key)

    def close(self) -> None:
        """See VectorWriter."""
        self._connection.client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def unfinished(key: str) -> str:
    """Name in the registry of vectors that are being written."""
    return f"{key} unfinished"
