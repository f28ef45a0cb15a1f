"""Fields of messages to the core's types.

Convention:
    Time is an integer of nanoseconds. Angles are degrees in messages that say so and radians in the core.
    Geographic positions are WGS-84 degrees. Covariances are in m^2 and rad^2, ENU
    (geographic_msgs/GeoPoseWithCovariance: lat, lon, alt, rot E, rot N, rot U).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvgeo_ros.errors import CalibrationError, ClickError
from cvgeo_ros.geo.camera import PinholeCamera

NANOSECONDS = 1_000_000_000


def to_nanoseconds(time: Any) -> int:
    """Return a builtin_interfaces/Time or Duration in ns."""
    return int(time.sec) * NANOSECONDS + int(time.nanosec)


@dataclass(frozen=True)
class Clicks:
    """Clicks in one image.

    Attributes:
        stamp: Capture stamp of the image, ns; 0 = the newest image.
        ids: N names.
        points: (N, 2) u, v in px.
    """

    stamp: int
    ids: tuple[str, ...]
    points: NDArray[np.float64]


def clicks_from(message: Any) -> Clicks:
    """Return the clicks of a Point (newest image), PointStamped or TargetClickArray; missing ids become positions.

    Raises:
        ClickError: An array without clicks.
    """
    if not hasattr(message, "header"):
        return Clicks(0, ("0",), np.array([[message.x, message.y]]))
    stamp = to_nanoseconds(message.header.stamp)
    if hasattr(message, "point"):
        return Clicks(stamp, ("0",), np.array([[message.point.x, message.point.y]]))
    if not message.clicks:
        raise ClickError("clicks: the array is empty: send at least one click")
    points = np.array([[click.point.x, click.point.y] for click in message.clicks], np.float64)
    return Clicks(stamp, tuple(click.id or str(index) for index, click in enumerate(message.clicks)), points)


def position_from_fix(message: Any) -> tuple[float, float, float] | None:
    """Return latitude, longitude (deg) and horizontal standard deviation (m, NaN = unknown) of a NavSatFix with a fix.

    None without one.
    """
    # STATUS_UNKNOWN, the default, is what drivers send that never set it.
    if message.status.status == message.status.STATUS_NO_FIX or not _is_place(message.latitude, message.longitude):
        return None
    known = message.position_covariance_type != message.COVARIANCE_TYPE_UNKNOWN
    return message.latitude, message.longitude, _std(message.position_covariance, (0, 4)) if known else math.nan


def pose_from_geopose(
    message: Any,
) -> tuple[tuple[float, float, float] | None, float | None]:
    """Return the position of a GeoPoseWithCovarianceStamped as :func:`position_from_fix` does, and the yaw (rad, ENU).

    Each is None where unknown: not a number, a heading whose standard deviation exceeds 60 degrees, or an orientation
    that nobody filled (identity, which would face east, with variance 0).
    """
    point, q = message.pose.pose.position, message.pose.pose.orientation
    covariance = message.pose.covariance
    position = None
    if _is_place(point.latitude, point.longitude):
        position = (point.latitude, point.longitude, _std(covariance, (0, 7)))
    norm = math.hypot(q.x, q.y, q.z, q.w)
    if not (0.9 < norm < 1.1) or not 0.0 <= covariance[35] <= math.radians(60.0) ** 2:
        return position, None
    if (q.x, q.y, q.z, q.w, covariance[35]) == (0.0, 0.0, 0.0, 1.0, 0.0):
        return position, None
    return position, yaw_of(q)


def yaw_of(q: Any) -> float:
    """Return where the nose points over ground, rad ENU, of a vehicle's whole rotation (geometry_msgs/Quaternion)."""
    return math.atan2(2.0 * (q.w * q.z + q.x * q.y), 1.0 - 2.0 * (q.y * q.y + q.z * q.z))


def camera_from_info(message: Any, width: int, height: int) -> PinholeCamera | None:
    """Return the pinhole camera of a CameraInfo for an image of this size; None when it says "uncalibrated" (K[0] = 0).

    Intrinsics of another image size are scaled when the aspect ratio is the same (a resized stream).

    Raises:
        CalibrationError: The aspect ratio differs, or K holds something that is not a camera.
    """
    if message.k[0] == 0.0:
        return None
    if not (message.width and message.height):
        return PinholeCamera.from_matrix(message.k, width, height)
    if abs(width * message.height / (height * message.width) - 1.0) > 0.01:
        raise CalibrationError(
            f"camera_info is for {message.width} x {message.height} pixels, the image has {width} x {height}: "
            "calibrate the stream that is sent"
        )
    return PinholeCamera.from_matrix(message.k, message.width, message.height).scaled(width, height)


def _is_place(latitude: float, longitude: float) -> bool:
    return abs(latitude) <= 90.0 and abs(longitude) <= 180.0


def _std(covariance: Sequence[float], diagonal: tuple[int, int]) -> float:
    variance = max(float(covariance[index]) for index in diagonal)
    return math.sqrt(variance) if variance > 0.0 else math.nan
