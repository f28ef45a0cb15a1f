"""How far down the list of a map's windows the right place comes for a sentence."""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import DatasetError
from ...geo import distance
from ...place.experts import PlaceModel, fused_query
from ...place.index import PlaceIndex
from ...place.query import check_query

FIELDS = ("sentence", "latitude", "longitude")


@dataclass(frozen=True)
class Told:
    """A sentence and the place it tells of, degrees."""

    sentence: str
    latitude: float
    longitude: float


@dataclass(frozen=True)
class Ranked:
    """Where a sentence's place came.

    Attributes:
        told: what was asked.
        rank: of the first window that is right, from 1; None: no window is.
        right: share of the map's windows that are.
        chance: median rank of an order drawn at random.
        score: of that window.
    """

    told: Told
    rank: int | None
    right: float
    chance: float
    score: float


def read_sentences(path: Path) -> list[Told]:
    """Read a CSV with the columns `FIELDS`.

    Raises:
        DatasetError: it cannot be read, or a line is wrong; names it.
    """
    told: list[Told] = []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            if not set(FIELDS) <= set(reader.fieldnames or ()):
                raise DatasetError(f"{path}: the first line must name the columns {', '.join(FIELDS)}")
            for row in reader:
                latitude, longitude = float(row["latitude"]), float(row["longitude"])
                if not (abs(latitude) <= 90.0 and abs(longitude) <= 180.0):
                    raise ValueError(f"{latitude}, {longitude} is no place on Earth")
                told.append(Told(check_query(row["sentence"]), latitude, longitude))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path}: cannot be read as CSV: {error}") from error
    except (ValueError, TypeError) as error:
        raise DatasetError(f"{path}: line {len(told) + 2}: {error}") from error
    if not told:
        raise DatasetError(f"{path}: holds no sentences")
    return told


def rank(model: PlaceModel, index: PlaceIndex, told: Sequence[Told], within: float) -> list[Ranked]:
    """Rank all windows of a map for each sentence; one whose centre lies `within` metres of the place is right.

    Raises:
        PlaceError, MapError: as `PlaceIndex.search`.
    """
    queries = fused_query(model.embed_texts([item.sentence for item in told]))
    results = []
    for item, query in zip(told, queries, strict=True):
        hits = index.search(query, len(index))
        away = distance(hits.centres, (item.latitude, item.longitude))
        right = away <= within
        first = int(right.argmax()) if right.any() else None
        share = float(right.mean())
        chance = math.inf if share == 0.0 else 1.0 if share == 1.0 else max(1.0, math.log(0.5) / math.log1p(-share))
        results.append(
            Ranked(
                item,
                None if first is None else first + 1,
                share,
                chance,
                math.nan if first is None else float(hits.scores[first]),
            )
        )
    return results
