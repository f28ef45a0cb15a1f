from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from painted import BLUE, RED, ColourModel, discs, paint, painted, place_of

from cvgeo_ros.errors import MapError, PlaceError
from cvgeo_ros.geo import TileStore, distance, open_store
from cvgeo_ros.place.experts import fused_query
from cvgeo_ros.place.index import PlaceIndex, build_index, where
from cvgeo_ros.place.windows import WindowGrid


@pytest.fixture
def tile(tmp_path: Path) -> TileStore:
    return open_store(paint(tmp_path / "map.tif", discs))


def best(index: PlaceIndex, colour: str, count: int = 1) -> np.ndarray:
    return index.search(fused_query(ColourModel().embed_texts([colour]))[0], count).centres


@pytest.mark.parametrize("kind", ["utm", "turned", "degrees", "mbtiles"])
def test_the_window_that_a_query_asks_for_comes_first(kind: str, tmp_path: Path) -> None:
    tile = painted(kind, tmp_path, discs)
    model = ColourModel()
    told: list[tuple[int, int, str]] = []
    built = build_index(model, tile, progress=lambda *state: told.append(state))
    assert built.reason == "there was none" and built.location == where(tile, model)
    assert built.windows == len(model.seen) and built.windows + built.empty == len(WindowGrid(tile))
    assert (built.empty > 0) == (kind == "turned") or kind == "mbtiles"
    counts = [done for done, _, _ in told]
    assert counts == sorted(counts) and told[-1][0] == told[-1][1] == len(WindowGrid(tile))
    assert set(np.round(model.metres)) == {120.0, 240.0}
    index = PlaceIndex.open(tile, model)
    assert len(index) == built.windows
    for colour, spot in (("red", RED), ("blue", BLUE)):
        assert distance(best(index, colour)[0], place_of(spot)) < 60.0
    hits = index.search(np.ones(12, np.float32), 7)
    assert hits.vectors.shape == (7, 3, 4) and hits.sides.shape == (7,)
    np.testing.assert_allclose(hits.vectors.reshape(7, -1).sum(axis=1), hits.scores, rtol=1e-5)
    index.close()


def test_what_is_there_is_kept_and_what_is_stopped_gone_on_with(tile: TileStore) -> None:
    whole = ColourModel()
    first = build_index(whole, tile)
    sound = Path(first.location).read_bytes()
    again = ColourModel()
    assert build_index(again, tile).reason == "" and not again.seen
    assert build_index(again, tile, force=True).reason == "asked for" and len(again.seen) == first.windows
    Path(first.location).unlink()
    with pytest.raises(KeyboardInterrupt):
        build_index(ColourModel(fail_after=100), tile)
    with pytest.raises(PlaceError, match="not indexed; run `cvgeo place index"):
        PlaceIndex.open(tile, whole)
    rest = ColourModel()
    built = build_index(rest, tile)
    assert 64 <= built.kept <= 100 and len(rest.seen) == first.windows - built.kept
    assert Path(first.location).read_bytes() == sound


def test_an_index_of_other_weights_is_noticed_and_made_anew(tile: TileStore) -> None:
    build_index(ColourModel("old"), tile)
    model = ColourModel("new")
    with pytest.raises(PlaceError, match="made with another model; run `cvgeo place index"):
        PlaceIndex.open(tile, model)
    assert build_index(model, tile).reason == "it was made with another model"
    assert len(best(PlaceIndex.open(tile, model), "red"))


def test_an_index_of_a_changed_map_is_noticed_and_made_anew(tile: TileStore, tmp_path: Path) -> None:
    model = ColourModel()
    build_index(model, tile)
    changed = open_store(paint(tmp_path / "map.tif", lambda at: discs(-at)))
    with pytest.raises(PlaceError, match="map has changed since"):
        PlaceIndex.open(changed, model)
    assert build_index(model, changed).reason == "the map has changed since"
    centre = best(PlaceIndex.open(changed, model), "red")[0]
    assert distance(centre, place_of((-RED[0], -RED[1]))) < 60.0


def test_a_copy_is_the_same_map(tile: TileStore, tmp_path: Path) -> None:
    built = build_index(ColourModel(), tile)
    (tmp_path / "copy.tif").write_bytes((tmp_path / "map.tif").read_bytes())
    copy = open_store(tmp_path / "copy.tif")
    index = PlaceIndex.open(copy, ColourModel(), built.location)
    assert distance(best(index, "red")[0], place_of(RED)) < 60.0


def test_windows_of_other_sizes(tile: TileStore) -> None:
    model = ColourModel()
    build_index(model, tile)
    built = build_index(model, tile, scales=(90.0,), overlap=0.25)
    assert built.reason == "the windows are of other sizes"
    index = PlaceIndex.open(tile, model)
    assert index.grid.scales == (90.0,) and len(index) == built.windows
    assert set(index.search(np.ones(12, np.float32), 5).sides) == {90.0}


def test_a_damaged_index_is_refused_and_made_anew(tile: TileStore) -> None:
    model = ColourModel()
    built = build_index(model, tile)
    path = Path(built.location)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(PlaceError, match=r"map\.tif\.colour\.places: this index of places is damaged"):
        PlaceIndex.open(tile, model)
    assert build_index(model, tile).reason == "it was damaged"
    PlaceIndex.open(tile, model)


def test_maps_without_a_window(tmp_path: Path) -> None:
    small = open_store(paint(tmp_path / "small.tif", discs, size=(60, 60)))
    with pytest.raises(PlaceError, match="no window of 120 m shows anything"):
        build_index(ColourModel(), small)
    empty = open_store(paint(tmp_path / "empty.tif", discs, void=lambda at: at[..., 0] < 1e9))
    with pytest.raises(PlaceError, match="no window of 120 m shows anything"):
        build_index(ColourModel(), empty)
    assert not list(tmp_path.glob("*.places"))


def test_a_full_disk_is_noticed_before_the_work(tile: TileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1000))
    model = ColourModel()
    with pytest.raises(MapError, match="make room"):
        build_index(model, tile)
    assert not model.seen
