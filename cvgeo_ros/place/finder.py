"""From a sentence to ranked places."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import PlaceError
from ..geo.geodesy import check_place, geodetic_to_enu
from .config import PlaceConfig
from .experts import TextEmbedding, fused_query
from .index import PlaceHits, PlaceIndex
from .query import check_query, query_note

SHARED = 0.2
"""Windows that share more than this much of the smaller one's ground are one place."""
FIRST, MORE, MOST = 8, 4, 8192
"""Windows looked at for each place asked for, how many times as many in the next round, and in all."""


class TextModel(Protocol):
    """What a finder needs of a `PlaceModel`."""

    @property
    def config(self) -> PlaceConfig: ...
    def embed_texts(self, texts: Sequence[str]) -> TextEmbedding: ...


@dataclass(frozen=True)
class Candidate:
    """A place that may be meant.

    Attributes:
        latitude, longitude: of the window's centre, degrees.
        bounds: south, west, north, east in degrees; west > east across the antimeridian.
        score: fused score, the sum of gate times cosine, in -1..1.
        expert_scores: cosine of each expert, in the order of `PLATFORMS`.
        window: u_min, v_min, u_max, v_max, tile px; the upright box around the window.
    """

    latitude: float
    longitude: float
    bounds: tuple[float, float, float, float]
    score: float
    expert_scores: tuple[float, float, float]
    window: tuple[float, float, float, float]


@dataclass(frozen=True)
class Places:
    """The answer to a sentence.

    Attributes:
        query: the sentence as it was understood.
        note: a remark for the user; "" where there is none.
        gate: weights of the experts, which sum to one, in the order of `PLATFORMS`.
        candidates: best first; none of them overlap much.
    """

    query: str
    note: str
    gate: tuple[float, float, float]
    candidates: list[Candidate]


class PlaceFinder:
    """Finds places of one map by sentences.

    Attributes:
        model: encodes sentences.
        index: of the map.
    """

    def __init__(self, model: TextModel, index: PlaceIndex) -> None:
        self.model, self.index = model, index

    def find(
        self,
        text: str,
        count: int = 10,
        near: tuple[float, float] | None = None,
        radius: float | None = None,
    ) -> Places:
        """Rank the places of the map by how well a sentence tells of them.

        Args:
            text: the sentence.
            count: places, at most.
            near, radius: only within `radius` metres of latitude, longitude (degrees); both or neither.

        Raises:
            PlaceError: the sentence is empty, too long or without letters; near without radius; a count below 1.
            MapError: `near` is no place on Earth.
        """
        if count < 1:
            raise PlaceError(f"count is {count}: at least 1 place has to be asked for")
        if (near is None) != (radius is None):
            raise PlaceError("near and radius go together: give both, or neither for the whole map")
        if near is not None and radius is not None:
            check_place(*near, "near")
            if not 0.0 < radius < float("inf"):
                raise PlaceError(f"radius is {radius:g}: give metres above 0")
        query = check_query(text)
        embedding = self.model.embed_texts([query])
        note = query_note(query, self.model.config.english)
        vector = fused_query(embedding)[0]
        candidates = self._rank(vector, embedding.experts[0], count, near, radius)
        if not candidates and near is not None and radius is not None:
            far = f"no window of the map has its centre within {radius:g} m of {near[0]:g}, {near[1]:g}"
            note = f"{note}; {far}" if note else far
        first, second, third = embedding.gate[0].tolist()
        return Places(query, note, (first, second, third), candidates)

    def _rank(
        self,
        vector: NDArray[np.float32],
        experts: NDArray[np.float32],
        count: int,
        near: tuple[float, float] | None,
        radius: float | None,
    ) -> list[Candidate]:
        """The best places, (3,) cosines in each: more windows are looked at until there are enough apart."""
        look = FIRST * count
        while True:
            hits = self.index.search(vector, look, near, radius)
            kept = thin(hits, count)
            if len(kept) == count or len(hits.ids) < look or look >= MOST:
                break
            look = min(MORE * look, MOST)
        return [self._candidate(hits, k, experts) for k in kept]

    def _candidate(self, hits: PlaceHits, k: int, experts: NDArray[np.float32]) -> Candidate:
        window = self.index.window(int(hits.ids[k]))
        first, second, third = np.einsum("ed,ed->e", hits.vectors[k], experts).tolist()
        return Candidate(
            window.latitude,
            window.longitude,
            window.bounds,
            float(hits.scores[k]),
            (first, second, third),
            window.box,
        )


def thin(hits: PlaceHits, count: int) -> list[int]:
    """Which hits, best first and at most `count`, do not overlap a better one by more than `SHARED`."""
    sides = hits.sides
    free = np.ones(len(sides), np.bool_)
    kept: list[int] = []
    for k in range(len(sides)):
        if not free[k]:
            continue
        kept.append(k)
        if len(kept) == count:
            break
        latitude, longitude = hits.centres[k].tolist()
        apart = np.abs(geodetic_to_enu(hits.centres, (latitude, longitude)))
        smaller = np.minimum(sides, sides[k])
        common = np.clip((sides[:, None] + sides[k]) / 2 - apart, 0.0, smaller[:, None])
        free &= common.prod(axis=1) <= SHARED * smaller**2
    return kept
