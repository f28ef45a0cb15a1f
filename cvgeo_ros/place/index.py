"""The index of a map's places: its windows as the model sees them, computed once and kept beside the map."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import MapError, PlaceError
from ..geo import TileStore
from ..geo.identity import places_path, tile_digest
from .config import PLATFORMS, PlaceConfig
from .experts import fused_images
from .vectors import (
    Array,
    Hits,
    IndexHeader,
    Location,
    VectorStore,
    is_milvus,
    open_vectors,
    stored_header,
    write_vectors,
)
from .vectors_file import record
from .windows import LEAST_VALID, OVERLAP, SCALES, Window, WindowGrid

BATCH = 32
"""Windows that are encoded together."""


class ImageModel(Protocol):
    """What an index needs of a `PlaceModel`."""

    @property
    def config(self) -> PlaceConfig: ...
    def embed_images(self, images: NDArray[np.uint8], gsd: NDArray[np.floating] | None = None) -> Array: ...
    def digest(self) -> str: ...


@dataclass(frozen=True)
class Built:
    """What came of `build_index`.

    Attributes:
        location: of the index.
        reason: why anything was computed: "", where all was there already.
        windows: in the index.
        kept: of these, from an earlier run that was stopped.
        empty: windows left out, for they show nothing.
    """

    location: Location
    reason: str
    windows: int
    kept: int
    empty: int


def where(tile: TileStore, model: ImageModel, location: Location | None = None) -> Location:
    """The place of an index: the one that is asked for, or the file beside the map.

    Raises:
        MapError: the map is no file.
    """
    if location:
        return location
    if tile.path is None:
        raise MapError(f"{tile.tile_id}: no file beside which an index could be kept")
    return places_path(tile.path, model.config.name)


def header_of(
    model: ImageModel, tile: TileStore, grid: WindowGrid, weights: str | None = None, digest: str | None = None
) -> IndexHeader:
    """Header of the index of a map for a model; the digests are computed where they are not given."""
    return IndexHeader(
        model=model.config.name,
        weights=weights or model.digest(),
        map=digest or tile_digest(tile),
        dim=len(PLATFORMS) * model.config.dim,
        scales=grid.scales,
        overlap=grid.overlap,
        windows=len(grid),
    )


def state(location: Location, wanted: IndexHeader) -> str:
    """Why an index has to be made; empty: it is there. PlaceError where a Milvus cannot be reached."""
    try:
        found = stored_header(location, wanted)
    except PlaceError:
        if is_milvus(location):
            raise
        return "it was damaged"
    return "there was none" if found is None else found.differs(wanted)


def build_index(
    model: ImageModel,
    tile: TileStore,
    location: Location | None = None,
    progress: Callable[[int, int, str], None] | None = None,
    scales: tuple[float, ...] = SCALES,
    overlap: float = OVERLAP,
    force: bool = False,
) -> Built:
    """Embed the windows of a map and keep them; a run that was stopped or killed is gone on with.

    Memory does not depend on the size of the map, but for the cells of very many windows (`Cells`).

    Args:
        model: embeds images.
        tile: the map.
        location: a file, or the URI of a Milvus; None: the file beside the map.
        progress: called with windows done, their number and what is done now.
        scales, overlap: see `WindowGrid`.
        force: make it anew although it is there.

    Raises:
        PlaceError: the map shows nothing or is smaller than a window; another process makes the same index; the Milvus
            cannot be reached.
        MapError: the map cannot be read; no room on the disk.
    """
    say = progress or (lambda done, total, what: None)
    place, grid = where(tile, model, location), WindowGrid(tile, scales, overlap)
    wanted = header_of(model, tile, grid)
    reason = "asked for" if force else state(place, wanted)
    if not reason:
        store = open_vectors(place, wanted)
        found = len(store)
        store.close()
        return Built(place, "", found, found, len(grid) - found)
    with write_vectors(place, wanted) as writer:
        kept = writer.rows
        if not is_milvus(place):
            # A record, its centre once more, and a byte a number in the cells.
            each = record(wanted.dim).itemsize + 16 + wanted.dim
            _check_room(Path(place), (len(grid) - writer.next) * each)
        for ids, images, metres in _crops(grid, writer.next, model.config.image_size, say):
            vectors = fused_images(model.embed_images(images, metres / images.shape[1]))
            writer.add(ids, vectors, grid.centres(ids))
        if not writer.rows:
            smallest = min(scales)
            raise PlaceError(
                f"{tile.tile_id}: no window of {smallest:g} m shows anything; is the map smaller than that, or empty?"
            )
        say(len(grid), len(grid), "finishing")
        writer.finish(lambda what: say(len(grid), len(grid), what))
        return Built(place, reason, writer.rows, kept, len(grid) - writer.rows)


def _crops(
    grid: WindowGrid, first: int, size: int, say: Callable[[int, int, str], None]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8], NDArray[np.float64]]]:
    """Numbers (B,), pictures (B, size, size, 3) and sides in metres (B,) of the windows from `first` on."""
    ids: list[int] = []
    images: list[NDArray[np.uint8]] = []
    for start in range(first, len(grid), BATCH):
        some = np.arange(start, min(start + BATCH, len(grid)))
        for number in some[grid.covered(some)].tolist():
            image, share = grid.read(number, size)
            if share >= LEAST_VALID:
                ids.append(number)
                images.append(image)
        last = some[-1] + 1 == len(grid)
        if ids and (last or len(ids) >= BATCH):
            numbers = np.array(ids, np.int64)
            yield numbers, np.stack(images), grid.sides(numbers)
            ids, images = [], []
        say(int(some[-1]) + 1, len(grid), "windows")


def _check_room(path: Path, needed: int) -> None:
    """MapError where the disk has less room than an index needs at most."""
    free = shutil.disk_usage(path.resolve().parent).free
    if needed > free:
        raise MapError(f"{path}: {needed >> 20} MiB are needed at most, {free >> 20} MiB are free; make room")


@dataclass(frozen=True)
class PlaceHits:
    """Windows that were found, best first.

    Attributes:
        ids: (K,) their numbers.
        scores: (K,) fused scores.
        vectors: (K, 3, D) what the index holds of them, one row for each of `PLATFORMS`.
        centres: (K, 2) latitude, longitude in degrees.
        sides: (K,) metres.
    """

    ids: NDArray[np.int64]
    scores: Array
    vectors: Array
    centres: NDArray[np.float64]
    sides: NDArray[np.float64]


class PlaceIndex:
    """A finished index, open for searching; threads may share it.

    Attributes:
        tile: the map.
        grid: its windows.
        store: their vectors.
    """

    def __init__(self, tile: TileStore, grid: WindowGrid, store: VectorStore) -> None:
        self.tile, self.grid, self.store = tile, grid, store

    @classmethod
    def open(cls, tile: TileStore, model: ImageModel, location: Location | None = None) -> "PlaceIndex":
        """Open the index of a map for a model.

        Args:
            location: see `build_index`.

        Raises:
            PlaceError: there is none, it is damaged, or it is of other weights or another map; says what to do.
        """
        place, grid = where(tile, model, location), WindowGrid(tile)
        wanted = header_of(model, tile, grid)
        store = open_vectors(place, wanted)
        try:
            if reason := store.header.stale(wanted):
                raise PlaceError(
                    f"{place}: this index of places cannot be used, {reason}; run `cvgeo place index --map ...` again"
                )
            grid = WindowGrid(tile, store.header.scales, store.header.overlap)
            if replace(store.header, windows=len(grid)) != store.header:
                raise PlaceError(
                    f"{place}: this index of places was made by another version of cvgeo_ros; run "
                    "`cvgeo place index --map ...` again"
                )
        except PlaceError:
            store.close()
            raise
        return cls(tile, grid, store)

    def __len__(self) -> int:
        return len(self.store)

    def search(
        self, vector: Array, count: int, near: tuple[float, float] | None = None, radius: float | None = None
    ) -> PlaceHits:
        """The windows that a query scores highest, at most `count`.

        Args:
            vector: (3D,) from `fused_query`.
            near: latitude, longitude in degrees; only windows whose centre lies within `radius` metres of it.

        Raises:
            PlaceError: the index is damaged where it was read, or the Milvus cannot be reached.
            MapError: `near` is no place on Earth.
        """
        hits: Hits = self.store.search(vector, count, near, radius)
        experts = hits.vectors.reshape(len(hits.ids), len(PLATFORMS), self.store.header.dim // len(PLATFORMS))
        return PlaceHits(hits.ids, hits.scores, experts, self.grid.centres(hits.ids), self.grid.sides(hits.ids))

    def window(self, number: int) -> Window:
        """A window by its number."""
        return self.grid.window(number)

    def close(self) -> None:
        """Release the file or the connection; the map stays open."""
        self.store.close()
