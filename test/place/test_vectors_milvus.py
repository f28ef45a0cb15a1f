"""Against a real server on a local port, Milvus Lite's, in place of a cluster."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from painted import BLUE, ColourModel, discs, paint, place_of

from cvgeo_ros.errors import PlaceError
from cvgeo_ros.geo import distance, open_store
from cvgeo_ros.place import vectors_milvus
from cvgeo_ros.place.finder import PlaceFinder
from cvgeo_ros.place.index import PlaceIndex, build_index
from cvgeo_ros.place.vectors import IndexHeader, open_vectors, write_vectors
from cvgeo_ros.place.vectors_milvus import box

pytest.importorskip("pymilvus")
pytest.importorskip("milvus_lite")
DIM = 12


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = tmp_path_factory.mktemp("milvus")
    command = [sys.executable, "-m", "milvus_lite", "server", "--data-dir", str(folder), "--port", str(port)]
    with (folder / "log.txt").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | {"OMP_NUM_THREADS": "1"})
    try:
        for _ in range(300):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert server.poll() is None, (folder / "log.txt").read_text()
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(20)


def header(name: str, windows: int = 800) -> IndexHeader:
    return IndexHeader("m", "w", name, DIM, (120.0,), 0.5, windows)


def rows(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every second window of a map about the antimeridian."""
    rng = np.random.default_rng(0)
    places = np.stack([rng.uniform(-0.05, 0.05, count), 180 + rng.uniform(-0.05, 0.05, count)], axis=-1)
    places[:, 1] = (places[:, 1] + 180) % 360 - 180
    return np.arange(count) * 2, rng.standard_normal((count, DIM)).astype(np.float32), places


@pytest.mark.parametrize("exact", [True, False])
def test_answers_are_those_of_the_vectors(uri: str, exact: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not exact:
        monkeypatch.setattr(vectors_milvus, "EXACT", 100)
    wanted = header(f"answers {exact}")
    ids, vectors, places = rows(400)
    with write_vectors(uri, wanted) as writer:
        writer.add(ids, vectors, places)
        with pytest.raises(PlaceError, match="not indexed there for this model; run `cvgeo place index"):
            open_vectors(uri, wanted)
        writer.finish(lambda what: None)
    store = open_vectors(uri, wanted)
    assert len(store) == 400 and store.header == wanted
    near = (0.01, -179.995)
    for query in np.random.default_rng(1).standard_normal((5, DIM)).astype(np.float32):
        hits = store.search(query, 9)
        np.testing.assert_array_equal(hits.ids, ids[np.argsort(-(vectors @ query))[:9]])
        np.testing.assert_allclose(hits.scores, np.sort(vectors @ query)[::-1][:9], rtol=1e-4)
        for radius, count in ((300.0, 400), (3000.0, 400), (3000.0, 5), (1e5, 7)):
            inside = np.flatnonzero(distance(places, near) <= radius)
            hits = store.search(query, count, near, radius)
            np.testing.assert_array_equal(hits.ids, ids[inside[np.argsort(-(vectors @ query)[inside])][:count]])
    store.close()


@pytest.mark.parametrize("done", [0, 1, 60, 100])
def test_a_stopped_run_is_gone_on_with(uri: str, done: int) -> None:
    wanted = header(f"stopped {done}", 200)
    ids, vectors, places = rows(100)
    with write_vectors(uri, wanted) as writer:
        if done:
            writer.add(ids[:done], vectors[:done], places[:done])
    with write_vectors(uri, wanted) as writer:
        assert writer.rows == done and writer.next == (ids[done - 1] + 1 if done else 0)
        if done < 100:
            writer.add(ids[done:], vectors[done:], places[done:])
        writer.finish(lambda what: None)
    assert set(open_vectors(uri, wanted).search(np.ones(DIM, np.float32), 1000).ids) == set(ids)


def test_the_same_setting_serves_file_and_cluster(uri: str, tmp_path: Path) -> None:
    tile = open_store(paint(tmp_path / "map.tif", discs))
    model = ColourModel()
    answers = []
    for location in (None, uri):
        assert build_index(model, tile, location).reason == "there was none"
        assert build_index(model, tile, location).reason == ""
        index = PlaceIndex.open(tile, model, location)
        finder = PlaceFinder(model, index)
        answers.append([finder.find("red", 4), finder.find("red", 3, place_of(BLUE), 400.0)])
        index.close()
    for a, b in zip(*answers, strict=True):
        assert [c.bounds for c in a.candidates] == [c.bounds for c in b.candidates]
        np.testing.assert_allclose([c.score for c in a.candidates], [c.score for c in b.candidates], atol=2e-3)
    # A second aircraft with a copy of the map, another with a map that has changed.
    (tmp_path / "copy.tif").write_bytes((tmp_path / "map.tif").read_bytes())
    assert len(PlaceIndex.open(open_store(tmp_path / "copy.tif"), model, uri)) == len(model.seen) // 2
    changed = open_store(paint(tmp_path / "changed.tif", lambda at: discs(-at)))
    with pytest.raises(PlaceError, match="not indexed there"):
        PlaceIndex.open(changed, model, uri)
    built = build_index(model, tile, uri, scales=(200.0,))
    assert built.reason == "the windows are of other sizes"
    assert len(PlaceIndex.open(tile, model, uri)) == built.windows


def test_a_milvus_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(PlaceError, match=r"^http://127\.0\.0\.1:9: the Milvus cannot be used"):
        open_vectors("http://me:secret@127.0.0.1:9", header("a"))
    tile = open_store(paint(tmp_path / "map.tif", discs))
    with pytest.raises(PlaceError, match="cannot be used"):
        build_index(ColourModel(), tile, "http://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "pymilvus", None)
    with pytest.raises(PlaceError, match=r"pip install -r requirements/place\.txt"):
        open_vectors("http://127.0.0.1:9", header("a"))


@pytest.mark.parametrize("near", [(0.0, 179.9), (80.0, -179.0), (89.9, 10.0), (-60.0, 20.0)])
@pytest.mark.parametrize("radius", [50.0, 5_000.0, 200_000.0])
def test_the_box_of_a_circle_holds_all_of_it(near: tuple[float, float], radius: float) -> None:
    from cvgeo_ros.geo import enu_to_geodetic

    condition = box(near, radius)
    for angle in np.radians(np.arange(0, 360, 5)):
        offset = 0.999 * radius * np.array([np.sin(angle), np.cos(angle)])
        latitude, longitude = enu_to_geodetic(offset, near).tolist()
        assert eval(condition, {"latitude": latitude, "longitude": longitude}), (latitude, longitude)
