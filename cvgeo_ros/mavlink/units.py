"""Units of MAVLink's fields.

Convention:
    NED and FRD (x forward, y right, z down) in MAVLink, ENU in the rest of this package.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

NANOSECONDS = 1_000_000_000
GPS_EPOCH = 315_964_800
"""1980-01-06, the beginning of GPS time, in seconds since 1970 (UTC)."""
WEEK = 604_800
CLOCK_IS_SET = 1_577_836_800
"""2020-01-01 in seconds since 1970: a clock before it was never set, or is a simulation's."""


def deg_e7(degrees: float) -> int:
    """Return degrees as int32 degE7; longitudes wrap into -180..180."""
    return round(math.remainder(degrees, 360.0) * 1e7)


def yaw_cdeg(yaw: float | None) -> int:
    """Return an ENU yaw (rad) as a heading in centidegrees, 1..36000: north is 36000, since 0 means none (None)."""
    if yaw is None or not math.isfinite(yaw):
        return 0
    return round((90.0 - math.degrees(yaw)) * 100.0) % 36_000 or 36_000


def gps_time(stamp: int, leap_seconds: int) -> tuple[int, int]:
    """Return GPS week and milliseconds of the week of a time (ns since 1970, UTC); 0, 0 where the clock is not set."""
    if stamp < CLOCK_IS_SET * NANOSECONDS:
        return 0, 0
    milliseconds = stamp // 1_000_000 + (leap_seconds - GPS_EPOCH) * 1000
    week, rest = divmod(milliseconds, WEEK * 1000)
    return week, rest


def yaw_ned(yaw: float) -> float:
    """Return an ENU yaw (rad, 0 = east, anticlockwise) as one in NED (0 = north, clockwise), or the other way round."""
    return math.remainder(math.pi / 2.0 - yaw, 2.0 * math.pi)


def quaternion(roll: float, pitch: float, yaw: float) -> list[float]:
    """Return w, x, y, z of Tait-Bryan angles (rad, yaw first, then pitch, then roll), as ATTITUDE means them."""
    cr, sr = math.cos(roll / 2.0), math.sin(roll / 2.0)
    cp, sp = math.cos(pitch / 2.0), math.sin(pitch / 2.0)
    cy, sy = math.cos(yaw / 2.0), math.sin(yaw / 2.0)
    return [
        cr * cp * cy + sr * sp * sy,
        sr * cp * cy - cr * sp * sy,
        cr * sp * cy + sr * cp * sy,
        cr * cp * sy - sr * sp * cy,
    ]


def upper_triangle(matrix: NDArray[np.float64]) -> list[float]:
    """Return the 21 values by which MAVLink names a symmetric (6, 6) covariance, row by row."""
    return [float(value) for value in matrix[np.triu_indices(6)]]


def camera_elevation(roll: float, pitch: float, mount_yaw: float, mount_pitch: float) -> float:
    """Return how far above the horizon (rad) a camera looks that is fixed to a tilted vehicle.

    Args:
        roll, pitch: Of the vehicle, rad, as in ATTITUDE.
        mount_yaw: Of the camera against the nose, rad clockwise seen from above.
        mount_pitch: Of the camera above the vehicle's own horizontal plane, rad; -pi/2 = down.
    """
    forward = math.cos(mount_pitch) * math.cos(mount_yaw)
    right = math.cos(mount_pitch) * math.sin(mount_yaw)
    down = -math.sin(mount_pitch)
    axis: Sequence[float] = (-math.sin(pitch), math.cos(pitch) * math.sin(roll), math.cos(pitch) * math.cos(roll))
    below = axis[0] * forward + axis[1] * right + axis[2] * down
    return -math.asin(min(max(below, -1.0), 1.0))
