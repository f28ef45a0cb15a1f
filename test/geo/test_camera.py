"""Pinhole geometry against cases worked out by hand: which way is up, right, ahead, and how far."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cvgeo_ros.errors import CalibrationError
from cvgeo_ros.geo.angles import compass_to_yaw
from cvgeo_ros.geo.camera import (
    Attitude,
    PinholeCamera,
    footprint,
    frame_to_ground,
    ground_to_frame,
    raster_to_ground,
)

# 90 degrees wide: a focal length of half the width, so one metre at 100 m of height is one pixel of 200.
CAMERA = PinholeCamera.from_hfov(200, 100, math.pi / 2)
TOP, BOTTOM, LEFT, RIGHT = (100.0, 0.0), (100.0, 100.0), (0.0, 50.0), (200.0, 50.0)


def ground(attitude: Attitude, *pixels: tuple[float, float]) -> np.ndarray:
    return frame_to_ground(CAMERA, attitude, 100.0, pixels)


def project(attitude: Attitude, east: float, north: float) -> tuple[float, float, float]:
    u, v, depth = ground_to_frame(CAMERA, attitude, 100.0) @ [east, north, 1.0]
    return u / depth, v / depth, depth


@pytest.mark.parametrize(
    "heading, up",
    [(0.0, (0.0, 50.0)), (90.0, (50.0, 0.0)), (180.0, (0.0, -50.0)), (270.0, (-50.0, 0.0))],
)
def test_nadir_image_top_faces_the_heading(heading: float, up: tuple[float, float]) -> None:
    attitude = Attitude(compass_to_yaw(heading))
    right = (2 * up[1], -2 * up[0])
    np.testing.assert_allclose(
        ground(attitude, TOP, RIGHT, (100.0, 50.0), BOTTOM, LEFT),
        [up, right, (0, 0), (-up[0], -up[1]), (-right[0], -right[1])],
        atol=1e-9,
    )


def test_positive_yaw_turns_counter_clockwise() -> None:
    np.testing.assert_allclose(
        ground(Attitude(math.radians(30)), TOP)[0], [50 * math.cos(math.pi / 6), 25.0], atol=1e-9
    )


def test_pitch_of_45_degrees_looks_ahead() -> None:
    north = Attitude(math.pi / 2, -math.pi / 4)
    centre, top, bottom = ground(north, (100.0, 50.0), TOP, BOTTOM)
    np.testing.assert_allclose(centre, [0.0, 100.0], atol=1e-9)
    # Half the height is atan(50 / 100) off the axis; the ray meets the ground at h tan(45 +- that) = 300 and 33.3 m.
    np.testing.assert_allclose(top, [0.0, 300.0], atol=1e-9)
    np.testing.assert_allclose(bottom, [0.0, 100.0 / 3.0], atol=1e-9)
    # The right edge's middle: 100 px off axis at a slant range of 100 sqrt 2 and a focal length of 100 px.
    np.testing.assert_allclose(ground(north, RIGHT)[0], [100 * math.sqrt(2), 100.0], atol=1e-9)
    assert project(north, 0.0, 100.0) == pytest.approx((100.0, 50.0, 100 * math.sqrt(2)))


def test_pitch_beyond_nadir_looks_back() -> None:
    np.testing.assert_allclose(
        ground(Attitude(0.0, -math.radians(100)), (100.0, 50.0))[0], [-100 * math.tan(math.radians(10)), 0.0], atol=1e-9
    )


def test_positive_roll_lowers_the_right_side() -> None:
    rolled = Attitude(math.pi / 2, -math.pi / 6, math.radians(20))
    right, left = rolled.rotation[0], -rolled.rotation[0]
    assert right[2] == pytest.approx(-math.sin(math.radians(20)) * math.cos(math.pi / 6))
    assert left[2] > 0
    # Level with the camera 1 km ahead, to the left and to the right: the horizon rises to the right in the image.
    points = np.array([[-100.0, 1000.0, 0.0], [100.0, 1000.0, 0.0]])
    image = (CAMERA.matrix @ rolled.rotation @ points.T).T
    left_v, right_v = image[:, 1] / image[:, 2]
    assert right_v < left_v


def test_roll_at_nadir_adds_to_the_compass_heading() -> None:
    np.testing.assert_allclose(ground(Attitude(0.0, roll=math.pi / 2), TOP)[0], [0.0, -50.0], atol=1e-9)
    np.testing.assert_allclose(Attitude(0.3, roll=0.2).rotation, Attitude(0.1).rotation, atol=1e-12)


def test_horizon_and_sky_have_no_ground() -> None:
    level = Attitude(0.0, 0.0)
    assert np.isnan(ground(level, (100.0, 50.0), (100.0, 49.0), (0.0, 0.0))).all()
    np.testing.assert_allclose(ground(level, (100.0, 51.0))[0], [10000.0, 0.0], rtol=1e-9)
    assert project(level, -10.0, 0.0)[2] < 0
    assert np.isnan(ground(level, (math.nan, 60.0))).all()


attitudes = st.builds(Attitude, st.floats(-7, 7), st.floats(-math.pi, math.pi / 2), st.floats(-3.2, 3.2))


@given(attitudes, st.tuples(st.floats(0, 200), st.floats(0, 100)))
def test_pixels_round_trip(attitude: Attitude, pixel: tuple[float, float]) -> None:
    place = ground(attitude, pixel)[0]
    if np.isfinite(place).all() and np.hypot(*place) < 1e5:
        u, v, depth = project(attitude, *place)
        assert depth > 0
        assert (u, v) == pytest.approx(pixel, abs=1e-5)


@given(st.floats(-7, 7), st.floats(-2, 2), st.floats(-3.2, 3.2))
def test_rotation_is_right_handed(yaw: float, pitch: float, roll: float) -> None:
    rotation = Attitude(yaw, pitch, roll).rotation
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1.0)


def area(polygon: np.ndarray) -> float:
    x, y = polygon.T
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2


def test_footprint_at_nadir_is_the_frame() -> None:
    polygon = footprint(CAMERA, Attitude(math.pi / 2), 100.0, 1000.0)
    assert len(polygon) == 4
    assert area(polygon) == pytest.approx(200.0 * 100.0)
    np.testing.assert_allclose(np.abs(polygon), [[100.0, 50.0]] * 4)


def test_footprint_ahead_is_clipped_at_the_range_and_the_horizon() -> None:
    polygon = footprint(CAMERA, Attitude(0.0, -math.radians(10)), 100.0, 400.0)
    assert area(polygon) > 0
    distance = np.hypot(*polygon.T)
    assert distance.max() == pytest.approx(400.0)
    # The nearest row, BOTTOM, looks atan(1/2) + 10 degrees down.
    assert polygon[:, 0].min() == pytest.approx(100.0 / math.tan(math.atan(0.5) + math.radians(10)), rel=1e-6)
    for east, north in polygon * 0.999 + polygon.mean(axis=0) * 0.001:
        u, v, depth = project(Attitude(0.0, -math.radians(10)), east, north)
        assert depth > 0 and -0.5 <= u <= 200.5 and -0.5 <= v <= 100.5


@given(attitudes)
def test_footprint_holds_what_the_frame_sees(attitude: Attitude) -> None:
    rays = ground(attitude, *[(u, v) for u in np.linspace(0, 200, 9) for v in np.linspace(0, 100, 9)])
    seen = rays[np.hypot(*rays.T) < 290.0]
    try:
        polygon = footprint(CAMERA, attitude, 100.0, 300.0)
    except CalibrationError:
        assert len(seen) == 0
        return
    edges = np.roll(polygon, -1, axis=0) - polygon
    for place in seen:
        outside = edges[:, 0] * (place[1] - polygon[:, 1]) - edges[:, 1] * (place[0] - polygon[:, 0])
        assert outside.min() > -1e-3


def test_sky_has_no_footprint() -> None:
    with pytest.raises(CalibrationError, match="sky"):
        footprint(CAMERA, Attitude(0.0, math.radians(60)), 100.0, 500.0)
    with pytest.raises(CalibrationError, match="range"):
        footprint(CAMERA, Attitude(0.0), 100.0, math.inf)


def test_field_of_view_and_matrix() -> None:
    assert CAMERA.hfov == pytest.approx(math.pi / 2)
    assert CAMERA.vfov == pytest.approx(2 * math.atan(0.5))
    info = [700.0, 0.0, 319.5, 0.0, 701.0, 239.5, 0.0, 0.0, 1.0]
    camera = PinholeCamera.from_matrix(info, 640, 480)
    # ROS and OpenCV count from the centre of the first pixel, this package from its corner.
    assert (camera.cx, camera.cy) == (320.0, 240.0)
    assert camera.to_matrix() == info
    assert camera.scaled(320, 240) == PinholeCamera(320, 240, 350.0, 350.5, 160.0, 120.0)
    assert camera.scaled(320, 240).hfov == pytest.approx(camera.hfov)


def test_raster_to_ground() -> None:
    north_up = raster_to_ground((100, 200), 0.5, (10.0, 20.0))
    np.testing.assert_allclose(north_up @ [100.0, 50.0, 1.0], [10.0, 20.0, 1.0])
    np.testing.assert_allclose(north_up @ [0.0, 0.0, 1.0], [-40.0, 45.0, 1.0])
    aligned = raster_to_ground((100, 200), np.array([[0.0, 0.2], [0.3, 0.0]]))
    np.testing.assert_allclose(aligned @ [101.0, 52.0, 1.0], [0.4, 0.3, 1.0])
    from_the_east = raster_to_ground((100, 200), np.diag([-0.3, -0.3]))
    np.testing.assert_allclose(from_the_east @ [101.0, 52.0, 1.0], [-0.3, -0.6, 1.0])


@pytest.mark.parametrize(
    "make",
    [
        lambda: PinholeCamera(0, 100, 1.0, 1.0, 0.0, 0.0),
        lambda: PinholeCamera(10, 100, math.nan, 1.0, 0.0, 0.0),
        lambda: PinholeCamera(10, 100, 1.0, -1.0, 0.0, 0.0),
        lambda: PinholeCamera.from_hfov(100, 100, 0.0),
        lambda: PinholeCamera.from_hfov(100, 100, math.nan),
        lambda: PinholeCamera.from_hfov(100, 100, 3.2),
        lambda: PinholeCamera.from_matrix([0.0] * 9, 640, 480),
        lambda: PinholeCamera.from_matrix([1.0, 2.0], 640, 480),
        lambda: PinholeCamera.from_matrix([700, 5, 320, 0, 700, 240, 0, 0, 1], 640, 480),
        lambda: PinholeCamera.from_matrix([700, 0, math.nan, 0, 700, 240, 0, 0, 1], 640, 480),
        lambda: CAMERA.scaled(0, 0),
        lambda: Attitude(math.nan),
        lambda: Attitude(0.0, math.inf),
        lambda: ground_to_frame(CAMERA, Attitude(0.0), 0.0),
        lambda: ground_to_frame(CAMERA, Attitude(0.0), -5.0),
        lambda: frame_to_ground(CAMERA, Attitude(0.0), math.nan, [[0.0, 0.0]]),
        lambda: raster_to_ground((10, 10), 0.0),
        lambda: raster_to_ground((10, 10), -0.3),
        lambda: raster_to_ground((10, 10), math.nan),
        lambda: raster_to_ground((0, 10), 0.3),
        lambda: raster_to_ground((10, 10), np.ones((2, 2))),
    ],
)
def test_unusable_numbers(make) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(CalibrationError):
        make()
