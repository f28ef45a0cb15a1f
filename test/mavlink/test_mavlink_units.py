import math
from datetime import UTC, datetime

import numpy as np
import pytest

from cvgeo_ros.geo.camera import Attitude, PinholeCamera, frame_to_ground
from cvgeo_ros.mavlink.units import camera_elevation, deg_e7, gps_time, quaternion, upper_triangle, yaw_cdeg, yaw_ned


@pytest.mark.parametrize(
    "degrees, e7",
    [
        (24.12345678, 241_234_568),
        (-33.9, -339_000_000),
        (180.0, 1_800_000_000),
        (181.0, -1_790_000_000),
        (-90.0, -900_000_000),
    ],
)
def test_degrees(degrees: float, e7: int) -> None:
    assert deg_e7(degrees) == e7


@pytest.mark.parametrize(
    "compass, cdeg",
    [(0.0, 36_000), (90.0, 9_000), (180.0, 18_000), (359.99, 35_999), (359.999, 36_000), (0.004, 36_000), (0.01, 1)],
)
def test_north_is_36000_and_0_is_none(compass: float, cdeg: int) -> None:
    assert yaw_cdeg(math.radians(90.0 - compass)) == cdeg


def test_no_yaw_is_0() -> None:
    assert yaw_cdeg(None) == 0
    assert yaw_cdeg(math.nan) == 0


def stamp(*moment: int) -> int:
    return int(datetime(*moment, tzinfo=UTC).timestamp()) * 1_000_000_000


@pytest.mark.parametrize(
    "moment, week, seconds",
    [
        ((2023, 1, 1, 0, 0, 0), 2243, 18),  # a Sunday
        ((2022, 12, 31, 23, 59, 41), 2242, 604_799),
        ((2022, 12, 31, 23, 59, 42), 2243, 0),
        ((2026, 7, 1, 12, 0, 0), 2425, 3 * 86_400 + 43_200 + 18),
    ],
)
def test_gps_time_is_ahead_of_utc_by_the_leap_seconds(moment: tuple[int, ...], week: int, seconds: int) -> None:
    assert gps_time(stamp(*moment) + 250_000_000, 18) == (week, seconds * 1000 + 250)


def test_a_clock_that_was_never_set_tells_no_time() -> None:
    assert gps_time(stamp(1970, 1, 1, 5, 0, 0), 18) == (0, 0)


def rotation(q: list[float]) -> np.ndarray:
    w, x, y, z = q
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def matrix(roll: float, pitch: float, yaw: float) -> np.ndarray:
    def turn(axis: int, angle: float) -> np.ndarray:
        i, j = [k for k in range(3) if k != axis]
        found, sign = np.eye(3), -1.0 if axis == 1 else 1.0
        found[[i, j], [i, j]] = math.cos(angle)
        found[i, j], found[j, i] = -sign * math.sin(angle), sign * math.sin(angle)
        return found

    return turn(2, yaw) @ turn(1, pitch) @ turn(0, roll)


@pytest.mark.parametrize("angles", [(0.0, 0.0, 0.0), (0.3, -0.2, 2.5), (-1.0, 0.9, -3.0), (3.0, 0.1, 1.0)])
def test_quaternion_is_yaw_then_pitch_then_roll(angles: tuple[float, float, float]) -> None:
    np.testing.assert_allclose(rotation(quaternion(*angles)), matrix(*angles), atol=1e-12)


def test_yaw_ned_and_back() -> None:
    assert yaw_ned(0.0) == pytest.approx(math.pi / 2)  # east
    assert yaw_ned(math.pi / 2) == pytest.approx(0.0)  # north
    assert yaw_ned(yaw_ned(-2.0)) == pytest.approx(-2.0)


def test_upper_triangle_is_row_by_row() -> None:
    told = upper_triangle(np.arange(36.0).reshape(6, 6))
    assert told[:7] == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 7.0] and told[20] == 35.0 and len(told) == 21


@pytest.mark.parametrize("roll, pitch", [(0.0, 0.0), (0.2, -0.1), (-0.3, 0.25)])
@pytest.mark.parametrize("mount_yaw, mount_pitch", [(0.0, -math.pi / 2), (0.0, -0.8), (1.3, -1.0)])
def test_camera_on_a_tilted_vehicle(roll: float, pitch: float, mount_yaw: float, mount_pitch: float) -> None:
    mounted = matrix(0.0, mount_pitch, mount_yaw) @ [1.0, 0.0, 0.0]
    down = (matrix(roll, pitch, 0.7) @ mounted)[2]
    assert camera_elevation(roll, pitch, mount_yaw, mount_pitch) == pytest.approx(-math.asin(down))


def test_camera_elevation_is_the_cores_pitch() -> None:
    """Nose up by 0.2: a camera that looks down sees the ground ahead of the vehicle."""
    elevation = camera_elevation(0.0, 0.2, 0.0, -math.pi / 2)
    assert elevation == pytest.approx(-math.pi / 2 + 0.2)
    camera = PinholeCamera.from_hfov(640, 480, 1.0)
    (east, north), *_ = frame_to_ground(camera, Attitude(math.pi / 2, elevation), 100.0, [[320.0, 240.0]])
    assert (east, north) == (pytest.approx(0.0, abs=1e-6), pytest.approx(100.0 * math.tan(0.2)))
