"""Every kind of map gives the same pixels in the same places through one interface."""

import math
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from cvgeo_ros.errors import MapError
from cvgeo_ros.geo.pyramid import BlockCache
from cvgeo_ros.geo.store import open_store
from cvgeo_ros.geo.transform import GeoTransform

WIDTH, HEIGHT = 1280, 768


def expected(image: np.ndarray, window: tuple[float, float, float, float], shape: tuple[int, int]) -> np.ndarray:
    """The exact means over areas, with fractions of pixels at their borders: the reference for `read`."""

    def weights(first: float, last: float, count: int, size: int) -> np.ndarray:
        edges, pixels = np.linspace(first, last, count + 1), np.arange(size + 1)
        overlap = np.minimum(edges[1:, None], pixels[1:]) - np.maximum(edges[:-1, None], pixels[:-1])
        return np.clip(overlap, 0, None) * count / (last - first)

    across = weights(window[0], window[2], shape[1], image.shape[1])
    down = weights(window[1], window[3], shape[0], image.shape[0])
    return np.stack([down @ image[..., c].astype(float) @ across.T for c in range(3)], axis=-1)


def test_whole_pixels_are_copied(maps: SimpleNamespace, map_file: Path) -> None:
    with open_store(map_file) as store:
        assert (store.width, store.height) == (WIDTH, HEIGHT)
        assert store.tile_id.endswith("/scene")
        rgb, valid = store.read(0, 0, WIDTH, HEIGHT, (HEIGHT, WIDTH))
        assert valid.all()
        np.testing.assert_array_equal(rgb, maps.scene())
        rgb, valid = store.read(250, 510, 530, 515, (5, 280))
        np.testing.assert_array_equal(rgb, maps.scene()[510:515, 250:530])


def test_transform_is_that_of_the_pixels(maps: SimpleNamespace, map_file: Path) -> None:
    with open_store(map_file) as store:
        truth = GeoTransform(maps.mercator(), store.transform.crs)
        corners = [[0.0, 0.0], [WIDTH, HEIGHT]]
        np.testing.assert_allclose(
            store.transform.pixel_to_geodetic(corners), truth.pixel_to_geodetic(corners), rtol=0, atol=1e-10
        )


@pytest.mark.parametrize(
    "window, shape",
    [
        ((0, 0, 1280, 768), (6, 10)),
        ((100.5, 40.25, 420.5, 200.25), (16, 32)),
        ((3, 5, 1203, 605), (20, 40)),
        ((200, 100, 500, 400), (43, 17)),
        ((640, 300, 656, 308), (16, 32)),
        ((0, 0, 1280, 768), (3, 5)),
    ],
)
def test_windows_are_area_means(
    maps: SimpleNamespace, map_file: Path, window: tuple[float, float, float, float], shape: tuple[int, int]
) -> None:
    with open_store(map_file) as store:
        rgb, valid = store.read(*window, shape)
    assert rgb.shape == (*shape, 3)
    assert valid.all()
    # Two grey levels for rounding on each resolution; more where bilinear magnification has no exact reference.
    tolerance = 4 if window[2] - window[0] > shape[1] else 8
    assert np.abs(rgb - expected(maps.scene(), window, shape)).max() <= tolerance


@pytest.mark.parametrize("kind", ["geotiff", "geotiff with overviews", "mbtiles"])
def test_resolutions_are_not_shifted(maps: SimpleNamespace, tmp_path: Path, kind: str) -> None:
    noise = np.random.default_rng(0).normal(0, 1, (768, 1280, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 24)
    image = np.rint(127 + smooth / smooth.std() * 40).clip(0, 255).astype(np.uint8)
    if kind == "mbtiles":
        path = maps.write_mbtiles(tmp_path / "m.mbtiles", maps.at_zoom(image))
    else:
        path = maps.write_geotiff(tmp_path / "m.tif", image)
        path = maps.with_overviews(path) if "overviews" in kind else path
    with open_store(path) as store:
        for factor in (1, 1.3, 2, 2.5, 4, 7, 16):
            width, height = int(1200 / factor), int(700 / factor)
            window = (10.5, 20.25, 10.5 + width * factor, 20.25 + height * factor)
            truth = expected(image, window, (height, width))
            rgb, _ = store.read(*window, (height, width))
            # The shift, in pixels of the result, that explains the difference best.
            slopes = np.stack([np.gradient(truth, axis=1), np.gradient(truth, axis=0)], axis=-1).reshape(-1, 2)
            shift, *_ = np.linalg.lstsq(slopes, (rgb - truth).reshape(-1), rcond=None)
            assert np.abs(shift).max() < 0.02


def test_windows_may_reach_outside(maps: SimpleNamespace, map_file: Path) -> None:
    with open_store(map_file) as store:
        rgb, valid = store.read(-100, -50, 100, 50, (100, 200))
        assert valid[50:, 100:].all()
        assert valid.sum() == 50 * 100
        np.testing.assert_array_equal(rgb[50:, 100:], maps.scene()[:50, :100])
        assert not rgb[~valid].any()
        rgb, valid = store.read(-1280, 0, 2560, 768, (96, 480))
        assert valid.sum() == 96 * 160
        # The border keeps its colours: what is outside does not bleed in.
        assert np.abs(rgb[:, 160] - expected(maps.scene(), (0, 0, 8, 768), (96, 1))[:, 0]).max() <= 4
        for far in ((5000, 0, 6000, 700), (-1e9, -1e9, -1e8, -1e8)):
            rgb, valid = store.read(*far, (8, 8))
            assert not valid.any() and not rgb.any()
        assert not store.read(-1e12, -1e12, 1e12, 1e12, (64, 64))[1].any()


@pytest.mark.parametrize(
    "window, shape",
    [
        ((math.nan, 0, 1, 1), (4, 4)),
        ((0, 0, math.inf, 1), (4, 4)),
        ((5, 0, 5, 1), (4, 4)),
        ((5, 0, 4, 1), (4, 4)),
        ((0, 0, 5, 5), (0, 4)),
        ((0, 0, 5, 5), (1 << 20, 1 << 20)),
    ],
)
def test_unusable_windows(
    maps: SimpleNamespace, tmp_path: Path, window: tuple[float, float, float, float], shape: tuple[int, int]
) -> None:
    with (
        open_store(maps.write_geotiff(tmp_path / "m.tif", maps.scene())) as store,
        pytest.raises(MapError, match=r"window|cannot read"),
    ):
        store.read(*window, shape)


def test_threads_share_a_store(maps: SimpleNamespace, map_file: Path) -> None:
    image, failures = maps.scene(), []
    with open_store(map_file, cache_bytes=2 << 20) as store:

        def work(seed: int) -> None:
            rng = np.random.default_rng(seed)
            for _ in range(30):
                u, v = int(rng.integers(0, WIDTH - 64)), int(rng.integers(0, HEIGHT - 64))
                rgb, valid = store.read(u, v, u + 64, v + 64, (64, 64))
                if not (valid.all() and np.array_equal(rgb, image[v : v + 64, u : u + 64])):
                    failures.append((u, v))

        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures
        assert store.cache.nbytes <= 2 << 20


def test_cache_is_bounded_shared_and_emptied(maps: SimpleNamespace, tmp_path: Path) -> None:
    cache = BlockCache(3 << 20)
    first = open_store(maps.write_geotiff(tmp_path / "a.tif", maps.scene()), cache=cache)
    second = open_store(maps.write_geotiff(tmp_path / "b.tif", 255 - maps.scene()), cache=cache)
    for store in (first, second, first):
        store.read(0, 0, WIDTH, HEIGHT, (96, 160))
        assert 0 < cache.nbytes <= 3 << 20
    np.testing.assert_array_equal(second.read(0, 0, 8, 8, (8, 8))[0], 255 - maps.scene()[:8, :8])
    first.close()
    second.close()
    assert len(cache) == 0
    assert cache.nbytes == 0
    with pytest.raises(MapError, match="cache"):
        open_store(tmp_path / "a.tif", cache_bytes=-1)


def test_the_cache_serves_again_what_was_read(maps: SimpleNamespace, tmp_path: Path) -> None:
    path = maps.write_xyz(tmp_path / "s", {(17, 5, 7): maps.encode(maps.scene()[:256, :256])})
    with open_store(path) as store:
        first = store.read(0, 0, 256, 256, (256, 256))[0]
        (path / "17" / "5" / "7.png").unlink()
        np.testing.assert_array_equal(store.read(0, 0, 256, 256, (256, 256))[0], first)
    with open_store(
        maps.write_xyz(tmp_path / "s", {(17, 5, 7): maps.encode(maps.scene()[:256, :256])}), cache_bytes=0
    ) as store:
        assert store.read(0, 0, 256, 256, (256, 256))[1].all()


def test_a_closed_store_says_so(map_file: Path) -> None:
    store = open_store(map_file)
    store.close()
    if map_file.is_file():
        with pytest.raises(MapError, match="closed"):
            store.read(0, 0, 8, 8, (8, 8))


def test_opening_reads_one_tile_at_most(maps: SimpleNamespace, tmp_path: Path) -> None:
    """All tiles but the first are garbage of 2 KiB: who decoded or read them all would fail or be slow."""
    content = {(17, 1000 + i % 200, 2000 + i // 200): b"x" * 2048 for i in range(20000)}
    content[17, 1000, 2000 + 99] = maps.encode(next(iter(maps.tiles(maps.scene()).values())))
    started = time.perf_counter()
    maps.write_mbtiles(tmp_path / "big.mbtiles", content)
    writing = time.perf_counter() - started
    started = time.perf_counter()
    with open_store(tmp_path / "big.mbtiles") as store:
        assert time.perf_counter() - started < max(0.2, writing / 4)
        assert (store.width, store.height) == (200 * 256, 100 * 256)
        assert len(store.cache) == 0
        with pytest.raises(MapError, match="17/1005/2003"):
            store.read(5 * 256, 3 * 256, 6 * 256, 4 * 256, (256, 256))


def test_what_is_no_map(tmp_path: Path) -> None:
    with pytest.raises(MapError, match="no such file"):
        open_store(tmp_path / "missing.tif")
    with pytest.raises(MapError, match="no tiles"):
        open_store(tmp_path)
    (tmp_path / "notes.txt").write_text("no map")
    with pytest.raises(MapError, match="not a raster"):
        open_store(tmp_path / "notes.txt")
