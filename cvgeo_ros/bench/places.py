"""What finding places costs with very many windows: time, memory and recall, side by side with exact search."""

import itertools
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import CvgeoError
from ..geo import distance
from ..place.vectors import Hits, IndexHeader, Location, VectorStore, is_milvus, open_vectors, write_vectors
from .interleave import interleave
from .placeworld import World, make_world

PLACES = 10
"""Windows asked for; recall is over so many."""
CHUNK = 4096


@dataclass(frozen=True)
class Cost:
    """Of one way to search, over all queries.

    Attributes:
        median, p99: milliseconds.
        recall: share of the exact answer's windows that were found.
        ratio: median of the rounds' times relative to exact search.
    """

    median: float
    p99: float
    recall: float
    ratio: float


@dataclass(frozen=True)
class Figures:
    """What was measured.

    Attributes:
        windows, dim, queries: how many, how long and how often.
        radius: metres around a place that searches near it are confined to, and `inside` windows in there on average.
        build_s: seconds to write vectors and make them searchable.
        megabytes: on the disk; None where that is elsewhere.
        open_s: seconds to open it in a new process, libraries loaded; None for a Milvus.
        memory_mb: that process has of its own after its searches, beyond what it had before; None for a Milvus.
        searches: by name.
    """

    windows: int
    dim: int
    queries: int
    radius: float
    inside: float
    build_s: float
    megabytes: float | None
    open_s: float | None
    memory_mb: float | None
    searches: dict[str, Cost]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def measure(
    windows: int,
    queries: int,
    radius: float,
    location: Location,
    say: Callable[[str], None],
    clock: Callable[[], float] = time.perf_counter,
    dim: int = 128,
) -> Figures:
    """Make up a world, index it and search it.

    Args:
        windows, queries: how many.
        radius: of searches near a place, metres.
        location: of the index, a file or a Milvus' URI.
        say: told what is done now.
        clock: of searches, seconds.
        dim: of one expert.

    Raises:
        PlaceError: the libraries are missing, or the Milvus cannot be reached.
    """
    say(f"making up {windows:,} windows")
    world = make_world(windows, dim)
    asked, _ = world.sentences(queries + 1)  # the first warms up
    header = IndexHeader("made up", "none", "none", world.vectors.shape[1], (120.0,), 0.5, windows)
    say("indexing")
    begun = time.perf_counter()
    places = np.stack([world.latitude, world.longitude], axis=-1).astype(np.float64)
    with write_vectors(location, header) as writer:
        for start in range(writer.next, windows, CHUNK):
            rows = np.arange(start, min(start + CHUNK, windows))
            writer.add(rows, world.vectors[rows], places[rows])
        writer.finish(say)
    build_s = time.perf_counter() - begun
    alone: dict[str, float] = {}
    if not is_milvus(location):
        say("opening it in a process of its own")
        alone = _in_own_process(Path(location), asked)
    say("searching")
    centres = places[np.random.default_rng(2).integers(0, windows, len(asked))]
    inside = [np.flatnonzero(distance(places, centre) <= radius) for centre in centres]
    searches = _search(world, asked, centres, inside, radius, open_vectors(location, header), clock)
    size = None if is_milvus(location) else Path(location).stat().st_size / 1e6
    return Figures(
        windows,
        header.dim,
        queries,
        radius,
        float(np.mean([len(rows) for rows in inside])),
        build_s,
        size,
        alone.get("open_s"),
        alone.get("memory_mb"),
        searches,
    )


def _search(
    world: World,
    asked: NDArray[np.float32],
    centres: NDArray[np.float64],
    inside: list[NDArray[np.int64]],
    radius: float,
    store: VectorStore,
    clock: Callable[[], float],
) -> dict[str, Cost]:
    """All ways in turn, query by query."""
    answers: dict[str, list[set[int]]] = {"exact": [], "index": [], "index, near": [], "exact, near": []}
    turns = {name: itertools.count() for name in answers}

    def keep(name: str, search: Callable[[int], NDArray[np.int64]]) -> Callable[[], object]:
        return lambda: answers[name].append(set(search(next(turns[name])).tolist()))

    def near(k: int) -> Hits:
        latitude, longitude = centres[k].tolist()
        return store.search(asked[k], PLACES, (latitude, longitude), radius)

    seconds = interleave(
        {
            "exact": keep("exact", lambda k: _best(world.vectors @ asked[k])),
            "index": keep("index", lambda k: store.search(asked[k], PLACES).ids),
            "index, near": keep("index, near", lambda k: near(k).ids),
        },
        len(asked) - 1,
        clock,
    )
    answers["exact, near"] = [
        set(rows[_best(world.vectors[rows] @ query)].tolist()) for rows, query in zip(inside, asked, strict=True)
    ]
    store.close()
    costs = {}
    for name, taken in seconds.items():
        truth = answers["exact, near" if name.endswith("near") else "exact"][1:]
        found = sum(len(a & b) for a, b in zip(answers[name][1:], truth, strict=True))
        costs[name] = Cost(
            1e3 * float(np.median(taken)),
            1e3 * float(np.percentile(taken, 99)),
            found / sum(map(len, truth)),
            float(np.median(taken / seconds["exact"])),
        )
    return costs


def _best(scores: NDArray[np.float32]) -> NDArray[np.int64]:
    count = min(PLACES, len(scores))
    return np.argpartition(-scores, count - 1)[:count]


def _in_own_process(path: Path, asked: NDArray[np.float32]) -> dict[str, float]:
    queries = path.with_name(path.name + ".queries.npy")
    np.save(queries, asked)
    try:
        run = subprocess.run(
            [sys.executable, "-m", __name__, str(path), str(queries)], capture_output=True, text=True, check=False
        )
    finally:
        queries.unlink()
    if run.returncode:
        raise CvgeoError(f"the process that was to be measured failed: {run.stderr.strip()[-500:]}")
    found: dict[str, float] = json.loads(run.stdout.splitlines()[-1])
    return found


def _own_bytes() -> int:
    """Memory of this process that is no file's, in RAM."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon:")]
    return int(line.split()[1]) << 10


def _child(path: str, queries: str) -> None:
    from ..place.cells import library
    from ..place.vectors_file import FileVectors

    asked = np.load(queries)
    library()
    before = _own_bytes()
    begun = time.perf_counter()
    store = FileVectors(Path(path))
    opened = time.perf_counter() - begun
    for query in asked:
        store.search(query, PLACES)
    print(json.dumps({"open_s": opened, "memory_mb": (_own_bytes() - before) / 1e6}))


if __name__ == "__main__":
    _child(*sys.argv[1:])
