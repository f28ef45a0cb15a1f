"""The messages that are sent, field by field (mavlink.io, common.xml)."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from pymavlink.dialects.v20 import ardupilotmega as mavlink

from cvgeo_ros.autopilot.estimate import VehicleEstimate
from cvgeo_ros.geo.geodesy import geodetic_to_enu
from cvgeo_ros.mavlink.units import deg_e7, gps_time, quaternion, upper_triangle, yaw_cdeg, yaw_ned

ATTITUDE_STD = math.radians(5.0)
"""1 sigma that ODOMETRY gives the autopilot's own roll and pitch, so that nobody takes them for a measurement."""
Message = Any
"""pymavlink's message classes carry no common type that is public."""


@dataclass(frozen=True)
class Attitude:
    """What ATTITUDE tells: rad, NED."""

    roll: float
    pitch: float
    yaw: float


@dataclass(frozen=True)
class Origin:
    """Place of the autopilot's local frame: degrees, m AMSL."""

    latitude: float
    longitude: float
    altitude: float


@dataclass(frozen=True)
class GpsConfig:
    """What GPS_INPUT says besides the estimate.

    Attributes:
        gps_id: Which of the autopilot's GPS this is, from 0.
        hdop, satellites: What ArduPilot's arming checks ask of every GPS; no meaning for a camera.
        vertical_std: 1 sigma of altitudes that tell none, m.
        send_yaw: Whether the heading is sent.
        max_yaw_std: Headings less certain than this are not, rad.
        leap_seconds: GPS time ahead of UTC, s.
    """

    gps_id: int = 0
    hdop: float = 1.0
    satellites: int = 10
    vertical_std: float = 5.0
    send_yaw: bool = False
    max_yaw_std: float = math.radians(10.0)
    leap_seconds: int = 18


def gps_input(estimate: VehicleEstimate, amsl: float | None, config: GpsConfig) -> Message:
    """Return GPS_INPUT of an estimate that has passed the gate; without an altitude (m AMSL) it is flagged as ignored.

    Velocities are not measured and always ignored. The times are those of the image.
    """
    ignored = (
        mavlink.GPS_INPUT_IGNORE_FLAG_VDOP
        | mavlink.GPS_INPUT_IGNORE_FLAG_VEL_HORIZ
        | mavlink.GPS_INPUT_IGNORE_FLAG_VEL_VERT
        | mavlink.GPS_INPUT_IGNORE_FLAG_SPEED_ACCURACY
    )
    if amsl is None:
        ignored |= mavlink.GPS_INPUT_IGNORE_FLAG_ALT | mavlink.GPS_INPUT_IGNORE_FLAG_VERTICAL_ACCURACY
    week, milliseconds = gps_time(estimate.stamp, config.leap_seconds)
    certain = estimate.yaw_std is not None and estimate.yaw_std <= config.max_yaw_std
    return mavlink.MAVLink_gps_input_message(
        time_usec=estimate.stamp // 1000,
        gps_id=config.gps_id,
        ignore_flags=ignored,
        time_week_ms=milliseconds,
        time_week=week,
        fix_type=mavlink.GPS_FIX_TYPE_3D_FIX,
        lat=deg_e7(estimate.latitude),
        lon=deg_e7(estimate.longitude),
        alt=0.0 if amsl is None else amsl,
        hdop=config.hdop,
        vdop=0.0,
        vn=0.0,
        ve=0.0,
        vd=0.0,
        speed_accuracy=0.0,
        horiz_accuracy=estimate.std,
        vert_accuracy=0.0 if amsl is None else estimate.height_std or config.vertical_std,
        satellites_visible=config.satellites,
        yaw=yaw_cdeg(estimate.yaw) if config.send_yaw and certain else 0,
    )


def odometry(
    estimate: VehicleEstimate, amsl: float, attitude: Attitude, origin: Origin, vertical_std: float, resets: int
) -> Message:
    """Return ODOMETRY of an estimate that has passed the gate: north, east, down in metres about the EKF's origin.

    Roll and pitch are the autopilot's own, and so is a yaw that the estimate does not know; its variance says so. The
    velocity is unknown: NaN, as the message defines it.
    """
    place = [estimate.latitude, estimate.longitude]
    east, north = geodetic_to_enu(place, (origin.latitude, origin.longitude)).tolist()
    known = estimate.yaw is not None and estimate.yaw_std is not None
    yaw = yaw_ned(estimate.yaw) if known and estimate.yaw is not None else attitude.yaw
    yaw_std = estimate.yaw_std if known and estimate.yaw_std is not None else math.pi
    covariance = np.diag([0.0, 0.0, vertical_std**2, ATTITUDE_STD**2, ATTITUDE_STD**2, yaw_std**2])
    covariance[:2, :2] = np.asarray(estimate.covariance)[::-1, ::-1]
    return mavlink.MAVLink_odometry_message(
        time_usec=estimate.stamp // 1000,
        frame_id=mavlink.MAV_FRAME_LOCAL_FRD,
        child_frame_id=mavlink.MAV_FRAME_BODY_FRD,
        x=north,
        y=east,
        z=origin.altitude - amsl,
        q=quaternion(attitude.roll, attitude.pitch, yaw),
        vx=math.nan,
        vy=math.nan,
        vz=math.nan,
        rollspeed=math.nan,
        pitchspeed=math.nan,
        yawspeed=math.nan,
        pose_covariance=upper_triangle(covariance),
        velocity_covariance=[math.nan] * 21,
        reset_counter=resets,
        estimator_type=mavlink.MAV_ESTIMATOR_TYPE_VISION,
    )


def heartbeat() -> Message:
    """Return the HEARTBEAT of an onboard computer."""
    return mavlink.MAVLink_heartbeat_message(
        type=mavlink.MAV_TYPE_ONBOARD_CONTROLLER,
        autopilot=mavlink.MAV_AUTOPILOT_INVALID,
        base_mode=0,
        custom_mode=0,
        system_status=mavlink.MAV_STATE_ACTIVE,
        mavlink_version=3,
    )


def message_interval(system: int, component: int, message: int, rate: float) -> Message:
    """Return the request to send a message by its number at a rate (Hz)."""
    return _command(system, component, mavlink.MAV_CMD_SET_MESSAGE_INTERVAL, message, 1e6 / rate)


def message_request(system: int, component: int, message: int) -> Message:
    """Return the request to send a message by its number once."""
    return _command(system, component, mavlink.MAV_CMD_REQUEST_MESSAGE, message)


def set_origin(system: int, origin: Origin, stamp: int) -> Message:
    """Return SET_GPS_GLOBAL_ORIGIN, stamped in ns."""
    return mavlink.MAVLink_set_gps_global_origin_message(
        target_system=system,
        latitude=deg_e7(origin.latitude),
        longitude=deg_e7(origin.longitude),
        altitude=round(origin.altitude * 1000.0),
        time_usec=stamp // 1000,
    )


def _command(system: int, component: int, command: int, *parameters: float) -> Message:
    values = [float(value) for value in parameters] + [0.0] * (7 - len(parameters))
    return mavlink.MAVLink_command_long_message(system, component, command, 0, *values)
