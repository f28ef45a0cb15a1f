import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cvgeo_ros.bench.placeworld import make_world
from cvgeo_ros.errors import PlaceError
from cvgeo_ros.geo import distance
from cvgeo_ros.place import vectors_file_writer
from cvgeo_ros.place.vectors import IndexHeader, open_vectors, write_vectors
from cvgeo_ros.place.vectors_file import FileVectors

DIM = 12


def header(windows: int, dim: int = DIM) -> IndexHeader:
    return IndexHeader("m", "w", "a", dim, (120.0,), 0.5, windows)


def rows(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every second window of a map about the antimeridian."""
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((count, DIM)).astype(np.float16).astype(np.float32)
    places = np.stack([rng.uniform(-0.05, 0.05, count), 180 + rng.uniform(-0.05, 0.05, count)], axis=-1)
    places[:, 1] = (places[:, 1] + 180) % 360 - 180
    return np.arange(count) * 2, vectors, places


def write(path: Path, count: int, batch: int = 7) -> None:
    ids, vectors, places = rows(count)
    with write_vectors(path, header(2 * count)) as writer:
        for start in range(0, count, batch):
            part = slice(start, start + batch)
            writer.add(ids[part], vectors[part], places[part])
        writer.finish(lambda what: None)


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0x40
    path.write_bytes(data)


def test_answers_are_exact(tmp_path: Path) -> None:
    path = tmp_path / "a.places"
    write(path, 300)
    ids, vectors, _ = rows(300)
    store = open_vectors(path, header(600))
    assert len(store) == 300 and store.header == header(600)
    for query in np.random.default_rng(1).standard_normal((20, DIM)).astype(np.float32):
        hits = store.search(query, 9)
        best = np.argsort(-(vectors @ query))[:9]
        np.testing.assert_array_equal(hits.ids, ids[best])
        np.testing.assert_allclose(hits.scores, (vectors @ query)[best], rtol=1e-5)
        np.testing.assert_array_equal(hits.vectors, vectors[best])
    assert len(store.search(query, 1000).ids) == 300


@pytest.mark.parametrize("radius", [300.0, 3000.0, 1e5])
def test_near_means_within_the_radius_on_both_sides_of_the_antimeridian(tmp_path: Path, radius: float) -> None:
    write(tmp_path / "a.places", 400)
    ids, vectors, places = rows(400)
    store = open_vectors(tmp_path / "a.places", header(800))
    near = (0.01, -179.995)
    inside = distance(places, near) <= radius
    query = np.ones(DIM, np.float32)
    hits = store.search(query, 400, near, radius)
    assert set(hits.ids) == set(ids[inside]) and (radius < 1e3 or inside.any())
    assert (np.diff(hits.scores) <= 0).all()
    np.testing.assert_allclose(
        hits.scores[:1], (vectors @ query)[inside].max(initial=-np.inf, keepdims=True)[: len(hits.ids)], rtol=1e-5
    )


@pytest.mark.parametrize("harm", ["none", "half a record", "damaged record", "sealed but not renamed"])
def test_a_stopped_run_is_gone_on_with(tmp_path: Path, harm: str) -> None:
    whole, path = tmp_path / "whole.places", tmp_path / "a.places"
    write(whole, 100)
    ids, vectors, places = rows(100)
    with write_vectors(path, header(200)) as writer:
        writer.add(ids[:60], vectors[:60], places[:60])
    part, kept = tmp_path / "a.places.part", 60
    assert not path.exists()
    if harm == "half a record":
        part.write_bytes(part.read_bytes()[:-9])
        kept = 59
    elif harm == "damaged record":
        flip(part, part.stat().st_size - 5 * (16 + 8 + 2 * DIM))
        kept = 55
    elif harm == "sealed but not renamed":
        part.write_bytes(whole.read_bytes())
        kept = 100
    with write_vectors(path, header(200)) as writer:
        assert abs(writer.rows - kept) <= (harm == "damaged record") and writer.next == ids[writer.rows - 1] + 1
        left = slice(writer.rows, None)
        if writer.rows < 100:
            writer.add(ids[left], vectors[left], places[left])
        writer.finish(lambda what: None)
    assert path.read_bytes() == whole.read_bytes() and not part.exists()


def test_what_another_model_left_unfinished_is_not_gone_on_with(tmp_path: Path) -> None:
    ids, vectors, places = rows(10)
    with write_vectors(tmp_path / "a.places", IndexHeader("m", "other", "a", DIM, (120.0,), 0.5, 20)) as writer:
        writer.add(ids, vectors, places)
    with write_vectors(tmp_path / "a.places", header(20)) as writer:
        assert (writer.rows, writer.next) == (0, 0)


def test_one_process_writes_at_a_time(tmp_path: Path) -> None:
    with (
        write_vectors(tmp_path / "a.places", header(20)),
        pytest.raises(PlaceError, match="another `cvgeo place index`"),
    ):
        write_vectors(tmp_path / "a.places", header(20))
    with write_vectors(tmp_path / "a.places", header(20)) as writer, pytest.raises(PlaceError, match="no window"):
        writer.finish(lambda what: None)


def look(path: Path, windows: int) -> list[np.ndarray]:
    """Answers to searches of the whole map and near a place."""
    store = open_vectors(path, header(windows))
    answers = [store.search(query, 3) for query in np.eye(DIM, dtype=np.float32)]
    answers.append(store.search(np.ones(DIM, np.float32), 30, (0.0, 180.0), 5000.0))
    return [part for hits in answers for part in (hits.ids, hits.scores)]


def test_no_damage_goes_unnoticed(tmp_path: Path) -> None:
    path = tmp_path / "a.places"
    write(path, 20)
    sound = path.read_bytes()
    expected = look(path, 40)
    for at in range(0, len(sound), 3):
        damaged = bytearray(sound)
        damaged[at] ^= 1 << at % 8
        path.write_bytes(damaged)
        with pytest.raises(PlaceError, match=r"damaged .*`cvgeo place index"):
            look(path, 40)
    for length in range(0, len(sound), 41):
        path.write_bytes(sound[:length])
        with pytest.raises(PlaceError, match="damaged"):
            look(path, 40)
    path.write_bytes(sound)
    for a, b in zip(look(path, 40), expected, strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(PlaceError, match="not indexed"):
        open_vectors(tmp_path / "b.places", header(40))


@pytest.fixture
def many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], tuple[FileVectors, object]]:
    pytest.importorskip("faiss")
    monkeypatch.setattr(vectors_file_writer, "EXACT", 1000)
    monkeypatch.setattr("cvgeo_ros.place.vectors_file.FEW", 100)
    world = make_world(12_000, 64)
    places = np.stack([world.latitude, world.longitude], axis=-1).astype(np.float64)
    with write_vectors(tmp_path / "a.places", header(12_000, 192)) as writer:
        writer.add(np.arange(12_000), world.vectors, places)
        writer.finish(lambda what: None)
    return lambda: (FileVectors(tmp_path / "a.places"), world)


def test_cells_find_nearly_all_of_the_best(many: Callable) -> None:
    store, world = many()
    places = np.stack([world.latitude, world.longitude], axis=-1)
    queries, _ = world.sentences(60)
    found = near_found = 0
    for query in queries:
        scores = world.vectors @ query
        hits = store.search(query, 10)
        found += len(set(hits.ids) & set(np.argsort(-scores)[:10]))
        np.testing.assert_allclose(hits.scores, scores[hits.ids], atol=2e-3)
        inside = np.flatnonzero(distance(places, (-0.03, 0.03)) <= 1500.0)
        assert 500 < len(inside) < 6000
        hits = store.search(query, 10, (-0.03, 0.03), 1500.0)
        assert set(hits.ids) <= set(inside)
        near_found += len(set(hits.ids) & set(inside[np.argsort(-scores[inside])[:10]]))
    assert found >= 0.97 * 600 and near_found >= 0.97 * 600


def test_few_windows_near_a_place_are_compared_one_by_one(many: Callable) -> None:
    store, world = many()
    places = np.stack([world.latitude, world.longitude], axis=-1)
    inside = np.flatnonzero(distance(places, (-0.03, 0.03)) <= 150.0)
    assert 5 < len(inside) <= 100
    hits = store.search(world.sentences(1)[0][0], 1000, (-0.03, 0.03), 150.0)
    assert set(hits.ids) == set(inside)


def test_damaged_cells_are_refused(many: Callable) -> None:
    store, _ = many()
    path, size = store.path, store.path.stat().st_size
    for at in (size - 20_000, size - 200_000, size - 2_000_000):
        flip(path, at)
        with pytest.raises(PlaceError, match="damaged"):
            FileVectors(path)
        flip(path, at)
    FileVectors(path)


def test_without_faiss_the_message_says_how_to_get_it(many: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(PlaceError, match=r"pip install -r requirements/place\.txt"):
        many()


def test_small_indices_need_no_faiss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    write(tmp_path / "a.places", 50)
    assert len(FileVectors(tmp_path / "a.places").search(np.ones(DIM, np.float32), 5).ids) == 5


@pytest.mark.parametrize("query", [np.ones(DIM - 1), np.full(DIM, np.nan), np.ones((1, DIM))])
def test_queries_that_cannot_be_compared(tmp_path: Path, query: np.ndarray) -> None:
    write(tmp_path / "a.places", 5)
    with pytest.raises(PlaceError, match="12 finite numbers"):
        open_vectors(tmp_path / "a.places", header(10)).search(query.astype(np.float32), 1)
