from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from painted import ORIGIN, paint, painted, waves

from cvgeo_ros.errors import PlaceError
from cvgeo_ros.geo import distance, geodetic_to_enu, open_store
from cvgeo_ros.place.windows import LEAST_VALID, WindowGrid

KINDS = ["utm", "turned", "degrees", "mbtiles"]


@pytest.mark.parametrize("kind", KINDS)
def test_windows_show_their_ground_north_up_whatever_the_map(kind: str, tmp_path: Path) -> None:
    grid = WindowGrid(painted(kind, tmp_path, waves))
    steps = (np.arange(48) + 0.5) / 48 - 0.5
    whole = 0
    for number in range(0, len(grid), 7):
        image, share = grid.read(number, 48)
        if share < 1.0:
            continue
        whole += 1
        window = grid.window(number)
        east, north = np.meshgrid(steps * window.scale, -steps * window.scale)
        centre = geodetic_to_enu([window.latitude, window.longitude], ORIGIN)
        expected = waves(np.stack([east, north], axis=-1) + centre)
        assert np.abs(image - expected).mean() < 2.0
    assert whole >= 5


@pytest.mark.parametrize("kind", KINDS)
def test_windows_have_their_size_and_cover_the_map_with_overlap(kind: str, tmp_path: Path) -> None:
    tile = painted(kind, tmp_path, waves)
    grid = WindowGrid(tile, (100.0, 220.0), 0.5)
    south, west, north, east = tile.transform.bounds(0, 0, tile.width, tile.height)
    for scale in (100.0, 220.0):
        windows = [grid.window(k) for k in range(len(grid)) if grid.window(k).scale == scale]
        for window in windows:
            low, left, high, right = window.bounds
            assert distance([low, left], [high, left]) == pytest.approx(scale, rel=1e-3)
            assert distance([window.latitude, left], [window.latitude, right]) == pytest.approx(scale, rel=1e-3)
            assert low > south - 1e-6 and high < north + 1e-6 and left > west - 1e-6 and right < east + 1e-6
        assert min(w.bounds[0] for w in windows) == pytest.approx(south, abs=2e-7)
        assert max(w.bounds[2] for w in windows) == pytest.approx(north, abs=2e-7)
        rows: dict[float, list[float]] = {}
        for window in windows:
            rows.setdefault(window.latitude, []).append(window.longitude)
        for latitude, longitudes in rows.items():
            gaps = [distance([latitude, a], [latitude, b]) for a, b in pairwise(longitudes)]
            assert longitudes == sorted(longitudes) and 0.3 * scale < min(gaps) and max(gaps) <= 0.5 * scale + 0.01
        down = sorted(rows, reverse=True)
        assert list(rows) == down
        for a, b in pairwise(down):
            assert distance([a, ORIGIN[1]], [b, ORIGIN[1]]) <= 0.5 * scale + 0.1


@pytest.mark.parametrize("kind", KINDS)
def test_box_of_a_window_is_the_upright_box_around_its_corners(kind: str, tmp_path: Path) -> None:
    grid = WindowGrid(painted(kind, tmp_path, waves))
    for number in range(0, len(grid), 11):
        window = grid.window(number)
        south, west, north, east = window.bounds
        corners = [(south, west), (south, east), (north, west), (north, east)]
        pixels = grid.tile.transform.geodetic_to_pixel(corners)
        np.testing.assert_allclose(window.box, [*pixels.min(axis=0), *pixels.max(axis=0)], atol=0.6)
        np.testing.assert_allclose(grid.centres([number])[0], [window.latitude, window.longitude], atol=1e-12)
        assert grid.sides([number])[0] == window.scale


@pytest.mark.parametrize("turn", [0.0, 40.0])
def test_windows_left_unread_would_show_too_little(turn: float, tmp_path: Path) -> None:
    path = paint(tmp_path / "map.tif", waves, turn=turn, size=(500, 300))
    grid = WindowGrid(open_store(path))
    covered = grid.covered(np.arange(len(grid)))
    shares = np.array([grid.read(number, 64)[1] for number in range(len(grid))])
    assert (shares[~covered] < LEAST_VALID + 0.02).all()  # by whole pixels
    assert (shares[covered] >= LEAST_VALID).any()
    assert covered.all() == (turn == 0.0)


def test_gaps_are_measured_and_filled_with_what_is_around_them(tmp_path: Path) -> None:
    even = (200, 100, 50)
    path = paint(tmp_path / "map.tif", lambda at: np.full((*at.shape[:-1], 3), even), void=lambda at: at[..., 0] > 0)
    grid = WindowGrid(open_store(path), (120.0,))
    checked = 0
    for number in range(len(grid)):
        window = grid.window(number)
        east = float(geodetic_to_enu([window.latitude, window.longitude], ORIGIN)[0])
        image, share = grid.read(number, 60)
        assert share == pytest.approx(np.clip(0.5 - east / 120.0, 0.0, 1.0), abs=0.04)
        if share > 0.1:
            assert np.abs(image.astype(int) - even).max() <= 2
            checked += share < 0.9
    assert checked > 3


def test_across_the_antimeridian(tmp_path: Path) -> None:
    from affine import Affine
    from rasterio import open as rasterio_open

    profile = {"driver": "GTiff", "width": 600, "height": 400, "count": 3, "dtype": "uint8", "crs": "EPSG:32760"}
    x = 833_979.0  # 180 degrees east, at latitude 0 and a little south
    transform = Affine(1.0, 0.0, x - 300.0, 0.0, -1.0, 9_990_000.0)
    with rasterio_open(tmp_path / "map.tif", "w", transform=transform, **profile) as file:
        file.write(np.full((3, 400, 600), 90, np.uint8))
    grid = WindowGrid(open_store(tmp_path / "map.tif"), (120.0,))
    centres = grid.centres(np.arange(len(grid)))
    assert (centres[:, 1] > 179).any() and (centres[:, 1] < -179).any() and len(grid) < 100
    edges = [grid.window(k).bounds for k in range(len(grid))]
    assert any(west > east for _, west, _, east in edges)


@pytest.mark.parametrize(("scales", "overlap"), [((), 0.5), ((0.0,), 0.5), ((120.0, -1.0), 0.5), ((120.0,), 0.95)])
def test_windows_that_cannot_be(scales: tuple[float, ...], overlap: float, tmp_path: Path) -> None:
    with pytest.raises(PlaceError, match="needed"):
        WindowGrid(painted("utm", tmp_path, waves), scales, overlap)
