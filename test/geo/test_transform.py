"""GeoTransform: round trips over CRSs and places, true ground metres, known values."""

import functools
import math
import pickle
import threading

import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod, Transformer
from rasterio.crs import CRS

from cvgeo_ros.errors import MapError
from cvgeo_ros.geo import geodesy
from cvgeo_ros.geo.transform import GeoTransform

WEB_MERCATOR = CRS.from_epsg(3857)
WGS84 = CRS.from_epsg(4326)
EQUATOR_Z17 = 2 * math.pi * 6378137.0 / 256 / 2**17


@functools.cache
def system(epsg: int) -> tuple[CRS, Transformer]:
    return CRS.from_epsg(epsg), Transformer.from_crs("EPSG:4326", f"EPSG:{epsg}", always_xy=True)


def tile_at(epsg: int, latitude: float, longitude: float, metres: float, turn: float, shear: float) -> GeoTransform:
    """A tile in `epsg` whose pixel (0, 0) is the place; `metres` in the CRS's units, turned and sheared by radians."""
    crs, from_wgs84 = system(epsg)
    size = metres / 111320.0 if crs.is_geographic else metres
    x, y = from_wgs84.transform(longitude, latitude)
    matrix = (math.cos(turn), math.sin(turn + shear), math.sin(turn), -math.cos(turn + shear))
    a, b, d, e = (size * m for m in matrix)
    return GeoTransform(Affine(a, b, x, d, e, y), crs)


places = st.sampled_from(
    [
        (4326, (-85.0, 85.0), (-175.0, 175.0)),
        (3857, (-80.0, 80.0), (-175.0, 175.0)),
        (32633, (0.0, 80.0), (11.0, 19.0)),
        (32718, (-75.0, 0.0), (-78.0, -72.0)),
        (2193, (-46.0, -35.0), (167.0, 176.0)),  # New Zealand: northing before easting
        (31467, (47.0, 55.0), (7.5, 10.5)),  # Gauss-Krueger: northing before easting, another datum
        (2056, (46.0, 47.5), (6.5, 10.0)),  # Swiss oblique Mercator
        (3031, (-85.0, -65.0), (-170.0, 170.0)),  # polar stereographic
        (4258, (40.0, 60.0), (0.0, 20.0)),  # ETRS89, latitude first
    ]
).flatmap(lambda c: st.tuples(st.just(c[0]), st.floats(*c[1]), st.floats(*c[2])))
tiles = st.builds(
    lambda place, metres, turn, shear: tile_at(*place, metres, turn, shear),
    places,
    st.floats(0.02, 30.0),
    st.floats(-math.pi, math.pi),
    st.floats(-0.5, 0.5),
)
pixels = st.lists(st.tuples(st.floats(-2000, 6000), st.floats(-2000, 6000)), min_size=1, max_size=6).map(np.array)


def tolerance(tile: GeoTransform) -> float:
    """Pixels in two millimetres, the exactness of a datum shift's inverse; 1e-4 pixels without a shift."""
    shifted = tile.crs.to_epsg() in (31467, 2056)
    return 2e-3 / min(np.linalg.svd(tile.jacobian([0.0, 0.0]), compute_uv=False)) if shifted else 1e-4


@settings(deadline=None, max_examples=150)
@given(tiles, pixels)
def test_pixels_round_trip(tile: GeoTransform, uv: np.ndarray) -> None:
    geodetic = tile.pixel_to_geodetic(uv)
    assert geodetic.shape == uv.shape
    assert np.abs(tile.geodetic_to_pixel(geodetic) - uv).max() < tolerance(tile)


@settings(deadline=None, max_examples=150)
@given(tiles, pixels)
def test_offsets_round_trip_and_are_geodesic(tile: GeoTransform, uv: np.ndarray) -> None:
    latitude, longitude = tile.pixel_to_geodetic([0.0, 0.0])
    offsets = tile.pixel_to_enu(uv, (latitude, longitude))
    assert np.abs(tile.enu_to_pixel(offsets, (latitude, longitude)) - uv).max() < tolerance(tile)
    places = tile.pixel_to_geodetic(uv)
    _, _, metres = Geod(ellps="WGS84").inv(
        [longitude] * len(uv), [latitude] * len(uv), places[:, 1].tolist(), places[:, 0].tolist()
    )
    np.testing.assert_allclose(np.hypot(*offsets.T), metres, atol=1e-6)


@settings(deadline=None, max_examples=100)
@given(tiles)
def test_jacobian_is_the_slope_of_offsets(tile: GeoTransform) -> None:
    origin = tuple(tile.pixel_to_geodetic([0.0, 0.0]))
    step = np.array([[1.0, 0.0], [0.0, 1.0]])
    slope = (tile.pixel_to_enu(step, origin) - tile.pixel_to_enu(-step, origin)).T / 2
    jacobian = tile.jacobian([0.0, 0.0])
    np.testing.assert_allclose(jacobian, slope, atol=2e-6 * np.abs(slope).max() + 2e-8)
    np.testing.assert_allclose(tile.gsd([0.0, 0.0]), np.linalg.norm(jacobian, axis=0))


def test_one_datum_shift_serves_the_whole_tile() -> None:
    # Here the areas of two shifts from DHDN to WGS-84 meet: chosen pixel by pixel, ground steps by half a metre.
    tile = tile_at(31467, 51.0, 10.125, 5.0, -1.0, 0.0)
    uv = np.stack([np.zeros(4000), np.arange(4000.0)], axis=-1)
    steps = np.diff(tile.pixel_to_enu(uv, (51.0, 10.125)), axis=0)
    assert np.abs(np.diff(steps, axis=0)).max() < 1e-3
    assert np.abs(tile.geodetic_to_pixel(tile.pixel_to_geodetic(uv)) - uv).max() < tolerance(tile)


def test_web_mercator_is_true_to_ground() -> None:
    tile = tile_at(3857, 60.0, 10.0, EQUATOR_Z17, 0.0, 0.0)
    along_u, along_v = tile.gsd([0.0, 0.0])
    # The sphere halves the pixel at 60 degrees; the ellipsoid's radii of curvature there add 0.25 % and take 0.1 %.
    assert along_u == pytest.approx(EQUATOR_Z17 / 2 * 1.00251, rel=1e-4)
    assert along_v == pytest.approx(EQUATOR_Z17 / 2 * 1.00084, rel=1e-3)
    at_equator = tile_at(3857, 0.0, 10.0, EQUATOR_Z17, 0.0, 0.0).gsd([0.0, 0.0])
    assert at_equator[0] == pytest.approx(EQUATOR_Z17, rel=1e-9)
    assert at_equator[1] == pytest.approx(EQUATOR_Z17 * (1 - 0.00669438), rel=1e-8)


def test_utm_scale_is_0_9996_on_the_central_meridian() -> None:
    tile = tile_at(32633, 50.0, 15.0, 0.5, 0.0, 0.0)
    np.testing.assert_allclose(
        tile.jacobian([0.0, 0.0]), [[0.5 / 0.9996, 0.0], [0.0, -0.5 / 0.9996]], rtol=1e-6, atol=1e-8
    )


def test_utm_convergence_turns_the_jacobian() -> None:
    tile = tile_at(32633, 50.0, 17.0, 0.5, 0.0, 0.0)
    east, north = tile.jacobian([0.0, 0.0])[:, 1]
    convergence = math.atan(math.tan(math.radians(2.0)) * math.sin(math.radians(50.0)))
    # East of the meridian, grid north leans east of true north; going down the column goes south and west.
    assert math.atan2(-east, -north) == pytest.approx(convergence, abs=1e-5)


def test_geographic_degrees_become_metres() -> None:
    tile = GeoTransform(Affine(1e-6, 0, 120.72, 0, -1e-6, 24.26), WGS84)
    np.testing.assert_allclose(
        tile.pixel_to_geodetic([10.0, 20.0]), [24.26 - 20e-6, 120.72 + 10e-6], rtol=0, atol=1e-12
    )
    # Length of a degree at 24.26 N by the series of the WGS-84 ellipsoid (NGA.STND.0036).
    phi = math.radians(24.26)
    east = 111412.84 * math.cos(phi) - 93.5 * math.cos(3 * phi) + 0.118 * math.cos(5 * phi)
    north = 111132.92 - 559.82 * math.cos(2 * phi) + 1.175 * math.cos(4 * phi)
    np.testing.assert_allclose(tile.jacobian([0.0, 0.0]), [[east * 1e-6, 0], [0, -north * 1e-6]], rtol=1e-6, atol=1e-7)


def test_offsets_point_east_and_north() -> None:
    tile = tile_at(3857, 24.26, 120.72, 0.3, 0.4, 0.0)
    origin = (24.26, 120.72)
    here, east, north = tile.geodetic_to_pixel([origin, (24.26, 120.721), (24.261, 120.72)])
    assert tile.pixel_to_enu(east, origin) == pytest.approx([101.5, 0.0], abs=0.1)
    assert tile.pixel_to_enu(north, origin) == pytest.approx([0.0, 110.8], abs=0.1)
    assert here == pytest.approx([0.0, 0.0], abs=1e-6)


def test_window_reads_the_same_places() -> None:
    tile = tile_at(32633, 50.0, 16.0, 0.2, 0.3, 0.1)
    part = tile.window(100.0, 50.0, 2.0, 4.0)
    uv = np.array([[0.0, 0.0], [10.5, 3.25]])
    np.testing.assert_allclose(
        part.pixel_to_geodetic(uv), tile.pixel_to_geodetic(uv * [2.0, 4.0] + [100.0, 50.0]), rtol=0, atol=1e-12
    )


def test_bounds_hold_a_rotated_box() -> None:
    tile = tile_at(3857, 24.26, 120.72, 0.5, 0.5, 0.0)
    south, west, north, east = tile.bounds(0, 0, 400, 300)
    inside = tile.pixel_to_geodetic(np.random.default_rng(0).uniform([0, 0], [400, 300], (500, 2)))
    assert (inside >= [south, west]).all()
    assert (inside <= [north, east]).all()
    corners = tile.pixel_to_geodetic([[0, 0], [400, 0], [400, 300], [0, 300]])
    assert (south, west, north, east) == pytest.approx((*corners.min(axis=0), *corners.max(axis=0)), abs=1e-12)


def test_bounds_across_the_antimeridian() -> None:
    south, west, north, east = GeoTransform(Affine(0.01, 0, 179.5, 0, -0.01, -17.0), WGS84).bounds(0, 0, 100, 50)
    assert (south, west, north, east) == pytest.approx((-17.5, 179.5, -17.0, -179.5))


def test_shapes_are_kept() -> None:
    tile = tile_at(3857, 48.0, 11.0, 0.3, 0.0, 0.0)
    grid = np.zeros((3, 4, 2))
    assert tile.pixel_to_geodetic(grid).shape == tile.pixel_to_enu(grid, (48.0, 11.0)).shape == (3, 4, 2)
    assert tile.jacobian(grid).shape == (3, 4, 2, 2)
    assert tile.pixel_to_geodetic([1.0, 2.0]).shape == (2,)
    assert tile.pixel_to_geodetic(np.zeros((0, 2))).shape == (0, 2)
    with pytest.raises(MapError, match=r"\(\.\.\., 2\)"):
        tile.pixel_to_geodetic([1.0, 2.0, 3.0])


def test_what_is_no_place_becomes_nan_or_an_error() -> None:
    tile = tile_at(32633, 50.0, 15.0, 0.5, 0.0, 0.0)
    assert np.isnan(tile.geodetic_to_pixel([[95.0, 15.0], [math.nan, 15.0]])).all()
    assert np.isnan(tile.pixel_to_geodetic([[math.nan, 0.0], [math.inf, 0.0]])).all()
    with pytest.raises(MapError, match="domain"):
        tile.jacobian([math.nan, 0.0])
    with pytest.raises(MapError, match="domain"):
        tile.gsd([1e12, 0.0])
    with pytest.raises(MapError, match="no place on Earth"):
        tile.pixel_to_enu([0.0, 0.0], (math.nan, 15.0))
    with pytest.raises(MapError, match="latitude first"):
        tile.enu_to_pixel([0.0, 0.0], (120.7, 24.3))


@pytest.mark.parametrize(
    ("affine", "crs", "say"),
    [
        (Affine(1, 0, math.nan, 0, -1, 0), WGS84, "not finite"),
        (Affine(0, 0, 0, 0, -1, 0), WGS84, "singular"),
        (Affine(1, 2, 0, 2, 4, 0), WGS84, "singular"),
        (Affine(1, 0, 0, 0, -1, 0), None, "-a_srs"),
        (Affine(1, 0, 0, 0, -1, 0), CRS(), "-a_srs"),
        (Affine(1, 0, 0, 0, -1, 0), CRS.from_wkt('LOCAL_CS["site",UNIT["metre",1]]'), "neither"),
    ],
)
def test_unusable_georeference(affine: Affine, crs: CRS, say: str) -> None:
    with pytest.raises(MapError, match=say):
        GeoTransform(affine, crs)


@pytest.mark.parametrize("window", [(math.nan, 0, 1, 1), (0, 0, 0, 1), (0, 0, 1, -1), (0, math.inf, 1, 1)])
def test_unusable_window(window: tuple[float, float, float, float]) -> None:
    with pytest.raises(MapError, match="window"):
        tile_at(3857, 48.0, 11.0, 0.3, 0.0, 0.0).window(*window)


def test_threads_share_a_transform() -> None:
    tile = tile_at(31467, 50.0, 9.0, 0.2, 0.1, 0.0)
    uv = np.random.default_rng(0).uniform(0, 4000, (5000, 2))
    expected, wrong = tile.pixel_to_geodetic(uv), []

    def work() -> None:
        for _ in range(10):
            if not np.array_equal(tile.pixel_to_geodetic(uv), expected):
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_pickle() -> None:
    tile = tile_at(32633, 50.0, 15.0, 0.5, 0.2, 0.0)
    tile.gsd([0.0, 0.0])
    copy = pickle.loads(pickle.dumps(tile))
    assert copy == tile
    np.testing.assert_array_equal(copy.pixel_to_geodetic([5.0, 6.0]), tile.pixel_to_geodetic([5.0, 6.0]))


def test_distance_is_geodesic() -> None:
    # Karney's Geod for Flinders Peak to Buninyong, the classic check of Vincenty's formulae, of GDA (GRS 80).
    flinders, buninyong = (-37.951033417, 144.424867889), (-37.652821139, 143.926495528)
    assert geodesy.distance(flinders, buninyong) == pytest.approx(54972.271, abs=0.001)
    assert geodesy.distance([flinders, buninyong], flinders).shape == (2,)
