"""Prepared features: the same as those computed, found beside the map, refused where they are others' or damaged."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from cvgeo_ros.errors import MapError
from cvgeo_ros.geo import open_store
from cvgeo_ros.geo.identity import features_path, map_digest
from cvgeo_ros.localizer import Localizer, Prior
from cvgeo_ros.localizer.features import FeatureCache, Grid
from cvgeo_ros.localizer.store import FeatureStore
from cvgeo_ros.localizer.store_writer import FeatureWriter
from cvgeo_ros.maps.prepare import plan, prepare, state
from cvgeo_ros.net import CrossViewLocator, NetConfig

from .conftest import EAST, NORTH, texture, write_map

SIDE = 600
"""Pixels of the map: 75 x 75 cells at zoom 1, four blocks, all but the first cut."""


def make_small(config: NetConfig) -> Localizer:
    torch.manual_seed(3)
    return Localizer(CrossViewLocator(config))


@pytest.fixture
def small(small_config: NetConfig) -> Localizer:
    return make_small(small_config)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, small_config: NetConfig) -> Path:
    """A map with its features beside it."""
    path = write_map(tmp_path_factory.mktemp("prepared") / "town.tif", texture(SIDE, seed=5))
    with open_store(path) as tile:
        prepare(make_small(small_config), tile)
    return path


@pytest.fixture
def town(tmp_path: Path, prepared: Path) -> Path:
    """The map alone."""
    return Path(shutil.copyfile(prepared, tmp_path / "town.tif"))


@pytest.fixture
def features(prepared: Path, town: Path) -> Path:
    """Its features, beside it."""
    path = features_path(town, "small")
    shutil.copyfile(features_path(prepared, "small"), path)
    return path


def test_prepared_features_are_those_computed_in_flight(small: Localizer, town: Path, features: Path) -> None:
    assert features == features_path(town, "small") and features.parent == town.parent
    with open_store(town) as tile:
        small.set_tile(tile)
        assert small._placer is not None and small.notice == ""
        prepared, live = small._placer.cache, FeatureCache(small.model, tile, 1 << 30)
        for zoom in (1.0, 2.0, 8.0, 32.0):
            grid = Grid.matched(tile, small.model.config.gsd, zoom)
            ours, theirs = (cache.window(grid, 1, 1, *grid.cells) for cache in (prepared, live))
            for name in ("match", "context", "gated"):
                assert torch.equal(getattr(ours.features, name), getattr(theirs.features, name))
            assert torch.equal(ours.void, theirs.void)
        assert prepared.encoded == 0 < live.encoded
        small.set_tile(None)


def test_answers_do_not_change_and_nothing_is_encoded(small: Localizer, town: Path, features: Path) -> None:
    frame, prior = texture(400, seed=9), Prior(yaw=1.0, height=60.0)
    answers = []
    for keep in (True, False):
        if not keep:
            features.unlink()
        with open_store(town) as tile:
            small.set_tile(tile)
            answers.append(small.locate(frame, [[100, 100], [300, 250]], prior=prior).targets)
            assert small._placer is not None
            assert (small._placer.cache.encoded == 0) is keep
            small.set_tile(None)
    assert answers[0] == answers[1]


def test_memory_stays_within_the_limit(small: Localizer, town: Path, features: Path) -> None:
    with open_store(town) as tile:
        cache = FeatureCache(small.model, tile, 1 << 20, FeatureStore(features))
        grid = Grid.matched(tile, small.model.config.gsd)
        for i in range(0, 60, 10):
            cache.window(grid, i, i, i + 40, i + 40)
            assert cache.bytes <= 1 << 20
        cache.close()


def test_copies_of_map_and_features_serve_elsewhere(
    small: Localizer, town: Path, features: Path, tmp_path: Path
) -> None:
    aboard = tmp_path / "aboard"
    aboard.mkdir()
    for file in (town, features):
        shutil.copyfile(file, aboard / file.name)  # other times of change than the originals
    with open_store(aboard / town.name) as tile:
        small.set_tile(tile)
        assert small.notice == "" and small._placer is not None and small._placer.cache.prepared is not None
        small.set_tile(None)


def test_features_of_another_model_are_left_alone_and_made_anew(small: Localizer, town: Path, features: Path) -> None:
    with torch.no_grad():
        next(small.model.parameters()).add_(0.01)
    with open_store(town) as tile:
        small.set_tile(tile)
        assert "other weights" in small.notice and "cvgeo map prepare" in small.notice
        assert small._placer is not None and small._placer.cache.prepared is None
        assert prepare(small, tile).reason == "they were computed with other weights"
        small.set_tile(tile)
        assert small.notice == "" and small._placer.cache.prepared is not None
        small.set_tile(None)


def test_features_of_a_changed_map_are_left_alone_and_made_anew(small: Localizer, town: Path, features: Path) -> None:
    image = texture(SIDE, seed=5)
    image[300, 300] ^= 64
    write_map(town, image)
    with open_store(town) as tile:
        small.set_tile(tile)
        assert "the map has changed since" in small.notice
        assert state(plan(small, tile)) == "the map has changed since"
        small.set_tile(None)


def test_a_map_moved_by_a_world_file_is_another(small: Localizer, town: Path, features: Path) -> None:
    before = town.read_bytes()
    town.with_name("town.tif.aux.xml").write_text(
        f"<PAMDataset><GeoTransform>{EAST + 5}, 0.32, 0, {NORTH}, 0, -0.32</GeoTransform></PAMDataset>"
    )
    assert town.read_bytes() == before
    with open_store(town) as tile:
        small.set_tile(tile)
        assert "the map has changed since" in small.notice
        small.set_tile(None)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda data: data[: len(data) // 2], "cut short"),
        (lambda data: data[:-3], "cut short"),
        (lambda data: b"", "not such a file"),
        (lambda data: b"\0" * len(data), "not such a file"),
        (lambda data: data[:20] + b"#" + data[21:], "checksum of the header"),
        (lambda data: data[: index(data)] + b"####" + data[index(data) + 4 :], "checksum of the index"),
    ],
)
def test_damaged_features_are_refused_with_what_to_do(
    small: Localizer, town: Path, features: Path, damage: "object", words: str
) -> None:
    features.write_bytes(damage(features.read_bytes()))  # type: ignore[operator]
    with open_store(town) as tile:
        with pytest.raises(MapError, match=f"damaged.*{words}.*cvgeo map prepare"):
            small.set_tile(tile)
        assert small.tile is None
        assert state(plan(small, tile)) == "they were damaged"


def test_a_damaged_block_is_never_used(
    small: Localizer, town: Path, features: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = bytearray(features.read_bytes())
    data[-1000] ^= 1
    features.write_bytes(data)
    store = FeatureStore(features)
    assert store.verify() == 1
    with open_store(town) as tile:
        small.set_tile(tile)
        assert small._placer is not None
        cache, live = small._placer.cache, FeatureCache(small.model, tile, 1 << 30)
        last = Grid.matched(tile, small.model.config.gsd, 32.0)
        ours, theirs = (c.window(last, 0, 0, *last.cells) for c in (cache, live))
        assert torch.equal(ours.features.match, theirs.features.match)
        assert cache.encoded == 1 and "damaged" in caplog.text and "cvgeo map prepare" in caplog.text
        assert prepare(small, tile).reason == "they were damaged"
        assert prepare(small, tile).reason == ""
        small.set_tile(None)
    store.close()


def test_parts_of_a_map(small: Localizer, town: Path) -> None:
    with open_store(town) as tile:
        south, west, north, east = tile.transform.bounds(520, 520, 580, 590)
        done = prepare(small, tile, (west, south, east, north))
        whole = sum(1 for _ in FeatureCache(small.model, tile, 0).blocks(done.plan.grids[0]))
        assert 0 < done.plan.header.levels[0].count < whole
        small.set_tile(tile)
        assert small._placer is not None
        cache, grid = small._placer.cache, done.plan.grids[0]
        (x0, y0), (x1, y1) = grid.from_tile(np.array([[520, 520], [580, 590]], float)).astype(int)
        cache.window(grid, x0, y0, x1, y1)
        assert cache.encoded == 0
        cache.window(grid, 0, 0, *grid.cells)
        assert cache.encoded == whole - done.plan.header.levels[0].count
        with pytest.raises(MapError, match="outside the map"):
            prepare(small, tile, (0.0, 0.0, 1.0, 1.0))
        assert state(plan(small, tile)) == "they covered another area"
        small.set_tile(None)


def index(data: bytes) -> int:
    """Where the records begin."""
    return 16 + int.from_bytes(data[8:12], "little")


KILLED = """
import json, sys, torch
sys.path.insert(0, {test!r})
from cvgeo_ros.geo import open_store
from cvgeo_ros.localizer import Localizer, Prior
from cvgeo_ros.localizer.store_writer import FeatureWriter
from cvgeo_ros.maps.prepare import plan, prepare, state
from cvgeo_ros.net import CrossViewLocator, NetConfig
torch.manual_seed(3)
config = NetConfig.from_dict(json.loads({config!r}))
prepare(Localizer(CrossViewLocator(config)), open_store({town!r}), progress=lambda *at: print(*at, flush=True))
"""


def test_a_killed_run_goes_on_where_it_stopped(small: Localizer, town: Path, small_config: NetConfig) -> None:
    code = KILLED.format(test=os.getcwd(), config=json.dumps(small_config.to_dict()), town=str(town))
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("3 "):
            break
    process.send_signal(signal.SIGKILL)
    process.wait()
    path = features_path(town, "small")
    part = path.with_name(path.name + ".part")
    assert part.exists() and not path.exists()
    part.write_bytes(part.read_bytes() + b"torn")  # what a block under way leaves behind
    with open_store(town) as tile:
        done = prepare(small, tile)
        assert done.kept >= 2 and done.encoded == done.plan.header.count - done.kept
        assert FeatureStore(path).verify() == 0 and not part.exists()
        small.set_tile(tile)
        grid = done.plan.grids[0]
        live = FeatureCache(small.model, tile, 1 << 30).window(grid, 0, 0, *grid.cells)
        assert small._placer is not None
        resumed = small._placer.cache.window(grid, 0, 0, *grid.cells)
        # The process that was killed may have had other threads: equal but for rounding.
        assert torch.allclose(resumed.features.match, live.features.match, atol=2e-3)
        small.set_tile(None)


def test_two_runs_at_once_are_refused(small: Localizer, town: Path) -> None:
    with open_store(town) as tile:
        wanted = plan(small, tile)
        with FeatureWriter(wanted.path, wanted.header), pytest.raises(MapError, match="another `cvgeo map prepare`"):
            prepare(small, tile)


def test_a_map_that_is_no_file_has_no_features(small: Localizer, town: Path) -> None:
    with open_store(town) as tile:
        tile.path = None
        small.set_tile(tile)
        assert small.notice == ""
        with pytest.raises(MapError, match="no file"):
            prepare(small, tile)
        small.set_tile(None)


def test_the_digest_is_of_content(tmp_path: Path) -> None:
    one, two = tmp_path / "a.bin", tmp_path / "b.bin"
    data = np.random.default_rng(0).bytes(17 << 20)  # more than is read whole
    one.write_bytes(data)
    two.write_bytes(data)
    time.sleep(0.01)
    os.utime(two)
    assert map_digest(one) == map_digest(two)
    two.write_bytes(data + b"x")
    assert map_digest(one) != map_digest(two)
    two.write_bytes(data[:24] + b"changes!" + data[32:])  # SQLite's count of changes is here
    assert map_digest(one) != map_digest(two)
    folder = tmp_path / "tiles"
    (folder / "1" / "0").mkdir(parents=True)
    (folder / "1" / "0" / "0.png").write_bytes(b"a")
    first = map_digest(folder)
    (folder / "1" / "0" / "0.png").write_bytes(b"b")
    assert map_digest(folder) != first
    second = map_digest(folder)
    (folder / "1" / "0" / "1.png").write_bytes(b"a")
    assert map_digest(folder) != second
    with pytest.raises(MapError, match=r"none\.tif"):
        map_digest(tmp_path / "none.tif")
