from pathlib import Path

import numpy as np
import pytest
from painted import BLUE, RED, ColourModel, discs, paint, place_of

from cvgeo_ros.errors import MapError, PlaceError
from cvgeo_ros.geo import distance, open_store
from cvgeo_ros.place.finder import SHARED, Candidate, PlaceFinder
from cvgeo_ros.place.index import PlaceIndex, build_index


@pytest.fixture(scope="module")
def finder(tmp_path_factory: pytest.TempPathFactory) -> PlaceFinder:
    tile = open_store(paint(tmp_path_factory.mktemp("map") / "map.tif", discs))
    model = ColourModel()
    build_index(model, tile)
    return PlaceFinder(model, PlaceIndex.open(tile, model))


def shared(a: Candidate, b: Candidate) -> float:
    """Share of the smaller window's ground that both have."""
    low, high = np.maximum(a.bounds[:2], b.bounds[:2]), np.minimum(a.bounds[2:], b.bounds[2:])
    areas = [np.prod(np.subtract(c.bounds[2:], c.bounds[:2])) for c in (a, b)]
    return float(np.prod(np.clip(high - low, 0.0, None)) / min(areas))


def test_ranks_are_places(finder: PlaceFinder) -> None:
    places = finder.find("  the red   hall ", 12)
    assert places.query == "the red hall" and places.note == ""
    assert places.gate == pytest.approx((0.5, 0.3, 0.2))
    first = places.candidates[0]
    assert distance([first.latitude, first.longitude], place_of(RED)) < 60.0
    scores = [candidate.score for candidate in places.candidates]
    assert len(scores) == 12 and scores == sorted(scores, reverse=True)
    for k, candidate in enumerate(places.candidates):
        fused = np.dot(places.gate, candidate.expert_scores)
        assert candidate.score == pytest.approx(fused, abs=1e-3)
        assert all(shared(candidate, other) <= SHARED + 0.01 for other in places.candidates[:k])


def test_the_window_is_that_of_the_place(finder: PlaceFinder) -> None:
    for candidate in finder.find("blue", 5).candidates:
        u0, v0, u1, v1 = candidate.window
        place = finder.index.tile.transform.pixel_to_geodetic([(u0 + u1) / 2, (v0 + v1) / 2])
        assert distance(place, [candidate.latitude, candidate.longitude]) < 1.0
        south, west, north, east = candidate.bounds
        assert south < candidate.latitude < north and west < candidate.longitude < east


def test_more_places_than_there_are(finder: PlaceFinder) -> None:
    candidates = finder.find("green", 1000).candidates
    assert 10 < len(candidates) < len(finder.index)
    # Nothing more would fit: what is left out overlaps what is there.
    assert len(finder.find("green", len(candidates)).candidates) == len(candidates)


def test_near_confines_the_search(finder: PlaceFinder) -> None:
    blue = place_of(BLUE)
    candidates = finder.find("red", 50, blue, 150.0).candidates
    assert candidates
    for candidate in candidates:
        assert distance([candidate.latitude, candidate.longitude], blue) <= 150.0 + 0.01
    places = finder.find("red", 5, (10.0, 10.0), 150.0)
    assert places.candidates == [] and "no window of the map has its centre within 150 m of 10, 10" in places.note


@pytest.mark.parametrize(
    ("text", "count", "near", "radius", "words"),
    [
        ("", 1, None, None, "the query is empty"),
        ("red " * 2500, 1, None, None, "characters"),
        ("1234", 1, None, None, "holds no letters"),
        ("red", 0, None, None, "at least 1 place"),
        ("red", 1, (45.0, 9.0), None, "near and radius go together"),
        ("red", 1, None, 10.0, "near and radius go together"),
        ("red", 1, (45.0, 9.0), 0.0, "metres above 0"),
        ("red", 1, (45.0, 9.0), float("nan"), "metres above 0"),
        ("red", 1, (95.0, 9.0), 10.0, "no place on Earth"),
    ],
)
def test_what_cannot_be_asked(
    finder: PlaceFinder, text: str, count: int, near: tuple[float, float] | None, radius: float | None, words: str
) -> None:
    with pytest.raises((PlaceError, MapError), match=words):
        finder.find(text, count, near, radius)


def test_other_scripts_are_answered_with_a_note(finder: PlaceFinder, tmp_path: Path) -> None:
    places = finder.find("red 红色的大厅在湖边", 2)
    assert len(places.candidates) == 2 and "hardly understood" in places.note
