"""The search window from a position prior."""

import math

import numpy as np
import pytest
from affine import Affine
from rasterio.crs import CRS

from cvgeo_ros.errors import MapError
from cvgeo_ros.geo.transform import GeoTransform
from cvgeo_ros.geo.window import PositionPrior, search_window

# Half a metre a pixel over ground, north up, on the central meridian of UTM zone 33.
TILE = GeoTransform(Affine(0.4998, 0, 499500, 0, -0.4998, 5538800), CRS.from_epsg(32633))
CENTRE = tuple(TILE.pixel_to_geodetic([1000.0, 1000.0]))


def test_box_around_the_circle() -> None:
    window = search_window(TILE, 2000, 2000, PositionPrior(*CENTRE, 75.0), 25.0)
    # 100 m are 200 px; up to 1 px more for whole pixels and the polygon around the circle.
    assert window == pytest.approx((800, 800, 1200, 1200), abs=1)
    assert window[0] <= 800 and window[1] <= 800 and window[2] >= 1200 and window[3] >= 1200


@pytest.mark.parametrize("turn", [0.3, 1.2, 3.0])
def test_a_turned_tile_keeps_all_of_the_circle(turn: float) -> None:
    c, s = 0.5 * math.cos(turn), 0.5 * math.sin(turn)
    tile = GeoTransform(Affine(c, s, 499500, s, -c, 5538800), CRS.from_epsg(32633))
    origin = tuple(tile.pixel_to_geodetic([1000.0, 800.0]))
    u0, v0, u1, v1 = search_window(tile, 2000, 1600, PositionPrior(*origin, 50.0), 70.0)
    angle = np.linspace(0, 2 * math.pi, 1000)
    u, v = tile.enu_to_pixel(120 * np.stack([np.cos(angle), np.sin(angle)], axis=-1), origin).T
    assert u0 <= u.min() and u.max() <= u1 and v0 <= v.min() and v.max() <= v1
    assert u1 - u0 < np.ptp(u) + 3 and v1 - v0 < np.ptp(v) + 3


def test_clipped_to_the_tile() -> None:
    corner = tuple(TILE.pixel_to_geodetic([50.0, 1990.0]))
    assert search_window(TILE, 2000, 2000, PositionPrior(*corner, 75.0), 0.0) == pytest.approx(
        (0, 1840, 200, 2000), abs=1
    )
    beside = tuple(TILE.pixel_to_geodetic([-100.0, 500.0]))
    assert search_window(TILE, 2000, 2000, PositionPrior(*beside, 75.0), 0.0) == pytest.approx((0, 350, 50, 650), abs=1)


def test_outside_the_tile() -> None:
    away = tuple(TILE.pixel_to_geodetic([-400.0, 500.0]))
    with pytest.raises(MapError, match=r"outside the map .*load the map of that place"):
        search_window(TILE, 2000, 2000, PositionPrior(*away, 75.0), 50.0)
    with pytest.raises(MapError, match="outside the map"):
        search_window(TILE, 2000, 2000, PositionPrior(-40.0, 170.0, 75.0), 50.0)


@pytest.mark.parametrize(
    "prior",
    [(math.nan, 15.0, 75.0), (50.0, math.inf, 75.0), (91.0, 15.0, 75.0), (50.0, 15.0, -1.0), (50.0, 15.0, math.nan)],
)
def test_unusable_prior(prior: tuple[float, float, float]) -> None:
    with pytest.raises(MapError, match="position prior"):
        PositionPrior(*prior)


@pytest.mark.parametrize("reach", [math.nan, -1.0, math.inf])
def test_unusable_reach(reach: float) -> None:
    with pytest.raises(MapError, match="reach"):
        search_window(TILE, 2000, 2000, PositionPrior(*CENTRE, 75.0), reach)
