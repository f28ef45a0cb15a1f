"""Messages of rosbags' classes, made from numbers.

Convention:
    Times are nanoseconds. Positions are WGS-84 degrees; altitudes are NaN, since a flat map has none.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cvgeo_ros.bags.types import typestore
from cvgeo_ros.geo.camera import PinholeCamera

NANOSECONDS = 1_000_000_000


def make(kind: str, **fields: Any) -> Any:
    """Return a message of a type such as "std_msgs/msg/Float64"; every field has to be given."""
    return typestore().types[kind](**fields)


def time(nanoseconds: int) -> Any:
    """builtin_interfaces/Time."""
    return make("builtin_interfaces/msg/Time", sec=nanoseconds // NANOSECONDS, nanosec=nanoseconds % NANOSECONDS)


def header(stamp: int, frame_id: str) -> Any:
    """std_msgs/Header."""
    return make("std_msgs/msg/Header", stamp=time(stamp), frame_id=frame_id)


def number(value: float) -> Any:
    """std_msgs/Float64."""
    return make("std_msgs/msg/Float64", data=float(value))


def compressed_image(stamp: int, frame_id: str, data: bytes, kind: str = "jpeg") -> Any:
    """sensor_msgs/CompressedImage of bytes that are encoded already; kind is "jpeg" or "png"."""
    return make(
        "sensor_msgs/msg/CompressedImage",
        header=header(stamp, frame_id),
        format=f"bgr8; {kind} compressed bgr8",
        data=np.frombuffer(data, np.uint8),
    )


def camera_info(stamp: int, frame_id: str, camera: PinholeCamera) -> Any:
    """sensor_msgs/CameraInfo of an ideal camera."""
    k = camera.to_matrix()
    return make(
        "sensor_msgs/msg/CameraInfo",
        header=header(stamp, frame_id),
        height=camera.height,
        width=camera.width,
        distortion_model="plumb_bob",
        d=np.zeros(5),
        k=np.array(k),
        r=np.eye(3).ravel(),
        p=np.array([*k[0:3], 0.0, *k[3:6], 0.0, *k[6:9], 0.0]),
        binning_x=0,
        binning_y=0,
        roi=make("sensor_msgs/msg/RegionOfInterest", x_offset=0, y_offset=0, height=0, width=0, do_rectify=False),
    )


def point(x: float, y: float, z: float = 0.0) -> Any:
    """geometry_msgs/Point."""
    return make("geometry_msgs/msg/Point", x=float(x), y=float(y), z=float(z))


def geo_point(latitude: float, longitude: float) -> Any:
    """geographic_msgs/GeoPoint without an altitude."""
    return make("geographic_msgs/msg/GeoPoint", latitude=float(latitude), longitude=float(longitude), altitude=math.nan)


def geo_pose(latitude: float, longitude: float, orientation: Sequence[float]) -> Any:
    """geographic_msgs/GeoPose; orientation is a quaternion x, y, z, w in ENU."""
    x, y, z, w = map(float, orientation)
    return make(
        "geographic_msgs/msg/GeoPose",
        position=geo_point(latitude, longitude),
        orientation=make("geometry_msgs/msg/Quaternion", x=x, y=y, z=z, w=w),
    )


def geo_pose_stamped(stamp: int, frame_id: str, pose: Any) -> Any:
    """geographic_msgs/GeoPoseStamped."""
    return make("geographic_msgs/msg/GeoPoseStamped", header=header(stamp, frame_id), pose=pose)


def geo_pose_with_covariance(stamp: int, frame_id: str, pose: Any, covariance: ArrayLike) -> Any:
    """geographic_msgs/GeoPoseWithCovarianceStamped; covariance (36,) of latitude, longitude, altitude, rotations."""
    return make(
        "geographic_msgs/msg/GeoPoseWithCovarianceStamped",
        header=header(stamp, frame_id),
        pose=make(
            "geographic_msgs/msg/GeoPoseWithCovariance",
            pose=pose,
            covariance=np.asarray(covariance, np.float64).ravel(),
        ),
    )


def fix(stamp: int, frame_id: str, latitude: float, longitude: float, covariance: ArrayLike | None = None) -> Any:
    """sensor_msgs/NavSatFix with a fix; covariance of east, north, up (m^2), 9 values; None: unknown."""
    kind = typestore().types["sensor_msgs/msg/NavSatFix"]
    status = typestore().types["sensor_msgs/msg/NavSatStatus"]
    return make(
        "sensor_msgs/msg/NavSatFix",
        header=header(stamp, frame_id),
        status=make("sensor_msgs/msg/NavSatStatus", status=status.STATUS_FIX, service=0),
        latitude=float(latitude),
        longitude=float(longitude),
        altitude=math.nan,
        position_covariance=np.zeros(9) if covariance is None else np.asarray(covariance, np.float64).ravel(),
        position_covariance_type=(kind.COVARIANCE_TYPE_UNKNOWN if covariance is None else kind.COVARIANCE_TYPE_KNOWN),
    )


def clicks(stamp: int, frame_id: str, points: Sequence[tuple[str, tuple[float, float]]]) -> Any:
    """cvgeo_ros/TargetClickArray of (id, (u, v) px) for the image with this stamp."""
    return make(
        "cvgeo_ros/msg/TargetClickArray",
        header=header(stamp, frame_id),
        clicks=[make("cvgeo_ros/msg/TargetClick", id=name, point=point(u, v)) for name, (u, v) in points],
    )


def yaw_quaternion(yaw: float) -> tuple[float, float, float, float]:
    """Quaternion x, y, z, w of a heading alone, rad ENU."""
    return 0.0, 0.0, math.sin(yaw / 2), math.cos(yaw / 2)


def duration(nanoseconds: int) -> Any:
    """builtin_interfaces/Duration."""
    return make("builtin_interfaces/msg/Duration", sec=nanoseconds // NANOSECONDS, nanosec=nanoseconds % NANOSECONDS)


def diagnostics(stamp: int, name: str, problem: str, values: Mapping[str, str]) -> Any:
    """diagnostic_msgs/DiagnosticArray with one status: a warning where there is a problem."""
    kind = typestore().types["diagnostic_msgs/msg/DiagnosticStatus"]
    status = make(
        "diagnostic_msgs/msg/DiagnosticStatus",
        level=kind.WARN if problem else kind.OK,
        name=name,
        message=problem,
        hardware_id="",
        values=[make("diagnostic_msgs/msg/KeyValue", key=key, value=value) for key, value in values.items()],
    )
    return make("diagnostic_msgs/msg/DiagnosticArray", header=header(stamp, ""), status=[status])
