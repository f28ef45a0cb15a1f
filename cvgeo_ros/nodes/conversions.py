"""Messages to the core's types and back; images are in :mod:`cvgeo_ros.nodes.images`.

Convention:
    Time is an integer of nanoseconds. Angles are degrees in messages that say so and radians in the core.
    Geographic positions are WGS-84 degrees; a flat tile knows no altitude: NaN, never 0.
    Covariances are in m^2 and rad^2, ENU (geographic_msgs/GeoPoseWithCovariance: lat, lon, alt, rot E, rot N, rot U).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from builtin_interfaces.msg import Duration, Time
from geographic_msgs.msg import (
    BoundingBox,
    GeoPoint,
    GeoPose,
    GeoPoseStamped,
    GeoPoseWithCovariance,
    GeoPoseWithCovarianceStamped,
)
from geometry_msgs.msg import Point, PointStamped, Quaternion
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, NavSatFix, NavSatStatus
from std_msgs.msg import Header

from cvgeo_ros.errors import CalibrationError, ClickError
from cvgeo_ros.geo.camera import PinholeCamera
from cvgeo_ros.geo.store import TileStore
from cvgeo_ros.msg import GeoTarget, TargetClick, TargetClickArray, TileInfo

if TYPE_CHECKING:  # the localizer brings torch, which camera and visualizer do without
    from cvgeo_ros.localizer import Target

UNKNOWN_VARIANCE = 1e6
"""What a covariance says of a quantity nobody measured: 1 km, or any rotation at all (m^2, rad^2)."""

NANOSECONDS = 1_000_000_000


def to_nanoseconds(time: Time | Duration) -> int:
    """Return a stamp or duration in ns."""
    return int(time.sec) * NANOSECONDS + int(time.nanosec)


def to_time(nanoseconds: int) -> Time:
    """Return ns as a stamp."""
    return Time(sec=nanoseconds // NANOSECONDS, nanosec=nanoseconds % NANOSECONDS)


def to_duration(nanoseconds: int) -> Duration:
    """Return ns as a duration."""
    return Duration(sec=nanoseconds // NANOSECONDS, nanosec=nanoseconds % NANOSECONDS)


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


def clicks_from(message: Point | PointStamped | TargetClickArray) -> Clicks:
    """Return the clicks of a point (newest image), a stamped point or an array; missing ids become positions.

    Raises:
        ClickError: An array without clicks.
    """
    if isinstance(message, Point):
        return Clicks(0, ("0",), np.array([[message.x, message.y]]))
    stamp = to_nanoseconds(message.header.stamp)
    if isinstance(message, PointStamped):
        return Clicks(stamp, ("0",), np.array([[message.point.x, message.point.y]]))
    if not message.clicks:
        raise ClickError("clicks: the array is empty: send at least one click")
    points = np.array([[click.point.x, click.point.y] for click in message.clicks], np.float64)
    return Clicks(stamp, tuple(click.id or str(index) for index, click in enumerate(message.clicks)), points)


def to_click_array(points: NDArray[np.float64], ids: Sequence[str], stamp: Time) -> TargetClickArray:
    """Return clicks (N, 2) px with their ids as a message for the image with this stamp."""
    clicks = [
        TargetClick(id=name, point=Point(x=float(u), y=float(v))) for name, (u, v) in zip(ids, points, strict=True)
    ]
    return TargetClickArray(header=Header(stamp=stamp), clicks=clicks)


def to_target(target: "Target", name: str) -> GeoTarget:
    """Return a located target under the id of its click."""
    south, west, north, east = target.bounds
    return GeoTarget(
        id=name,
        click=Point(x=float(target.click[0]), y=float(target.click[1])),
        score=float(target.score),
        bbox=np.asarray(target.bbox, np.float32),
        position=_flat_point(target.latitude, target.longitude),
        bounds=BoundingBox(min_pt=_flat_point(south, west), max_pt=_flat_point(north, east)),
        position_std=float(target.position_std),
    )


def to_geopose(target: GeoTarget) -> GeoPose:
    """Return a target's position; its orientation is identity, which says nothing: see the covariance."""
    return GeoPose(position=target.position, orientation=Quaternion(w=1.0))


def to_geopose_stamped(target: GeoTarget, header: Header) -> GeoPoseStamped:
    """Return a target as GeoPoseStamped."""
    return GeoPoseStamped(header=header, pose=to_geopose(target))


def to_geopose_with_covariance(target: GeoTarget, header: Header) -> GeoPoseWithCovarianceStamped:
    """Return a target as GeoPoseWithCovarianceStamped: altitude and rotation have UNKNOWN_VARIANCE."""
    variances = [target.position_std**2] * 2 + [UNKNOWN_VARIANCE] * 4
    pose = GeoPoseWithCovariance(pose=to_geopose(target), covariance=np.diag(variances).ravel())
    return GeoPoseWithCovarianceStamped(header=header, pose=pose)


def to_fix(target: GeoTarget, header: Header) -> NavSatFix:
    """Return a target as NavSatFix, for viewers that know no GeoPose."""
    variance = target.position_std**2
    return NavSatFix(
        header=header,
        status=NavSatStatus(status=NavSatStatus.STATUS_FIX, service=0),
        latitude=target.position.latitude,
        longitude=target.position.longitude,
        altitude=target.position.altitude,
        position_covariance=np.diag([variance, variance, UNKNOWN_VARIANCE]).ravel(),
        position_covariance_type=NavSatFix.COVARIANCE_TYPE_DIAGONAL_KNOWN,
    )


def to_tile_info(tile: TileStore, stamp: Time) -> TileInfo:
    """Return what a tile's users must know of it.

    Raises:
        MapError: The tile leaves the domain of its projection.
    """
    transform = tile.transform
    south, west, north, east = transform.bounds(0.0, 0.0, float(tile.width), float(tile.height))
    code = transform.crs.to_authority()
    return TileInfo(
        header=Header(stamp=stamp),
        tile_id=tile.tile_id,
        width=tile.width,
        height=tile.height,
        gsd=math.sqrt(math.prod(transform.gsd((tile.width / 2, tile.height / 2)))),
        bounds=BoundingBox(min_pt=_flat_point(south, west), max_pt=_flat_point(north, east)),
        crs=":".join(code) if code else transform.crs.to_wkt(version="WKT2_2019"),
        geotransform=np.asarray(transform.affine.to_gdal(), np.float64),
        attribution=tile.attribution,
    )


def position_from_fix(message: NavSatFix) -> tuple[float, float, float] | None:
    """Return latitude, longitude (deg) and the horizontal standard deviation (m, NaN = unknown); None without a fix."""
    # STATUS_UNKNOWN, the default, is what drivers send that never set it.
    if message.status.status == NavSatStatus.STATUS_NO_FIX or not _is_place(message.latitude, message.longitude):
        return None
    known = message.position_covariance_type != NavSatFix.COVARIANCE_TYPE_UNKNOWN
    return message.latitude, message.longitude, _std(message.position_covariance, (0, 4)) if known else math.nan


def pose_from_geopose(
    message: GeoPoseWithCovarianceStamped,
) -> tuple[tuple[float, float, float] | None, float | None]:
    """Return the position as :func:`position_from_fix` does, and the yaw (rad, ENU).

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
    return position, math.atan2(2.0 * (q.w * q.z + q.x * q.y), 1.0 - 2.0 * (q.y * q.y + q.z * q.z))


def camera_from_info(message: CameraInfo, width: int, height: int) -> PinholeCamera | None:
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


def _flat_point(latitude: float, longitude: float) -> GeoPoint:
    return GeoPoint(latitude=float(latitude), longitude=float(longitude), altitude=math.nan)


def _is_place(latitude: float, longitude: float) -> bool:
    return abs(latitude) <= 90.0 and abs(longitude) <= 180.0


def _std(covariance: Sequence[float], diagonal: tuple[int, int]) -> float:
    variance = max(float(covariance[index]) for index in diagonal)
    return math.sqrt(variance) if variance > 0.0 else math.nan
